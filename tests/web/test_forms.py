"""Forms: from whom they are taken, and what in them is refused before anything is done with it."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from idp.web.forms import LARGEST_BODY
from tests.driver import PASSWORD, Browser, Rig, running

TYPE = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        yield found


@pytest.fixture
async def browser(rig: Rig) -> AsyncIterator[Browser]:
    """A browser on the sign-in page."""
    opened = rig.browser()
    async with opened.http:
        await opened.get("/login")
        yield opened


def address(browser: Browser) -> str:
    assert browser.page is not None
    return str(browser.page.url)


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({}, True),
        ({"origin": "http://localhost:8000"}, True),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"}, True),
        ({"origin": "http://127.0.0.1:8000"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http:"}, False),
        ({"origin": "https://localhost:8000"}, False),
        ({"origin": "http://localhost"}, False),
        ({"origin": "http://localhost:8000/"}, False),
        ({"origin": "http://localhost:8000.evil.test"}, False),
        ({"origin": "https://evil.test"}, False),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": ""}, False),
    ],
)
async def test_a_form_is_taken_from_our_own_pages_alone(browser: Browser, headers: dict[str, str], taken: bool) -> None:
    """ASVS 3.5.1."""
    form = {"username": "nobody", "password": PASSWORD}
    answer = await browser.http.post(address(browser), data=form, headers=headers)
    assert ('data-error="cross_site"' in answer.text) is not taken
    assert (answer.status_code == 403) is not taken


@pytest.mark.parametrize("sized", [True, False], ids=["with its size", "in chunks"])
async def test_a_body_is_bounded(browser: Browser, sized: bool) -> None:
    """ASVS 15.2.2."""

    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for sent in range(1024):
            # A field of 24 KiB is none too long, nor are these too many: it is the whole that is too large.
            yield b"a" * 1024 + (b"=&f%d" % sent if sent % 24 == 0 else b"")

    for path in (address(browser), "/oauth/token", "/oauth/authorize", "/oauth/userinfo", "/account/confirm"):
        answer = await browser.http.post(path, content=b"a" * 1024 * 1024 if sized else chunks(), headers=TYPE)
        assert answer.status_code == 413, path
        assert sent <= LARGEST_BODY // 1024, "no more than that is read"


async def test_a_body_of_the_largest_size_is_read(browser: Browser) -> None:
    body = b"username=alice&" * (LARGEST_BODY // 15)
    answer = await browser.http.post("/oauth/token", content=body, headers=TYPE)
    assert (answer.status_code, answer.json()["error_description"]) == (400, "The form cannot be read.")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"a=1&a=2", id="a repeated field"),
        pytest.param(b"&".join(b"a%d=1" % number for number in range(65)), id="65 fields"),
        pytest.param(b"&".join([b"a"] * 60000), id="60000 fields"),
        pytest.param(b"a=" + b"a" * 8193, id="a long value"),
        pytest.param(b"a=" + b"a" * 100000, id="a very long value"),
        pytest.param(b"a" * 9000 + b"=1", id="a long name"),
        pytest.param(b"a=%00", id="NUL"),
        pytest.param(b"a=x%0d%0ay", id="a line break"),
        pytest.param(b"a%0a=x", id="a line break in a name"),
        pytest.param(b"a=%7f", id="DEL"),
        pytest.param(b"a=%C2%85", id="a line break of C1"),
    ],
)
async def test_what_no_form_of_ours_has_is_refused(browser: Browser, body: bytes) -> None:
    """A-62 (ASVS 2.2.1, 2.2.2, 15.3.7)."""
    for path in (address(browser), "/oauth/token", "/oauth/authorize", "/oauth/logout", "/logout"):
        before = time.process_time()
        answer = await browser.http.post(path, content=body, headers=TYPE)
        assert time.process_time() - before < 1
        assert answer.status_code == 400, path
        assert "invalid_request" in answer.text, path


@pytest.mark.parametrize(
    "kind", ["", "application/json", "text/plain", "multipart/form-data; boundary=x", "application/" + "x-" * 15000]
)
async def test_another_content_type_is_refused(browser: Browser, kind: str) -> None:
    """ASVS 3.5.2: what a foreign page can send without a preflight, and a form of ours never is."""
    answer = await browser.http.post(address(browser), content=b"username=alice", headers={"content-type": kind})
    assert answer.status_code == 400
    assert 'data-error="invalid_request"' in answer.text
