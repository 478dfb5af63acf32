"""The audit trail over HTTP: every way in and every refusal leaves its row, and no way in opens without one."""

import base64
import json
import re
from collections.abc import AsyncIterator, Iterable
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from idp.authn.throttle import FREE, REGISTRATIONS
from idp.cli.audit import line
from idp.model.attempt import Bucket, Tally
from idp.model.event import Event
from idp.store.attempts import lock_tallies, record_tallies
from idp.store.audit_events import list_events
from idp.store.database import transaction
from tests.authn.authenticator import Authenticator
from tests.driver import (
    ISSUER,
    PASSWORD,
    Browser,
    Rig,
    authorization,
    call,
    code_of,
    exchange,
    response_of,
    running,
)

ADDRESS = "192.0.2.77"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        yield found


async def trail(rig: Rig) -> tuple[Event, ...]:
    async with transaction(rig.app.state.provider.pool) as conn:
        return await list_events(conn, limit=1000)


class Since:
    """What the trail has got since this was made."""

    def __init__(self, rig: Rig, before: Iterable[Event]) -> None:
        self._rig = rig
        self._before = {event.id for event in before}

    async def events(self) -> list[Event]:
        return [event for event in await trail(self._rig) if event.id not in self._before]

    async def names(self) -> list[str]:
        return [event.event for event in await self.events()]


async def since(rig: Rig) -> Since:
    return Since(rig, await trail(rig))


async def sub_of_alice(rig: Rig) -> str:
    return str(await value(rig, "SELECT sub FROM users WHERE username = 'alice'"))


async def value(rig: Rig, query: str) -> Any:
    async with transaction(rig.app.state.provider.pool) as conn:
        return await conn.fetchval(query)


async def execute(rig: Rig, *statements: str) -> None:
    async with transaction(rig.app.state.provider.pool) as conn:
        for statement in statements:
            await conn.execute(statement)


def options_of(page: httpx2.Response | None) -> dict[str, Any]:
    assert page is not None
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, page.text
    options: dict[str, Any] = json.loads(unescape(found[1]))
    return options


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def add_passkey(browser: Browser) -> Authenticator:
    key = Authenticator("localhost", ISSUER)
    await browser.get("/account/authenticators/add-passkey")
    options = options_of(browser.page)
    handle = decoded(options["user"]["id"])
    await browser.submit(credential=key.make(decoded(options["challenge"]), user_handle=handle), name="Blue key")
    return key


def is_placed(event: Event, answer: httpx2.Response) -> bool:
    """Whether the event tells when, from where, and in which request."""
    return (event.address, event.request_id) == (ADDRESS, answer.headers["x-request-id"])


async def sign_in(browser: Browser, username: str = "alice", password: str = PASSWORD) -> httpx2.Response:
    await browser.get("/login")
    return await browser.submit(username=username, password=password)


async def test_16_3_1_registration_and_sign_out(rig: Rig) -> None:
    """ASVS 16.3.1, 16.2.1: whose, from where, in which session and request."""
    new, browser = await since(rig), rig.browser(address=ADDRESS)
    await browser.register()
    sub, session = await sub_of_alice(rig), await value(rig, "SELECT id FROM sessions")
    registered, signed_in = await new.events()
    assert (registered.event, registered.actor, registered.sub) == ("registered", "user", sub)
    assert (signed_in.event, signed_in.sub, signed_in.session_id) == ("sign_in", sub, session)
    assert signed_in.details["acr"] == "1fa"
    assert {(event.at, event.address, bool(event.request_id)) for event in (registered, signed_in)} == {
        (rig.clock(), ADDRESS, True)
    }
    new = await since(rig)
    await browser.get("/oauth/logout")
    # A form with no field at all would have no content type here; in a browser it has one.
    await browser.submit(button="")
    [event] = await new.events()
    assert (event.event, event.sub, event.session_id) == ("sign_out", sub, session)


async def test_16_3_3_registrations_held_back(rig: Rig) -> None:
    """ASVS 16.3.3"""
    bucket, now = Bucket("register", "", "network 192.0.2.0/24"), rig.clock()
    async with transaction(rig.app.state.provider.pool) as conn:
        await lock_tallies(conn, [bucket], now)
        await record_tallies(conn, {bucket: Tally(REGISTRATIONS, REGISTRATIONS, now, now)})
    new, browser = await since(rig), rig.browser(address=ADDRESS)
    answer = await browser.register()
    [event] = await new.events()
    assert (event.event, event.actor) == ("registration_held_back", "anonymous")
    assert is_placed(event, answer)


