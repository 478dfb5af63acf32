"""The page of what the owner says of themselves."""

from datetime import timedelta

import httpx2
import pytest

from idp.store.database import transaction
from tests.driver import Browser, Rig, authorization, call, exchange, response_of
from tests.web.account.people import error_on, text_of

FULL = {
    "name": "Alice Example",
    "given_name": "Alice",
    "family_name": "Example",
    "nickname": "Al",
    "locale": "pt-BR",
    "zoneinfo": "Europe/Paris",
}


async def save(browser: Browser, **fields: str) -> httpx2.Response:
    """The page after the form."""
    return await browser.post("/account/profile", fields)


async def told(rig: Rig, browser: Browser) -> dict[str, object]:
    """What userinfo tells an app that may see the profile."""
    answer = await browser.get(authorization(scope="openid profile"))
    if not answer.is_redirect:
        answer = await browser.submit(decision="allow")
    token = (await exchange(rig, response_of(answer)["code"])).json()["access_token"]
    async with rig.browser().http as http:
        headers = {"authorization": f"Bearer {token}"}
        return dict((await http.get("/oauth/userinfo", headers=headers)).json())


async def events(rig: Rig) -> list[dict[str, object]]:
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT details FROM audit_events WHERE event = 'profile_changed' ORDER BY id")
    return [dict(row["details"]) for row in rows]


async def test_what_is_saved_is_what_apps_are_told(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    rig.clock.advance(timedelta(hours=1) - timedelta(minutes=1))
    page = await save(browser, **FULL)
    assert "Seu perfil está salvo." in text_of(page), "from now on in the language that was just chosen"
    assert 'value="Alice Example"' in page.text
    found = await told(rig, browser)
    assert found | FULL == found
    assert found["updated_at"] == rig.clock().timestamp()
    assert found["preferred_username"] == "alice"
    assert await events(rig) == [{"fields": list(FULL)}], "the names of what changed, and none of it"


async def test_the_question_of_consent_shows_all_that_the_app_would_see(rig: Rig) -> None:
    """ASVS 10.7.2."""
    browser = rig.browser()
    await browser.register()
    await save(browser, **FULL)
    asked = text_of(await browser.get(authorization(scope="openid profile")))
    for value in FULL.values():
        assert value in asked


async def test_what_is_left_empty_is_there_no_more(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await save(browser, **FULL)
    await save(browser, name="  Alice   of  Here ")
    found = await told(rig, browser)
    assert found["name"] == "Alice of Here"
    assert not set(found) & (set(FULL) - {"name"})
    await save(browser, name="Alice of Here")
    assert len(await events(rig)) == 2, "nothing changed the third time"


async def test_what_the_operator_knows_beside_it_stays(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET profile = $1", {"birthdate": "2000-01-01", "nickname": "A"})
    await save(browser, name="Alice", birthdate="1990-01-01", sub="other", email_verified="true")
    found = await told(rig, browser)
    assert (found["name"], found["birthdate"]) == ("Alice", "2000-01-01")
    assert "nickname" not in found


REFUSED = {
    "long": ("name", "x" * 65, "profile_long"),
    "very long": ("name", "x" * 4000, "profile_long"),
    "no character": ("given_name", "Ali\ue000ce", "profile_characters"),
    "right to left": ("nickname", "ecila\N{RIGHT-TO-LEFT OVERRIDE}", "profile_characters"),
    "a language": ("locale", "English", "locale_unknown"),
    "a path": ("zoneinfo", "../../etc/passwd", "zoneinfo_unknown"),
    "no zone": ("zoneinfo", "Europe/Atlantis", "zoneinfo_unknown"),
}


@pytest.mark.parametrize(("field", "value", "cause"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_is_refused_beside_its_field(rig: Rig, field: str, value: str, cause: str) -> None:
    browser = rig.browser()
    await browser.register()
    await save(browser, nickname="Al")
    page = await save(browser, **{"name": "Alice", field: value})
    assert page.status_code == 400
    assert f'data-error="{cause}"' in page.text
    assert error_on(page) == cause
    assert 'aria-invalid="true"' in page.text
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await conn.fetchval("SELECT profile FROM users") == {"nickname": "Al"}


async def test_names_of_all_scripts_are_names(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    for name in ("Zoë O’Brien-Smith", "山田 花子", "می\N{ZERO WIDTH NON-JOINER}خواهم", "<script>alert(1)</script>"):
        assert (await save(browser, name=name)).status_code == 200
        assert (await told(rig, browser))["name"] == name
    assert "<script>alert(1)" not in (await browser.get("/account/profile")).text
    assert "<script>alert(1)" not in (await browser.get("/account")).text


async def test_A_74_nobody_at_all_changes_nothing(rig: Rig) -> None:
    browser, stranger, mallory = rig.browser(), rig.browser(), rig.browser()
    await browser.register()
    assert (await save(stranger, name="Mallory")).url.path == "/login"
    await mallory.register("mallory")
    await save(mallory, name="Mallory", sub="alice", username="alice")
    assert "Mallory" not in (await browser.get("/account/profile")).text
    assert (await call(rig, "/account/profile", {"name": "Mallory"})).status_code == 303
