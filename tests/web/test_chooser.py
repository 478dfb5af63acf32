"""The account chooser: who is signed in in this browser, and who has been before."""

from pathlib import Path

import pytest

from idp.store.database import transaction
from idp.store.known_devices import list_known
from tests.driver import PASSWORD, Browser, Rig, authorization, response_of, running
from tests.web.account.people import text_of


async def alice_then_bob(rig: Rig) -> Browser:
    """One browser in which both have signed in, and bob still is."""
    browser = rig.browser()
    await browser.register("alice")
    await browser.post("/account/sign-out", {})
    browser.page = None
    await browser.register("bobby")
    return browser


async def test_a_remembered_account_is_offered_and_asked_for_its_password(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        await rig.add_client()
        browser = await alice_then_bob(rig)
        page = await browser.get(authorization(prompt="select_account"))
        text = text_of(page)
        assert text.index("bobby") < text.index("alice"), "the one who is signed in comes first"
        alice = await sub_of(rig, "alice")
        page = await browser.submit(account=alice)
        assert page.url.path == "/login", "nothing is proved by being chosen"
        assert "alice" in text_of(page)
        await browser.submit(username="alice", password=PASSWORD)
        answer = await browser.submit(decision="allow")
        assert "code" in response_of(answer)
        async with transaction(rig.app.state.provider.pool) as conn:
            assert await conn.fetchval("SELECT sub FROM authorizations") == alice


async def test_nobody_elses_account_is_offered_or_can_be_chosen(database: str, tmp_path: Path) -> None:
    """An account that has never signed in in this browser is not known to it, whoever asks."""
    async with running(database, tmp_path) as rig:
        await rig.add_client()
        await alice_then_bob(rig)
        stranger = rig.browser()
        await stranger.register("mallory")
        page = await stranger.get(authorization(prompt="select_account"))
        assert "alice" not in text_of(page)
        page = await stranger.submit(account=await sub_of(rig, "alice"))
        assert "alice" not in page.text


async def test_an_account_is_forgotten_in_this_browser(database: str, tmp_path: Path) -> None:
    async with running(database, tmp_path) as rig:
        await rig.add_client()
        browser = await alice_then_bob(rig)
        page = await browser.get(authorization(prompt="select_account"))
        interaction = page.url.query.decode()
        assert f"/login/forget?{interaction}" in page.text
        page = await browser.get(f"/login/forget?{interaction}")
        assert "alice" in page.text
        assert "bobby" not in page.text, "the one who is signed in is not forgotten"
        await browser.submit(account=await sub_of(rig, "bobby"))
        page = await browser.get(f"/login/forget?{interaction}")
        page = await browser.submit(account=await sub_of(rig, "alice"))
        assert page.url.path == "/login/choose"
        assert "alice" not in page.text
        assert "bobby" in page.text
        async with transaction(rig.app.state.provider.pool) as conn:
            device = browser.http.cookies["idp_device"]
            known = await list_known(conn, device, now=rig.clock())
            assert [user.username for user in known] == ["bobby"]


@pytest.mark.parametrize("wanted", ["", "nobody", "\ufeff"])
async def test_any_other_choice_is_another_account(database: str, tmp_path: Path, wanted: str) -> None:
    async with running(database, tmp_path) as rig:
        await rig.add_client()
        browser = await alice_then_bob(rig)
        await browser.get(authorization(prompt="select_account"))
        page = await browser.submit(account=wanted)
        assert page.url.path == "/login"
        assert "bobby" not in page.text


async def sub_of(rig: Rig, username: str) -> str:
    async with transaction(rig.app.state.provider.pool) as conn:
        return str(await conn.fetchval("SELECT sub FROM users WHERE username = $1", username))
