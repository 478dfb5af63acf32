"""Each act that matters leaves exactly one row, and does not happen without it.

`ACTS` provokes every event that docs/audit.md explains. First the database refuses the row, and then nothing may have
changed; then it takes the row, and the row must be what the document says.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from idp.authn.sending import CLAIMS_PER_RECIPIENT
from idp.authn.throttle import FREE, MAILS, MOST_MISSES, RECOVERIES_PER_NETWORK, REGISTRATIONS
from idp.model.attempt import Bucket, Tally
from idp.model.event import Event
from idp.store import groups
from idp.store.attempts import lock_tallies, record_tallies
from idp.store.audit_events import list_events
from idp.store.database import transaction
from idp.web.recover.factor_recovery import REQUESTS
from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on, decoded, use_passkey
from tests.driver import CALLBACK, PASSWORD, VERIFIER, Browser, Rig, authorization, code_of, mails, response_of, running
from tests.texting import SMS, newest_code
from tests.web.losing import remind_ripe
from tests.web.recovering import NEW, follow, prove_address, secret_of

ADDRESS = "192.0.2.77"
AUDIT = Path(__file__).parents[2] / "docs" / "audit.md"
SETTINGS = {
    **SMS,
    "IDP_TRUSTED_DEVICE_DAYS": "30",
    # Nobody listens there.
    "IDP_BREACHED_PASSWORDS_URL": "http://127.0.0.1:9/range/",
}

Do = Callable[[], Awaitable[httpx2.Response | None]]
Setup = Callable[["Scene"], Awaitable[Do]]


@pytest.fixture
async def scene(database: str, tmp_path: Path) -> AsyncIterator["Scene"]:
    async with running(database, tmp_path, **SETTINGS) as rig:
        yield Scene(rig, database, tmp_path)


@dataclass(frozen=True)
class Act:
    """How an event comes about, and what its row has to have beside a time and a request."""

    setup: Setup
    has: frozenset[str]
    refusal: bool = False


ACTS: dict[str, Act] = {}
"""By the name of the event, and of the variant where there are several."""


def act(name: str, *has: str, refusal: bool = False) -> Callable[[Setup], Setup]:
    """Register how this event comes about; its row ``has`` these. A ``refusal`` is one whether or not it is kept."""

    def register(setup: Setup) -> Setup:
        ACTS[name] = Act(setup, frozenset(has), refusal)
        return setup

    return register


@dataclass
class Scene:
    """An installation with people that know nothing of one another, each with a name of their own."""

    rig: Rig
    database: str
    home: Path
    people: int = 0
    seeds: dict[str, str] = field(default_factory=dict)
    digests: str = ""
    before: dict[str, str] | None = None
    """What was in the database before the last request, once that is wished to be known."""

    def browser(self) -> Browser:
        """A browser that is answered whatever happens."""
        return self.seen(self.rig.browser(address=ADDRESS, raises=False))

    def seen(self, browser: Browser) -> Browser:
        """The same browser, before each of whose requests the database is looked at if that is wished for."""
        browser.http.event_hooks["request"].append(self._look)
        return browser

    async def _look(self, request: httpx2.Request) -> None:
        # What only looks changes nothing that is compared.
        if self.before is not None and request.method == "POST":
            self.before = await self.kept()

    async def newcomer(self, *, app: bool = False, email: bool = False) -> tuple[Browser, str]:
        """Somebody who has just signed up, with an authenticator app or a proved address if so wished; their name."""
        self.people += 1
        browser, name = self.browser(), f"person{self.people}"
        await browser.get("/register")
        assert (await browser.submit(username=name, password=PASSWORD, email="", phone="")).url.path == "/account"
        if email:
            await prove_address(self.rig, name, f"{name}@mail.test")
        if app:
            self.seeds[name] = await browser.add_totp(self.rig)
            self.rig.clock.advance(60)
        return browser, name

    def number(self) -> str:
        """A number that nobody has, far from all others."""
        self.people += 1
        return f"+4477{self.people:04}0123"

    async def client(self) -> str:
        """A client of the test's own."""
        self.people += 1
        client_id = f"client{self.people}"
        await self.rig.add_client(client_id)
        return client_id

    async def consented(self, browser: Browser, client_id: str) -> str:
        """A code of this client, allowed by who is signed in."""
        page = await browser.get(authorization(client_id=client_id))
        answer = await browser.submit(decision="allow") if page.status_code == 200 else page
        return response_of(answer)["code"]

    async def tokens(self, browser: Browser, client_id: str) -> dict[str, Any]:
        """Tokens of this client."""
        code = await self.consented(browser, client_id)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return dict((await self.post("/oauth/token", client_id, **form)).json())

    async def post(self, path: str, client_id: str, **form: str) -> httpx2.Response:
        """A request of this client."""
        return await self.browser().http.post(path, data=form, auth=(client_id, self.rig.secret))

    def otp(self, name: str) -> str:
        """What the app of this person shows, for the first time."""
        self.rig.clock.advance(60)
        return code_of(self.seeds[name], self.rig)

    async def execute(self, *statements: str) -> None:
        async with transaction(self.rig.app.state.provider.pool) as conn:
            for statement in statements:
                await conn.execute(statement)

    async def value(self, query: str, *values: object) -> Any:
        async with transaction(self.rig.app.state.provider.pool) as conn:
            return await conn.fetchval(query, *values)

    async def sub(self, name: str) -> str:
        return str(await self.value("SELECT sub FROM users WHERE username = $1", name))

    async def last(self) -> int:
        return int(await self.value("SELECT coalesce(max(id), 0) FROM audit_events"))

    async def events(self, after: int) -> tuple[Event, ...]:
        async with transaction(self.rig.app.state.provider.pool) as conn:
            return await list_events(conn, after=after, limit=1000)

    async def kept(self) -> dict[str, str]:
        """A digest of each table, but for what looking at a page changes and for what was counted."""
        async with transaction(self.rig.app.state.provider.pool) as conn:
            if not self.digests:
                named = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
                tables = {row["tablename"] for row in named} - {"audit_events", "attempts"}
                self.digests = " UNION ALL ".join(DIGEST.format(table=one, only=ONLY.get(one, "")) for one in tables)
            return {row["table"]: row["digest"] for row in await conn.fetch(self.digests)}

    @asynccontextmanager
    async def without(self, event: str) -> AsyncIterator[None]:
        """Let the database refuse rows of this event, as a full disk would."""
        await self.execute(FAILS, TRIGGER.format(event=event))
        try:
            yield
        finally:
            await self.execute("DROP TRIGGER fail ON audit_events", "DROP FUNCTION fail")