async def test_16_3_1_a_right_password(rig: Rig) -> None:
    """ASVS 16.3.1"""
    await rig.browser().register()
    sub, new = await sub_of_alice(rig), await since(rig)
    await sign_in(rig.browser(address=ADDRESS))
    proved, signed_in = await new.events()
    assert (proved.event, proved.sub, proved.details["method"]) == ("factor_proved", sub, "password")
    assert (signed_in.event, signed_in.sub, signed_in.details["amr"]) == ("sign_in", sub, ["pwd"])


async def test_16_3_1_a_wrong_password_and_an_unknown_name(rig: Rig) -> None:
    """ASVS 16.3.1, 16.2.5: what was typed is not kept, for it may be a password."""
    await rig.browser().register()
    sub, new = await sub_of_alice(rig), await since(rig)
    typed = "Hunter2-in-the-wrong-field"
    answers = [
        await sign_in(rig.browser(address=ADDRESS), "alice", "not the right one"),
        await sign_in(rig.browser(address=ADDRESS), typed, "not the right one"),
    ]
    events = await new.events()
    assert [(event.event, event.actor, event.sub) for event in events] == [
        ("sign_in_failed", "anonymous", sub),
        ("sign_in_failed", "anonymous", None),
    ]
    assert all(map(is_placed, events, answers))
    assert {event.details["method"] for event in events} == {"password"}
    assert typed.casefold() not in repr(events).casefold()


async def test_16_3_1_a_throttled_password(rig: Rig) -> None:
    """ASVS 16.3.1, 16.3.3: even the right one, where it is held back."""
    await rig.browser().register()
    new, browser = await since(rig), rig.browser(address=ADDRESS)
    await browser.get("/login")
    for _ in range(FREE):
        await browser.submit(username="alice", password="not the right one")
    answer = await browser.submit(username="alice", password=PASSWORD)
    events = await new.events()
    assert [event.event for event in events] == ["sign_in_failed"] * FREE + ["sign_in_held_back"]
    assert events[-1].sub == await sub_of_alice(rig)
    assert is_placed(events[-1], answer)


async def test_16_3_1_an_authenticator_app(rig: Rig) -> None:
    """ASVS 16.3.1: the wrong code and the right one; half a sign-in is no sign-in."""
    owner = rig.browser()
    await owner.register()
    new = await since(rig)
    seed = await owner.add_totp(rig)
    assert await new.names() == ["authenticator_added"]
    rig.clock.advance(60)
    sub, new, browser = await sub_of_alice(rig), await since(rig), rig.browser(address=ADDRESS)
    await sign_in(browser)
    assert await new.names() == ["factor_proved"]
    right = code_of(seed, rig)
    wrong = "000000" if right != "000000" else "111111"
    assert is_placed((await new.events())[-1], await browser.submit(code=wrong)) is False
    await browser.submit(code=right)
    _, failed, proved, signed_in = await new.events()
    assert (failed.event, failed.sub, failed.details["method"]) == ("sign_in_failed", sub, "totp")
    assert (proved.event, proved.sub, proved.details["method"]) == ("factor_proved", sub, "totp")
    assert (signed_in.event, signed_in.details["acr"]) == ("sign_in", "mfa")
    assert right not in repr(await new.events())


async def test_16_3_1_a_passkey(rig: Rig) -> None:
    """ASVS 16.3.1: a good one and one whose signature is wrong."""
    owner = rig.browser()
    await owner.register()
    new = await since(rig)
    key = await add_passkey(owner)
    assert await new.names() == ["authenticator_added"]
    sub, new, browser = await sub_of_alice(rig), await since(rig), rig.browser(address=ADDRESS)
    await browser.get("/login")
    bad = key.use(decoded(options_of(browser.page)["challenge"]), signature=b"\x30\x00")
    await browser.submit(credential=bad)
    await browser.submit(credential=key.use(decoded(options_of(browser.page)["challenge"])))
    failed, proved, signed_in = await new.events()
    assert (failed.event, failed.details["method"]) == ("sign_in_failed", "webauthn")
    assert (proved.event, proved.sub, proved.details["method"]) == ("factor_proved", sub, "webauthn")
    assert proved.details["credential"]
    assert (signed_in.event, signed_in.sub) == ("sign_in", sub)


