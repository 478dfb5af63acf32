"""Where others send a user's browser, what a form says beyond what it should, what a client asks beyond its due."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.driver import (
    PASSWORD,
    Browser,
    Rig,
    authorization,
    call,
    exchange,
    response_of,
    running,
)


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client(scope=("openid", "profile", "offline_access"))
        yield found


async def signed_in(rig: Rig, username: str) -> Browser:
    """The browser of a user who has just registered."""
    browser = rig.browser()
    await browser.register(username)
    return browser


async def is_signed_in(browser: Browser) -> bool:
    """Whether the account page is shown without further questions."""
    return (await browser.get("/account")).url.path == "/account"


async def id_token_of(rig: Rig, browser: Browser) -> str:
    """An ID token of the user of this browser."""
    await browser.get(authorization())
    answer = response_of(await browser.submit(decision="allow"))
    return str((await exchange(rig, answer["code"])).json()["id_token"])


@pytest.mark.parametrize(
    "step",
    [
        "/login",
        "/login/another-way",
        "/login/choose",
        "/login/other-account",
        "/login/cancel",
        "/register",
        "/consent",
    ],
)
async def test_A_52_a_flow_of_mallorys_is_nothing_in_alices_browser(rig: Rig, step: str) -> None:
    """Nor do forms sent there prove anything for mallory (ASVS 7.6.2, 10.1.2)."""
    alice, mallory = await signed_in(rig, "alice"), rig.browser()
    begun = urlsplit(str((await mallory.get(authorization())).url)).query
    refused = await alice.get(f"{step}?{begun}")
    assert refused.status_code in {400, 403}
    assert 'data-error="interaction_gone"' in refused.text
    for fields in ({"username": "alice", "password": PASSWORD}, {"decision": "allow"}):
        sent = await alice.http.post(f"{step}?{begun}", data=fields)
        assert sent.status_code in {400, 403, 405} or (sent.status_code, step) == (303, "/login/another-way")
        assert "idp_session" not in sent.cookies
    assert await is_signed_in(alice)
    assert not await is_signed_in(mallory)
    assert (await mallory.get(authorization())).url.path == "/login"


@pytest.mark.parametrize("target", ["https://evil.test/", "javascript:alert(1)", "https://rp.test/?x", "//rp.test/"])
async def test_A_55_after_a_sign_out_nobody_is_sent_astray(rig: Rig, target: str) -> None:
    alice = await signed_in(rig, "alice")
    hint = await id_token_of(rig, alice)
    answer = await alice.get(f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={quote(target, safe='')}")
    assert answer.status_code == 400
    assert 'data-error="logout_refused"' in answer.text
    assert target not in answer.text
    assert await is_signed_in(alice), "a refused request ends nothing"


async def test_A_55_a_registered_address_needs_its_hint(rig: Rig) -> None:
    """ASVS 3.7.2."""
    alice = await signed_in(rig, "alice")
    target = quote("https://rp.test/", safe="")
    assert (await alice.get(f"/oauth/logout?post_logout_redirect_uri={target}")).status_code == 400
    hint = await id_token_of(rig, alice)
    gone = await alice.http.get(f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={target}&state=xyz")
    assert (gone.status_code, gone.headers["location"]) == (303, "https://rp.test/?state=xyz")
    assert not await is_signed_in(alice)


async def test_A_56_nobody_else_signs_a_user_out(rig: Rig) -> None:
    """By a picture, by another user's hint, by a form of another site, by a form without the browser's cookie."""
    alice, bob = await signed_in(rig, "alice"), await signed_in(rig, "bob")
    hint = await id_token_of(rig, bob)
    for address in ("/oauth/logout", f"/oauth/logout?id_token_hint={hint}", "/logout", "/account/sign-out"):
        answer = await alice.http.get(address, headers={"Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code in {200, 405}
        assert await is_signed_in(alice), address
    for address in ("/logout", "/account/sign-out"):
        assert (await alice.http.post(address, data={}, headers={"Origin": "https://evil.test"})).status_code == 403
        assert await is_signed_in(alice), address
    async with rig.browser().http as stranger:
        await stranger.post("/logout", data={"id_token_hint": hint})
        # What another site posts comes without the cookie: the answer must not take it away from the browser.
        posted = await stranger.post("/oauth/logout", data={"state": "x"})
        assert (posted.status_code, posted.headers["location"]) == (303, "/oauth/logout?state=x")
        assert "set-cookie" not in posted.headers
    assert await is_signed_in(bob)


FORBIDDEN = {
    "sub": "chosen-by-me",
    "is_admin": "true",
    "email_verified": "true",
    "phone_verified": "true",
    "mfa_enabled": "true",
    "acr": "phr",
    "disabled_at": "",
    "password_hash": "x",
    "created_at": "2001-01-01",
    "profile": '{"name": "Root"}',
}


async def test_A_60_extra_fields_change_nothing(rig: Rig) -> None:
    """ASVS 15.3.3."""
    browser = rig.browser()
    await browser.get("/register")
    own = {"username": "mallory", "password": PASSWORD, "email": "m@mail.example", "phone": "+447700900123"}
    assert (await browser.submit(**own, **FORBIDDEN)).url.path == "/account"
    async with rig.app.state.provider.pool.acquire() as conn:
        row = await conn.fetchrow("SELECT sub, email_verified, phone_verified, profile, password_hash FROM users")
    assert (row["email_verified"], row["phone_verified"], row["profile"]) == (False, False, {})
    assert row["sub"] != "chosen-by-me"
    assert row["password_hash"].startswith("$argon2id$")


async def test_A_60_no_answer_holds_a_secret_or_a_hash(rig: Rig) -> None:
    """The pages of an account, and what a client is told of its tokens (ASVS 15.3.1)."""
    alice = await signed_in(rig, "alice")
    seed = await alice.add_totp(rig)
    await alice.get(authorization(scope="openid profile offline_access"))
    tokens = (await exchange(rig, response_of(await alice.submit(decision="allow"))["code"])).json()
    told = [(await alice.get(path)).text for path in ("/account", "/account/authenticators")]
    told += [
        (await call(rig, "/oauth/introspect", {"token": tokens[kind]})).text
        for kind in ("access_token", "refresh_token")
    ]
    async with rig.browser().http as http:
        told.append(
            (await http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})).text
        )
    secrets = [seed, rig.secret, "argon2", tokens["refresh_token"], *alice.http.cookies.values()]
    assert [secret for secret in secrets for text in told if secret in text] == []


async def test_A_73_nothing_is_given_that_was_not_allowed(rig: Rig) -> None:
    """ASVS 10.4.11, 10.7.1: not silently, not beyond the client's own, not by what a form adds."""
    alice = await signed_in(rig, "alice")
    silent = response_of(await alice.http.get(authorization(prompt="none")))
    assert silent["error"] == "consent_required"
    await alice.get(authorization(scope="openid profile email phone api"))
    answer = await alice.submit(decision="allow", scope="openid profile email api admin")
    tokens = (await exchange(rig, response_of(answer)["code"])).json()
    assert set(tokens["scope"].split()) == {"openid", "profile"}


@pytest.mark.parametrize("decision", ["", "yes", "ALLOW", "allow deny"])
async def test_A_73_only_allow_allows(rig: Rig, decision: str) -> None:
    alice = await signed_in(rig, "alice")
    await alice.get(authorization())
    assert (await alice.submit(decision=decision)).url.path == "/consent"
    assert response_of(await alice.http.get(authorization(prompt="none")))["error"] == "consent_required"