DIGEST = """
SELECT '{table}' AS table, md5(string_agg(kept, chr(10) ORDER BY kept)) AS digest
FROM (
    SELECT (
        to_jsonb(one) - '{{challenge,challenge_at,seen_at,last_used_at,last_step,sign_count,used_at}}'::text[]
    )::text
    FROM {table} AS one {only}
) AS rows (kept)
"""
ONLY = {"interactions": "WHERE sub IS NOT NULL"}
FAILS = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.event = TG_ARGV[0] THEN
        RAISE EXCEPTION 'the trail cannot be written';
    END IF;
    RETURN NEW;
END
$body$
"""
TRIGGER = "CREATE TRIGGER fail BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION fail('{event}')"


async def at_login(browser: Browser, **changes: str) -> None:
    """The browser at the password, in a request or on a visit of its own."""
    await browser.get(authorization(**changes) if changes else "/login")


# Registering and signing in.


@act("registered", "sub")
async def _(scene: Scene) -> Do:
    browser = scene.browser()

    async def do() -> httpx2.Response:
        await browser.get("/register")
        return await browser.submit(username="newcomer", password=PASSWORD, email="", phone="")

    return do


@act("registration_held_back", refusal=True)
async def _(scene: Scene) -> Do:
    bucket, now = Bucket("register", "", "network 198.51.100.0/24"), scene.rig.clock()
    async with transaction(scene.rig.app.state.provider.pool) as conn:
        await lock_tallies(conn, [bucket], now)
        await record_tallies(conn, {bucket: Tally(REGISTRATIONS, REGISTRATIONS, now, now)})
    browser = scene.seen(scene.rig.browser(address="198.51.100.9", raises=False))

    async def do() -> httpx2.Response:
        await browser.get("/register")
        return await browser.submit(username="late", password=PASSWORD, email="", phone="")

    return do


def by_password(event: str, *has: str) -> None:
    @act(event, "sub", "client_id", *has)
    async def _(scene: Scene) -> Do:
        _, name = await scene.newcomer()
        client_id, browser = await scene.client(), scene.browser()

        async def do() -> httpx2.Response:
            await at_login(browser, client_id=client_id)
            return await browser.submit(username=name, password=PASSWORD)

        return do


by_password("factor_proved")
by_password("sign_in", "session_id")


def within_session(event: str, *, right: bool = True) -> None:
    """Register a second step in a session of the password alone, from before there was an app."""

    @act(event, "sub", "client_id", "session_id")
    async def _(scene: Scene) -> Do:
        browser, name = await scene.newcomer()
        client_id, other = await scene.client(), scene.browser()
        await at_login(other)
        await other.submit(username=name, password=PASSWORD)
        scene.seeds[name] = await other.add_totp(scene.rig)

        async def do() -> httpx2.Response:
            code = scene.otp(name)
            await at_login(browser, client_id=client_id, acr_values="mfa")
            return await browser.submit(code=code if right else f"{(int(code) + 1) % 1_000_000:06}")

        return do


within_session("step_up")
within_session("factor_proved: within a session")
within_session("sign_in_failed: within a session", right=False)


@act("sign_in_failed", "sub", "client_id")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer()
    client_id, browser = await scene.client(), scene.browser()

    async def do() -> httpx2.Response:
        await at_login(browser, client_id=client_id)
        return await browser.submit(username=name, password="not the right one")

    return do


@act("sign_in_failed: whose key it is", "sub", "client_id")
async def _(scene: Scene) -> Do:
    """A counter that does not grow: somebody may have a copy, so it matters whose (A-45)."""
    owner, name = await scene.newcomer()
    device = authenticator(scene.rig.issuer, counter=10, credential_id=f"key of {name}".encode())
    await add_passkey(owner, device)
    client_id, browser = await scene.client(), scene.browser()

    async def do() -> httpx2.Response:
        await at_login(browser, client_id=client_id)
        return await use_passkey(browser, device, counter=9)

    return do


@act("sign_in_held_back", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer()
    browser = scene.browser()
    await at_login(browser)
    for _ in range(FREE):
        await browser.submit(username=name, password="not the right one")

    async def do() -> httpx2.Response:
        await at_login(browser)
        return await browser.submit(username=name, password=PASSWORD)

    return do


@act("factor_locked", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True)
    sub, now = await scene.sub(name), scene.rig.clock()
    browser = scene.browser()

    async def do() -> httpx2.Response:
        scene.rig.clock.advance(7200)
        bucket, long_ago = Bucket("totp", sub, ""), scene.rig.clock() - timedelta(hours=2)
        async with transaction(scene.rig.app.state.provider.pool) as conn:
            await lock_tallies(conn, [bucket], now)
            await record_tallies(conn, {bucket: Tally(MOST_MISSES - 1, 0, long_ago, long_ago)})
        await at_login(browser)
        await browser.submit(username=name, password=PASSWORD)
        return await browser.submit(code="000000")

    return do


@act("code_sent", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    number = scene.number()

    async def do() -> httpx2.Response:
        await browser.get("/account/authenticators/add-phone?another=1")
        return await browser.post("/account/authenticators/add-phone", {"phone": number})

    return do


@act("code_held_back", "sub", "session_id", refusal=True)
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    number = scene.number()
    for _ in range(CLAIMS_PER_RECIPIENT):
        await browser.post("/account/authenticators/add-phone", {"phone": number})

    async def do() -> httpx2.Response:
        return await browser.post("/account/authenticators/add-phone", {"phone": number})

    return do


def with_number(event: str, *, right: bool, misses: int = 0) -> None:
    @act(event, "sub", "session_id")
    async def _(scene: Scene) -> Do:
        browser, _ = await scene.newcomer()
        number = scene.number()

        async def do() -> httpx2.Response:
            await browser.get("/account/authenticators/add-phone?another=1")
            await browser.post("/account/authenticators/add-phone", {"phone": number})
            code = await newest_code(scene.rig)
            typed = code if right else f"{(int(code) + 1) % 1_000_000:06}"
            for _ in range(misses):
                await browser.post("/account/authenticators/add-phone", {"code": "x"})
            return await browser.post("/account/authenticators/add-phone", {"code": typed})

        return do


with_number("authenticator_added: a number", right=True)
with_number("number_refused", right=False)


# What the organisation asks, and trusted browsers.


@act("enrolment_deferred", "sub", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    browser, name = await scene.newcomer()
    client_id = await scene.client()
    await scene.consented(browser, client_id)
    await put_into_group(scene, name)

    async def do() -> httpx2.Response:
        await browser.get(authorization(client_id=client_id))
        return await browser.submit()

    return do


@act("enrolment_enforced", "sub", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    browser, name = await scene.newcomer()
    client_id = await scene.client()
    await put_into_group(scene, name)
    past = scene.rig.clock() - timedelta(days=1)
    async with transaction(scene.rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET enrolment_due_at = $1 WHERE username = $2", past, name)

    async def do() -> httpx2.Response:
        return await browser.get(authorization(client_id=client_id))

    return do


async def put_into_group(scene: Scene, name: str) -> None:
    sub = await scene.sub(name)
    async with transaction(scene.rig.app.state.provider.pool) as conn:
        await groups.create_group(conn, f"group-of-{name}", "mfa", now=scene.rig.clock())
        await groups.add_member(conn, f"group-of-{name}", sub)


async def trusting(scene: Scene) -> tuple[Browser, str, str]:
    """A browser that its owner trusts and is signed in to, their name, and a client that they have allowed."""
    owner, name = await scene.newcomer(app=True, email=True)
    client_id, browser = await scene.client(), scene.browser()
    await scene.consented(owner, client_id)
    await at_login(browser, client_id=client_id)
    await browser.submit(username=name, password=PASSWORD)
    assert "code" in response_of(await browser.submit(code=scene.otp(name), trust="1"))
    return browser, name, client_id


@act("device_trusted", "sub", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    owner, name = await scene.newcomer(app=True)
    client_id, browser = await scene.client(), scene.browser()
    await scene.consented(owner, client_id)

    async def do() -> httpx2.Response:
        await at_login(browser, client_id=client_id)
        await browser.submit(username=name, password=PASSWORD)
        return await browser.submit(code=scene.otp(name), trust="1")

    return do


def ends_trust(name: str, *has: str) -> Callable[[Callable[[Scene, Browser, str], Do]], None]:
    """Register one way in which a browser is trusted no more."""

    def register(way: Callable[[Scene, Browser, str], Do]) -> None:
        @act(f"device_trust_ended: {name}", "sub", *has)
        async def _(scene: Scene) -> Do:
            browser, person, _ = await trusting(scene)
            return way(scene, browser, person)

    return register


@ends_trust("asked again", "session_id")
def _(_scene: Scene, browser: Browser, _person: str) -> Do:
    return lambda: browser.post("/account/sessions/ask-again", {})


@ends_trust("a new password", "session_id")
def _(_scene: Scene, browser: Browser, _person: str) -> Do:
    return lambda: browser.post("/account/password", {"current_password": PASSWORD, "password": NEW})


@ends_trust("signed out elsewhere", "session_id")
def _(scene: Scene, _browser: Browser, person: str) -> Do:
    async def do() -> httpx2.Response:
        desk = scene.browser()
        await at_login(desk)
        await desk.submit(username=person, password=PASSWORD)
        await desk.submit(code=scene.otp(person))
        return await desk.post("/account/sessions/end-others", {})

    return do


@ends_trust("a reset")
def _(scene: Scene, _browser: Browser, person: str) -> Do:
    async def do() -> httpx2.Response:
        browser = scene.browser()
        await at_reset(scene, browser, person)
        await browser.submit(code=scene.otp(person))
        return await browser.submit(password=NEW)

    return do


@ends_trust("the account forgotten by the browser")
def _(scene: Scene, browser: Browser, person: str) -> Do:
    async def do() -> httpx2.Response:
        await browser.post("/logout", {})
        page = await browser.get(authorization(client_id=await scene.client(), prompt="select_account"))
        return await browser.post(f"/login/forget?{page.url.query.decode()}", {"account": await scene.sub(person)})

    return do


# Sessions.


@act("sign_out", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    return lambda: browser.post("/account/sign-out", {})


@act("sign_out: another account takes the browser", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    _, other = await scene.newcomer()

    async def do() -> httpx2.Response:
        scene.rig.clock.advance(1)
        await at_login(browser, client_id=await scene.client(), prompt="login")
        assert browser.page is not None
        return await browser.post(
            f"/login?{browser.page.url.query.decode()}", {"username": other, "password": PASSWORD}
        )

    return do


@act("sign_out: another account is wanted", "sub", "session_id", "client_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    client_id = await scene.client()

    async def do() -> httpx2.Response:
        page = await browser.get(authorization(client_id=client_id))
        return await browser.get(f"/login/other-account?{page.url.query.decode()}")

    return do


@act("session_ended", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, name = await scene.newcomer()
    other = scene.browser()
    await at_login(other)
    await other.submit(username=name, password=PASSWORD)

    async def do() -> httpx2.Response:
        page = await browser.get("/account/sessions")
        [ended] = re.findall(r"/account/sessions/(\w+)/end\"", page.text)
        return await browser.post(f"/account/sessions/{ended}/end", {})

    return do


@act("sessions_ended", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    return lambda: browser.post("/account/sessions/end-others", {})


# What one signs in with.


@act("authenticator_added", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()

    async def do() -> httpx2.Response:
        await browser.add_totp(scene.rig)
        assert browser.page is not None
        return browser.page

    return do


def with_passkey(event: str, **switches: Any) -> None:
    @act(event, "sub", "session_id")
    async def _(scene: Scene) -> Do:
        browser, name = await scene.newcomer()
        device = authenticator(scene.rig.issuer, credential_id=f"key of {name}".encode())

        async def do() -> httpx2.Response:
            asked = ceremony_on(await browser.get("/account/authenticators/add-passkey"))
            handle = decoded(asked.options["user"]["id"])
            made = device.make(asked.challenge, user_handle=handle, **switches)
            return await browser.post(asked.action, {"credential": made, "name": ""})

        return do


with_passkey("authenticator_added: a passkey")
with_passkey("authenticator_refused", origin="https://evil.test")


def by_itself(event: str, **switches: Any) -> None:
    @act(event, "sub", "session_id")
    async def _(scene: Scene) -> Do:
        browser, name = await scene.newcomer()
        device = authenticator(scene.rig.issuer, credential_id=f"key of {name}".encode())

        async def do() -> httpx2.Response:
            options = (await browser.http.post("/account/passkey-upgrade/options", data={"x": ""})).json()
            handle = decoded(options["user"]["id"])
            made = device.make(decoded(options["challenge"]), user_handle=handle, **switches)
            return await browser.http.post("/account/passkey-upgrade", data={"credential": made})

        return do


by_itself("authenticator_added: a passkey by itself")
by_itself("authenticator_refused: a passkey by itself", origin="https://evil.test")


@act("authenticator_refused: an app", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()

    async def do() -> httpx2.Response:
        await browser.get("/account/authenticators/add-totp")
        return await browser.submit(code="000000")

    return do


def removes(event: str) -> None:
    @act(event, "sub", "session_id")
    async def _(scene: Scene) -> Do:
        browser, name = await scene.newcomer(app=True)
        await browser.post("/account/recovery-codes", {})
        sub = await scene.sub(name)
        app = await scene.value("SELECT id FROM totp_credentials WHERE sub = $1", sub)
        return lambda: browser.post(f"/account/authenticators/{app}/remove", {})


removes("authenticator_removed")
removes("recovery_codes_removed")


@act("recovery_codes_renewed", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer(app=True)
    return lambda: browser.post("/account/recovery-codes", {})


def changes_password(event: str, current: str, *, misses: int = 0) -> None:
    @act(event, "sub", "session_id")
    async def _(scene: Scene) -> Do:
        browser, _ = await scene.newcomer()
        for _ in range(misses):
            await browser.post("/account/password", {"current_password": "not it", "password": NEW})
        scene.rig.clock.advance(60)
        return lambda: browser.post("/account/password", {"current_password": current, "password": NEW})


changes_password("password_changed", PASSWORD)
changes_password("password_change_refused", "not the right one")
changes_password("password_change_held_back", PASSWORD, misses=FREE)


@act("breach_check_failed", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    scene.rig.clock.advance(60)
    return lambda: browser.post("/account/password", {"current_password": PASSWORD, "password": NEW})


@act("password_removed", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, name = await scene.newcomer()
    await add_passkey(browser, authenticator(scene.rig.issuer, credential_id=f"key of {name}".encode()))
    return lambda: browser.post("/account/password/remove", {})


@act("request_refused: a change that wants a fresh proof", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer(app=True)
    scene.rig.clock.advance(timedelta(minutes=21))
    return lambda: browser.post("/account/recovery-codes", {})


# Recovery.


@act("recovery_started", "sub", refusal=True)
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(email=True)
    browser = scene.browser()
    return lambda: browser.post("/recover", {"username": name})


@act("recovery_held_back: of somebody", "sub", refusal=True)
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(email=True)
    browser = scene.seen(scene.rig.browser(address="198.18.7.1", raises=False))
    for _ in range(MAILS):
        await browser.post("/recover", {"username": name})
    return lambda: browser.post("/recover", {"username": name})


@act("recovery_held_back: of lost second steps", "sub", refusal=True)
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True, email=True)
    for _ in range(REQUESTS):
        await ask_for_removal(scene, name)
    return lambda: ask_for_removal(scene, name)


@act("recovery_held_back", refusal=True)
async def _(scene: Scene) -> Do:
    browser = scene.seen(scene.rig.browser(address="203.0.113.5", raises=False))
    for _ in range(RECOVERIES_PER_NETWORK):
        await browser.post("/recover", {"username": "nobody at all"})
    return lambda: browser.post("/recover", {"username": "nobody at all"})


async def at_reset(scene: Scene, browser: Browser, name: str) -> None:
    """The browser behind the link of a new reset of this person's."""
    scene.rig.clock.advance(timedelta(minutes=11))
    await scene.browser().post("/recover", {"username": name})
    [*_, mail] = [
        one for one in await mails(scene.rig) if one.recipient == f"{name}@mail.test" and one.kind == "reset_password"
    ]
    await follow(browser, mail.link)