async def half_signed_in(rig: Rig) -> tuple[Browser, str]:
    """A browser whose session is from before the account had an authenticator app, and the seed of that."""
    await rig.add_client()
    owner, browser = rig.browser(), rig.browser(address=ADDRESS)
    await owner.register()
    await sign_in(browser)
    seed = await owner.add_totp(rig)
    rig.clock.advance(60)
    return browser, seed


async def test_16_3_1_a_step_up_tells_its_reasons(rig: Rig) -> None:
    """ASVS 16.3.1: which application asked for how much, and what the account asks for."""
    browser, seed = await half_signed_in(rig)
    new = await since(rig)
    await browser.get(authorization(acr_values="mfa"))
    await browser.submit(code=code_of(seed, rig))
    proved, raised = await new.events()
    assert (proved.event, proved.client_id) == ("factor_proved", "web")
    assert (raised.event, raised.client_id, raised.details["acr"]) == ("step_up", "web", "mfa")
    assert raised.details["reasons"] == ["application_request: mfa", "account: mfa"]


# No way in without its row.

FAILS = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.event = TG_ARGV[0] THEN
        RAISE EXCEPTION 'the trail cannot be written' USING ERRCODE = TG_ARGV[1];
    END IF;
    RETURN NEW;
END
$body$
"""


async def break_trail(rig: Rig, event: str, code: str) -> None:
    trigger = (
        f"CREATE TRIGGER fail BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION fail('{event}', '{code}')"
    )
    await execute(rig, FAILS, trigger)


def has_session(browser: Browser) -> bool:
    return any("session" in cookie.name for cookie in browser.http.cookies.jar)


@pytest.mark.parametrize(("code", "status"), [("P0001", 500), ("53100", 503)], ids=["broken", "F8"])
@pytest.mark.parametrize("event", ["factor_proved", "sign_in"])
async def test_16_5_3_no_sign_in_without_its_row(rig: Rig, event: str, code: str, status: int) -> None:
    """ASVS 16.5.3: neither a session nor a cookie nor any step of the sign-in; and all is well once rows are kept."""
    await rig.browser().register()
    await execute(rig, "DELETE FROM sessions", "DELETE FROM interactions")
    await break_trail(rig, event, code)
    new, browser = await since(rig), rig.browser(raises=False)
    answer = await sign_in(browser)
    assert answer.status_code == status
    assert "trail" not in answer.text
    assert not has_session(browser)
    assert await value(rig, "SELECT count(*) FROM sessions") == 0
    assert await value(rig, "SELECT count(*) FROM interactions WHERE sub IS NOT NULL") == 0
    assert await new.names() == []
    await execute(rig, "DROP TRIGGER fail ON audit_events")
    await sign_in(browser)
    assert has_session(browser)
    assert await new.names() == ["factor_proved", "sign_in"]


async def test_16_5_3_no_account_without_its_row(rig: Rig) -> None:
    """ASVS 16.5.3"""
    await break_trail(rig, "registered", "P0001")
    browser = rig.browser(raises=False)
    assert (await browser.register()).status_code == 500
    assert not has_session(browser)
    assert await value(rig, "SELECT count(*) FROM users") == 0


async def test_16_5_3_no_step_up_without_its_row(rig: Rig) -> None:
    """ASVS 16.5.3: the session stays what it was."""
    browser, seed = await half_signed_in(rig)
    session = "SELECT (id, secret_hash, evidence)::text FROM sessions ORDER BY jsonb_array_length(evidence) LIMIT 1"
    before = await value(rig, session)
    await break_trail(rig, "step_up", "53100")
    await browser.get("/account")
    assert (await browser.submit(code=code_of(seed, rig))).status_code == 503
    assert await value(rig, session) == before
    await browser.get("/account")
    assert "/login" in str(browser.page and browser.page.url)


# Refusals.


async def test_16_3_2_refused_requests(rig: Rig) -> None:
    """ASVS 16.3.2, 16.3.3: what was refused, why, and in whose name it came."""
    await rig.add_client()
    new, browser = await since(rig), rig.browser(address=ADDRESS)
    answers = [
        await browser.get(authorization(redirect_uri="https://evil.test/cb")),
        await browser.get(authorization(client_id="nobody")),
        await browser.http.get(authorization(code_challenge_method="plain")),
        await browser.http.get("/oauth/userinfo", headers={"authorization": "Bearer nonsense"}),
        await browser.http.post("/oauth/token", data={"grant_type": "x"}, auth=("web", "wrong")),
        await browser.http.post("/oauth/token", data={"grant_type": "x"}, auth=("ghost", "wrong")),
        await browser.http.post("/oauth/token", data={"grant_type": "x"}, auth=("web", rig.secret)),
    ]
    events = await new.events()
    assert [(event.event, event.details["error"]) for event in events] == [
        ("request_refused", "redirect_uri_mismatch"),
        ("request_refused", "client_unknown"),
        ("request_refused", "invalid_request"),
        ("token_refused", "invalid_token"),
        ("request_refused", "invalid_client"),
        ("request_refused", "invalid_client"),
        ("request_refused", "unsupported_grant_type"),
    ]
    assert [event.client_id for event in events[2:]] == ["web", None, "web", "ghost", "web"]
    assert all(map(is_placed, events, answers))


async def test_16_3_3_what_ends_a_grant_is_kept_with_its_end(rig: Rig) -> None:
    """ASVS 16.3.3, A-12, A-14: committed with the revocation, though the answer is a refusal."""
    await rig.add_client()
    browser = rig.browser()
    await browser.register()
    await browser.get(authorization())
    code = response_of(await browser.submit(decision="allow"))["code"]
    assert (await exchange(rig, code)).status_code == 200
    new = await since(rig)
    assert (await exchange(rig, code)).status_code == 400
    revoked, refused = await new.events()
    assert (revoked.event, revoked.actor, revoked.client_id) == ("authorization_revoked", "client", "web")
    assert (revoked.sub, revoked.details["reason"]) == (await sub_of_alice(rig), "the code was used again")
    assert (refused.event, refused.details["error"]) == ("request_refused", "invalid_grant")
    assert await value(rig, "SELECT revoked_at IS NOT NULL FROM authorizations") is True
    assert code not in repr(await trail(rig))


async def test_16_3_3_a_client_gives_its_tokens_back(rig: Rig) -> None:
    """ASVS 16.3.3: once; and using a token leaves nothing."""
    await rig.add_client()
    tokens = (await call(rig, "/oauth/token", {"grant_type": "client_credentials", "scope": "api"})).json()
    new = await since(rig)
    assert (await call(rig, "/oauth/introspect", {"token": tokens["access_token"]})).json()["active"] is True
    assert await new.names() == []
    assert (await call(rig, "/oauth/revoke", {"token": tokens["access_token"]})).status_code == 200
    [event] = await new.events()
    assert (event.event, event.actor, event.client_id) == ("token_revoked", "client", "web")
    assert tokens["access_token"] not in repr(event)


async def test_A_57_and_16_4_1_what_is_sent_adds_no_line(rig: Rig) -> None:
    """ASVS 16.4.1: line ends, terminal codes and NULs in every place that reaches the trail."""
    await rig.add_client()
    evil = "x\r\n2026-01-02 03:04:05Z sign_in user user=admin\x1b[2K\u2028\x00"
    new, browser = await since(rig), rig.browser(raises=False)
    for fields in ({"username": evil, "password": evil}, {"username": "x\nadmin", "password": "\x1b"}, {"code": evil}):
        await browser.get("/login")
        await browser.submit(**fields)
    await browser.get(authorization(client_id=evil))
    await browser.get(authorization(redirect_uri=evil))
    await browser.http.get("/oauth/userinfo", headers={b"authorization": b"Bearer x\x1b\xff"})
    await browser.http.post("/oauth/token", data={"client_id": evil, "client_secret": evil, "grant_type": evil})
    quoted = base64.b64encode(b"a%0Ab%00c:d").decode()
    form = {"grant_type": "client_credentials"}
    answer = await browser.http.post("/oauth/token", data=form, headers={"authorization": f"Basic {quoted}"})
    assert answer.status_code == 401
    events = await new.events()
    assert len(events) >= 6
    assert events[-1].client_id == r"a\nb\x00c"
    assert all(line(event, None).isprintable() for event in events)
    assert [event for event in events if event.event == "sign_in"] == []
