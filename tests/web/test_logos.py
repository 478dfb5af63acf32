"""Logos of apps: fetched once, drawn anew, shown from our own origin, and the first letter where there is none."""

import io
import re
from dataclasses import replace

import pytest
from PIL import Image

from idp.base.outside import Outside
from idp.cli.client import app
from idp.cli.logo import EDGE, LARGEST, fetch_logo
from idp.store import clients
from idp.store.database import transaction
from tests.base.test_outside import answer, serving
from tests.cli.installation import Installation
from tests.driver import Rig, authorization

RIG = Outside(allow_loopback=True)


def picture(width: int = 300, height: int = 200) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#0a5c4c").save(file, "JPEG", comment=b"<script>alert(1)</script>")
    return file.getvalue()


async def give_logo(rig: Rig, body: bytes, outside: Outside = RIG) -> None:
    """Let the client ``web`` have the logo that a server answers with."""
    pool = rig.app.state.provider.pool
    async with serving(answer(body)) as server:
        async with transaction(pool) as conn:
            client = replace(await clients.get_client(conn, "web"), logo_uri=f"http://127.0.0.1:{server.port}/logo.jpg")
            await clients.update(conn, client)
        await fetch_logo(pool, client, outside)


async def shown(rig: Rig) -> str | None:
    """The address of the logo on the slip, or None where the first letter stands."""
    page = await rig.browser().get(authorization())
    found = re.search(r'<img class="logo" src="([^"]+)"', page.text)
    assert found or ">E</span>" in page.text
    return found[1] if found else None


async def test_a_logo_is_drawn_anew_and_served_by_us(rig: Rig) -> None:
    original = picture()
    await give_logo(rig, original)
    address = await shown(rig)
    assert address is not None
    served = await rig.browser().http.get(address)
    assert (served.status_code, served.headers["content-type"]) == (200, "image/png")
    assert "immutable" in served.headers["cache-control"]
    assert served.headers["x-content-type-options"] == "nosniff"
    assert b"script" not in served.content
    with Image.open(io.BytesIO(served.content)) as drawn:
        assert drawn.format == "PNG"
        assert max(drawn.size) == EDGE


@pytest.mark.parametrize(
    ("body", "outside"),
    [
        pytest.param(b'<svg xmlns="http://www.w3.org/2000/svg"/>', RIG, id="svg"),
        pytest.param(b"\x89PNG\r\n\x1a\nrubbish", RIG, id="rubbish"),
        pytest.param(picture() + b"\0" * LARGEST, RIG, id="huge"),
        pytest.param(picture(), Outside(), id="A-58-this-machine"),
    ],
)
async def test_what_is_no_logo_leaves_the_first_letter(
    rig: Rig, body: bytes, outside: Outside, capsys: pytest.CaptureFixture[str]
) -> None:
    await give_logo(rig, body, outside)
    assert await shown(rig) is None
    assert "The logo is not shown" in capsys.readouterr().err


async def test_a_logo_of_a_former_address_is_not_shown(rig: Rig) -> None:
    await give_logo(rig, picture())
    async with transaction(rig.app.state.provider.pool) as conn:
        client = await clients.get_client(conn, "web")
        await clients.update(conn, replace(client, logo_uri="https://bank.example/new.png"))
    assert await shown(rig) is None


async def test_a_logo_that_nobody_has_is_not_there(rig: Rig) -> None:
    assert (await rig.browser().http.get(f"/logos/{'0' * 32}.png")).status_code == 404


def test_a_logo_that_cannot_be_had_stops_no_registration(database: str, tmp_path: object) -> None:
    """A-58: and the operator is told."""
    idp = Installation(app, database, tmp_path)  # type: ignore[arg-type]
    result = idp.do(
        "add", "--name", "Bank", "--redirect-uri", "https://bank.example/cb", "--logo-uri", "https://127.0.0.1/logo.png"
    )
    assert (result.exit_code, "The logo is not shown: the host is not on the public internet." in result.stderr) == (
        0,
        True,
    )