@act("recovery_refused", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True, email=True)
    browser = scene.browser()
    await at_reset(scene, browser, name)
    assert browser.page is not None
    here = str(browser.page.url)
    return lambda: browser.post(f"{here}&method=totp", {"code": "000000"})


@act("password_reset", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(email=True)
    browser = scene.browser()
    await at_reset(scene, browser, name)
    assert browser.page is not None
    here = str(browser.page.url)
    return lambda: browser.post(here, {"password": NEW})


async def ask_for_removal(scene: Scene, name: str) -> httpx2.Response:
    """The page after the password, and the button for who has lost all second steps."""
    browser = scene.browser()
    await at_login(browser)
    page = await browser.submit(username=name, password=PASSWORD)
    await browser.get(str(page.url).replace("/login?", "/recover/factor?"))
    return await browser.submit()


@act("factor_recovery_asked", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True, email=True)
    return lambda: ask_for_removal(scene, name)


@act("factor_recovery_cancelled", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True, email=True)
    await ask_for_removal(scene, name)
    browser, link = scene.browser(), await link_to(scene, name, "factor_recovery_asked")
    return lambda: browser.post("/recover/factor/cancel", {"link": secret_of(link)})


@act("factor_recovery_cancelled: by a second factor", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True, email=True)
    await ask_for_removal(scene, name)
    browser = scene.browser()

    async def do() -> httpx2.Response:
        await at_login(browser)
        await browser.submit(username=name, password=PASSWORD)
        return await browser.submit(code=scene.otp(name))

    return do


async def link_to(scene: Scene, name: str, kind: str) -> str:
    """The link in the last mail of this kind to this person."""
    found = [one for one in await mails(scene.rig) if one.recipient == f"{name}@mail.test" and one.kind == kind]
    return found[-1].link


@act("factor_recovery_ripe", "sub")
async def _(scene: Scene) -> Do:
    # Those that were asked for before are over.
    scene.rig.clock.advance(timedelta(hours=73))
    await remind_ripe(scene.rig)
    _, name = await scene.newcomer(app=True, email=True)
    await ask_for_removal(scene, name)
    scene.rig.clock.advance(timedelta(hours=73))

    async def do() -> httpx2.Response:
        try:
            await remind_ripe(scene.rig)
        except asyncpg.PostgresError:
            return httpx2.Response(500)
        return httpx2.Response(200)

    return do


@act("factor_recovery_done", "sub")
async def _(scene: Scene) -> Do:
    _, name = await scene.newcomer(app=True, email=True)
    await ask_for_removal(scene, name)
    scene.rig.clock.advance(timedelta(hours=73))
    await remind_ripe(scene.rig)
    browser, link = scene.browser(), await link_to(scene, name, "factor_recovery_ripe")
    return lambda: browser.post("/recover/factor/finish", {"link": secret_of(link), "password": PASSWORD})


# The address, the profile, and the account itself.


def changes_address(event: str, *has: str) -> None:
    @act(event, "sub", "session_id", *has)
    async def _(scene: Scene) -> Do:
        browser, name = await scene.newcomer()
        return lambda: browser.post("/account/email", {"email": f"{name}@other.test"})


changes_address("email_change_requested")
changes_address("email_link_sent")


@act("email_link_held_back", "sub", "session_id", refusal=True)
async def _(scene: Scene) -> Do:
    browser, name = await scene.newcomer()
    for _ in range(MAILS):
        await browser.post("/account/email", {"email": f"{name}@other.test"})
    return lambda: browser.post("/account/email", {"email": f"{name}@other.test"})


def confirms(event: str) -> None:
    @act(event, "sub")
    async def _(scene: Scene) -> Do:
        other, name = await scene.newcomer()
        await other.post("/account/email", {"email": f"{name}@mail.test"})
        link = await link_to(scene, name, "verify_email")
        await scene.newcomer()
        claims = "UPDATE users SET email = $1, email_canonical = $1 WHERE username = $2"
        async with transaction(scene.rig.app.state.provider.pool) as conn:
            await conn.execute(claims, f"{name}@mail.test", f"person{scene.people}")
        browser = scene.browser()
        return lambda: browser.post("/confirm-email", {"link": secret_of(link)})


@act("account_cleared", "sub")
async def _(scene: Scene) -> Do:
    owner, name = await scene.newcomer()
    await owner.post("/account/email", {"email": f"{name}@mail.test"})
    link, browser = await link_to(scene, name, "verify_email"), scene.browser()
    return lambda: browser.post("/confirm-email", {"link": secret_of(link)})


confirms("email_confirmed")
confirms("email_released")


@act("email_removed", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer(email=True)
    return lambda: browser.post("/account/email/remove", {})


@act("profile_changed", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    return lambda: browser.post("/account/profile", {"name": "Somebody"})


@act("data_downloaded", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    return lambda: browser.post("/account/data", {})


@act("account_deleted", "sub", "session_id")
async def _(scene: Scene) -> Do:
    browser, name = await scene.newcomer()
    return lambda: browser.post("/account/delete", {"confirmation": name})


# Applications.


def decides(event: str, decision: str) -> None:
    @act(event, "sub", "client_id", "session_id")
    async def _(scene: Scene) -> Do:
        browser, _ = await scene.newcomer()
        client_id = await scene.client()

        async def do() -> httpx2.Response:
            await browser.get(authorization(client_id=client_id))
            return await browser.submit(decision=decision)

        return do


decides("consent_given", "allow")
decides("consent_denied", "deny")


@act("consent_withdrawn", "sub", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    client_id = await scene.client()
    await scene.tokens(browser, client_id)
    return lambda: browser.post(f"/account/apps/{client_id}/withdraw", {})


@act("authorization_revoked", "sub", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    client_id = await scene.client()
    tokens = await scene.tokens(browser, client_id)
    return lambda: scene.post("/oauth/revoke", client_id, token=tokens["refresh_token"])


@act("authorization_revoked: a replay", "sub", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    client_id = await scene.client()
    form = {"grant_type": "refresh_token", "refresh_token": (await scene.tokens(browser, client_id))["refresh_token"]}
    assert (await scene.post("/oauth/token", client_id, **form)).status_code == 200
    return lambda: scene.post("/oauth/token", client_id, **form)


@act("token_revoked", "client_id")
async def _(scene: Scene) -> Do:
    client_id = await scene.client()
    token = (await scene.post("/oauth/token", client_id, grant_type="client_credentials", scope="api")).json()
    return lambda: scene.post("/oauth/revoke", client_id, token=token["access_token"])


@act("request_refused", "client_id", refusal=True)
async def _(scene: Scene) -> Do:
    client_id = await scene.client()
    return lambda: scene.post("/oauth/token", client_id, grant_type="password")


@act("request_refused: where an answer would go", "client_id", refusal=True)
async def _(scene: Scene) -> Do:
    client_id, browser = await scene.client(), scene.browser()
    return lambda: browser.get(authorization(client_id=client_id, redirect_uri="https://evil.test/cb"))


@act("request_refused: somebody else's session", "session_id", refusal=True)
async def _(scene: Scene) -> Do:
    browser, _ = await scene.newcomer()
    return lambda: browser.post("/account/sessions/somebodyelses/end", {})


@act("request_refused: whom the hint names", "client_id", "session_id")
async def _(scene: Scene) -> Do:
    owner, _ = await scene.newcomer()
    client_id = await scene.client()
    hint = (await scene.tokens(owner, client_id))["id_token"]
    browser, _ = await scene.newcomer()
    return lambda: browser.get(authorization(client_id=client_id, id_token_hint=hint))


@act("token_refused", refusal=True)
async def _(scene: Scene) -> Do:
    browser = scene.browser()
    return lambda: browser.http.get("/oauth/userinfo", headers={"authorization": "Bearer nonsense"})


# What is asked of each.


def documented() -> Mapping[str, tuple[frozenset[str], str]]:
    """The events of docs/audit.md: who may have done them, and what it says of their details."""
    section = AUDIT.read_text("utf-8").partition("\n## Events\n")[2]
    rows = [line.strip("|").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return {row[0].strip(" `"): (frozenset(row[1].strip().split(", ")), row[3]) for row in rows}


BY_COMMAND = {name for name, (actors, _) in documented().items() if actors <= {"operator", "system"}}
"""What only a command or the server by itself does."""
ELSEWHERE = {"number_held_back"}
"""What is provoked in a file of its own: tests/web/account/test_phone.py."""


def of(name: str) -> str:
    """The event of an act."""
    return name.partition(":")[0]


def faults_of(row: Event, has: frozenset[str]) -> list[str]:
    """What is wrong with a row, by the document and by what is asked of it."""
    actors, details = documented()[row.event]
    promised = {"error", "detail", "path"} | set(re.findall(r"`(\w+)`", details))
    if found := re.search(r"as for `(\w+)`", details):
        promised |= set(re.findall(r"`(\w+)`", documented()[found[1]][1]))
    return [
        *(f"it has no {name}" for name in has if getattr(row, name) is None),
        *(f"{name} is not in the document" for name in row.details if name not in promised),
        *([f"the document does not know it of {row.actor}"] if row.actor not in actors else []),
        *(["no request"] if not row.request_id and row.event != "factor_recovery_ripe" else []),
        *(["no address"] if not row.address and row.event != "factor_recovery_ripe" else []),
    ]


async def unkept(scene: Scene, refusal: bool, event: str, do: Do) -> list[str]:
    """What is wrong with the act where its row cannot be written."""
    scene.before = await scene.kept()
    async with scene.without(event):
        answer = await do()
    before, scene.before, after = scene.before, None, await scene.kept()
    if refusal:
        return []
    changed = [f"{table} changed without it" for table in before if before[table] != after[table]]
    status = answer.status_code if answer is not None else 0
    return [*([f"without it the answer is {status}"] if status < 500 else []), *changed]


async def test_16_3_1_and_16_5_3_each_act_has_one_row_and_is_nothing_without_it(scene: Scene) -> None:
    """ASVS 16.2.1, 16.3.1, 16.3.2, 16.3.3, 16.5.3: by whom, whose, in which session, by which client, from where."""
    faults: dict[str, list[str]] = {}
    for name, one in ACTS.items():
        event = of(name)
        do = await one.setup(scene)
        found = [] if event == "breach_check_failed" else await unkept(scene, one.refusal, event, do)
        last = await scene.last()
        await do()
        rows = [row for row in await scene.events(last) if row.event == event]
        found += [f"{len(rows)} rows"] if len(rows) != 1 else faults_of(rows[0], one.has)
        if found:
            faults[name] = found
    assert faults == {}, "\n".join(f"{name}: {found}" for name, found in faults.items())


def test_16_1_1_the_document_has_nothing_that_is_not_provoked() -> None:
    assert {of(name) for name in ACTS} | BY_COMMAND | ELSEWHERE == set(documented())
