"""A copy of all that is kept of somebody."""

import json
from datetime import timedelta
from typing import Any

import httpx2

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator
from tests.driver import PASSWORD, Browser, Rig, authorization, exchange, response_of
from tests.web.account.people import make_codes, text_of


async def download(browser: Browser) -> httpx2.Response:
    return await browser.post("/account/data", {})


async def full(rig: Rig) -> tuple[Browser, dict[str, Any], list[str]]:
    """A browser of alice's, who has some of everything; the copy that she got; and what must not be in it."""
    browser = rig.browser()
    await browser.get("/register")
    await browser.submit(username="alice", password=PASSWORD, email="alice@mail.test", phone="")
    await browser.post("/account/profile", {"name": "Alice Example"})
    seed = await browser.add_totp(rig)
    await add_passkey(browser, authenticator(rig.issuer))
    codes = await make_codes(browser)
    await browser.get(authorization(scope="openid profile offline_access"))
    tokens = (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()
    answer = await download(browser)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["content-disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["cache-control"] == "no-store"
    secrets = [seed, *codes, tokens["refresh_token"], tokens["access_token"], *browser.http.cookies.values(), PASSWORD]
    return browser, json.loads(answer.text), secrets


async def test_everything_is_in_it(rig: Rig) -> None:
    _, found, _ = await full(rig)
    now = rig.clock().isoformat()
    assert found["made_at"] == now
    assert found["account"]["username"] == "alice"
    assert found["account"]["profile"] == {"name": "Alice Example"}
    assert (found["account"]["email"], found["account"]["email_verified"]) == ("alice@mail.test", False)
    assert found["email_waiting"] == "alice@mail.test"
    ways = found["authenticators"]
    assert ways["password_changed_at"] == now
    assert [one["created_at"] for one in (*ways["authenticator_apps"], *ways["passkeys"])] == [now, now]
    assert ways["recovery_codes"] == {"created_at": now, "total": 10, "left": 10}
    assert [one["address"] for one in found["sessions"]] == ["127.0.0.1"]
    assert [(one["client_id"], one["scope"]) for one in found["apps"]] == [
        ("web", ["offline_access", "openid", "profile"])
    ]
    events = [one["event"] for one in found["activity"]]
    assert events[0] == "data_downloaded"
    assert {"registered", "sign_in", "authenticator_added", "consent_given", "profile_changed"} <= set(events)


async def test_no_secret_is_in_it(rig: Rig) -> None:
    """Nor anything with which one could sign in, or check a guess."""
    _, found, secrets = await full(rig)
    text = json.dumps(found)
    async with transaction(rig.app.state.provider.pool) as conn:
        user = await conn.fetchrow("SELECT sub, password_hash FROM users")
        key = await conn.fetchrow("SELECT credential_id, public_key FROM webauthn_credentials")
        session = await conn.fetchrow("SELECT id, secret_hash FROM sessions")
    assert user is not None
    assert key is not None
    assert session is not None
    stored = [user["password_hash"], key["credential_id"].hex(), key["public_key"].hex(), session["id"]]
    for secret in (*secrets, *stored, session["secret_hash"].hex()):
        assert secret not in text
    assert user["sub"] in text


async def test_A_74_nobody_else_is_in_it(rig: Rig) -> None:
    other = rig.browser()
    await other.register("bobby")
    async with transaction(rig.app.state.provider.pool) as conn:
        bobby = await conn.fetchval("SELECT sub FROM users")
    _, found, _ = await full(rig)
    assert bobby not in json.dumps(found)
    assert "bobby" not in json.dumps(found)


async def test_A_33_it_takes_a_fresh_proof(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    rig.clock.advance(timedelta(minutes=21))
    assert "Download your data" in text_of(await browser.get("/account/data"))
    refused = await download(browser)
    assert refused.status_code == 403
    assert "Confirm that it is you" in refused.text
    await browser.submit()
    back = await browser.submit(username="alice", password=PASSWORD)
    assert back.url.path == "/account/data"
    assert (await download(browser)).headers["content-type"] == "application/json"
    stranger = rig.browser()
    assert (await download(stranger)).url.path == "/login"
    assert (await stranger.get("/account/data")).url.path == "/login"


async def test_it_is_kept_that_somebody_took_it(rig: Rig) -> None:
    browser, _, _ = await full(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT actor, details FROM audit_events WHERE event = 'data_downloaded'")
    assert [(row["actor"], row["details"]) for row in rows] == [("user", {})]
    assert "Your data was downloaded" in text_of(await browser.get("/account/activity"))
