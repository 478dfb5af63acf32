"""Fills a database as years would, lets the jobs tidy it, and measures the hot paths on it against an empty one.

A tool to run by hand (`make growth`, a quarter of an hour or more); no part of the test suite. It writes the table of
docs/performance.md. Both databases are on one embedded PostgreSQL, both applications in this process, and each round
takes every path on both, one after the other. What is counted is the time on a processor that the application and its
connections to the database took within the request: what else the machine does meanwhile hardly shows.
"""

import asyncio
import base64
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import asyncpg
import httpx2
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from idp.app import build
from idp.base.clock import system_clock
from idp.base.digest import sha256
from idp.base.entropy import system_entropy
from idp.jobs import JOBS, Duties
from idp.jobs.leader import AGAIN, Leader
from idp.model.client import Client
from idp.settings import load_settings
from idp.store import clients
from idp.store.consents import record_consent
from idp.store.database import own_connection, transaction
from idp.store.embedded import EmbeddedPostgres
from idp.store.job_runs import list_runs, take_lead
from idp.store.migrations import migrate
from idp.web.recover.factor_recovery import remind_some
from tests.driver import CALLBACK, ISSUER, PASSWORD, VERIFIER, Browser, authorization, response_of

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- growth -->", "<!-- end of growth -->"
ROUNDS, WARM_UP = 200, 10
MOST_RUNS = 200
"""So many runs a job may need until nothing is left; more would be without end."""
AIM = 1.15
SECRET = "s" * 43
BASIC = "Basic " + base64.b64encode(f"web:{SECRET}".encode()).decode()
SCOPE = "openid profile offline_access"

SIZES = {
    "users": 100_000,
    "clients": 10_000,
    "public": 2_000,
    "grants": 1_000_000,
    "living": 600_000,
    "events": 1_000_000,
}

# Of the grants the first 600,000 live: a session still open, a refresh token that works and one that it has replaced.
# The others are over since long. All of them still have their codes, as if nothing had been tidied for a month.
FILL = (
    """
    INSERT INTO users (sub, username, username_canonical, email, email_canonical, email_verified, password_hash,
        created_at, updated_at)
    SELECT 'u' || n, 'user' || n, 'user' || n, 'user' || n || '@mail.example', 'user' || n || '@mail.example', true,
        'x', now() - interval '400 days', now() - interval '400 days'
    FROM generate_series(1, $users) AS n
    """,
    """
    INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope,
        post_logout_redirect_uris, id_token_signed_response_alg, created_at)
    SELECT 'c' || n, 'App ' || n, CASE WHEN n <= $public THEN 'none' ELSE 'client_secret_basic' END,
        ARRAY['https://app-' || n || '.example/cb', 'https://app-' || n || '.example/cb2'],
        '{authorization_code,refresh_token}', '{openid,profile,offline_access}', '{}', 'RS256', now()
    FROM generate_series(1, $clients) AS n
    """,
    """
    INSERT INTO consents (sub, client_id, scope, granted_at)
    SELECT DISTINCT 'u' || n % $users + 1, 'c' || n * 7 % $clients + 1, '{openid,profile,offline_access}'::text[], now()
    FROM generate_series(1, $grants / 2) AS n
    """,
    """
    INSERT INTO sessions
        (id, secret_hash, sub, evidence, created_at, seen_at, expires_at, ended_at, address, user_agent)
    SELECT 's' || n, sha256(('s' || n)::bytea), 'u' || n % $users + 1,
        '[{"method": "password", "at": "2026-01-01T00:00:00+00:00", "credential_id": null}]',
        at, at, CASE WHEN n <= $living THEN now() + interval '20 days' ELSE at + interval '30 days' END,
        CASE WHEN n % 3 = 0 OR n > $living THEN at END, '192.0.2.7', 'Mozilla/5.0 (X11; Linux) Firefox/140.0'
    FROM generate_series(1, $grants) AS n, LATERAL (
        SELECT now() - CASE WHEN n <= $living THEN n % 20 ELSE 40 + n % 100 END * interval '1 day' AS at) AS begun
    """,
    """
    INSERT INTO authorizations
        (id, sub, client_id, session_id, scope, claims, acr, amr, auth_time, created_at, revoked_at)
    SELECT md5('a' || n), sub, 'c' || n * 7 % $clients + 1, sessions.id, '{openid,profile,offline_access}', '{}', '1fa',
        '{pwd}', created_at, created_at, CASE WHEN n % 20 = 0 THEN created_at END
    FROM generate_series(1, $grants) AS n JOIN sessions ON sessions.id = 's' || n
    """,
    """
    INSERT INTO authorization_codes (code_hash, authorization_id, client_id, redirect_uri, code_challenge, expires_at,
        consumed_at)
    SELECT sha256(('k' || id)::bytea), id, client_id, 'https://app.example/cb', 'x', created_at + interval '1 minute',
        created_at
    FROM authorizations
    """,
    """
    INSERT INTO refresh_tokens (token_hash, authorization_id, client_id, issued_at, expires_at, consumed_at)
    SELECT sha256(('r' || turn || n)::bytea), md5('a' || n), 'c' || n * 7 % $clients + 1, now() - interval '1 day',
        CASE WHEN n <= $living THEN now() + interval '10 days' ELSE now() - interval '5 days' END,
        CASE WHEN turn = 1 THEN now() END
    FROM generate_series(1, $grants) AS n, generate_series(1, CASE WHEN n <= $living THEN 2 ELSE 1 END) AS turn
    """,
    """
    INSERT INTO audit_events (at, event, actor, sub, client_id, session_id, address, request_id, details)
    SELECT now() - ($events - n) * interval '43 seconds', (ARRAY['sign_in', 'code_issued', 'sign_out'])[n % 3 + 1],
        'user', 'u' || n % $users + 1, 'c' || n % $clients + 1, 's' || n, '192.0.2.7', 'r' || n, '{"acr": "1fa"}'
    FROM generate_series(1, $events) AS n
    """,
    """
    INSERT INTO known_devices (secret_hash, sub, created_at, expires_at)
    SELECT sha256(('d' || n)::bytea), 'u' || n % $users + 1, now(), now() + CASE WHEN n % 5 = 0 THEN interval '-1 day'
        ELSE interval '90 days' END
    FROM generate_series(1, $users * 3) AS n
    """,
    """
    INSERT INTO interactions (id, browser_hash, return_to, fresh, created_at, expires_at)
    SELECT 'i' || n, sha256(('i' || n)::bytea), '/account', false, now(), now() - n % 100 * interval '1 hour'
    FROM generate_series(1, $users) AS n
    """,
    """
    INSERT INTO attempts (factor, subject, source, misses, window_from, last_missed_at)
    SELECT CASE WHEN n % 4 = 0 THEN 'totp' ELSE 'password' END, 'u' || n, '', 1, now(),
        now() - n % 10 * interval '1 day'
    FROM generate_series(1, $users) AS n
    """,
    """
    INSERT INTO outbox (id, channel, recipient, kind, subject, created_at, not_after, next_attempt_at, sent_at)
    SELECT 'o' || n, 'mail', 'user' || n || '@mail.example', 'new_device', 'A new device', now(), now(), now(),
        now() - n % 4 * interval '1 day'
    FROM generate_series(1, $users) AS n
    """,
    """
    INSERT INTO factor_recoveries (id, sub, email_canonical, state, cancel_hash, finish_hash, created_at, not_before,
        not_after)
    VALUES ('ripe', 'u1', 'user1@mail.example', 'waiting', 'c', 'f', now() - interval '3 days',
        now() - interval '1 minute', now() + interval '7 days')
    """,
)
# A person who was signed in to the same eight applications again and again.
LONG_PAST = """
INSERT INTO authorizations (id, sub, client_id, scope, claims, acr, amr, auth_time, created_at)
SELECT 'old' || n, $1, 'c' || n % 8 + 1, '{openid,offline_access}', '{}', '1fa', '{}', now(),
    now() - n * interval '40 minutes'
FROM generate_series(1, $2) AS n
"""
OWN_GRANTS, OWN_APPS = 850, 8


@dataclass
class Site:
    """One application on one database, and the nanoseconds on a processor that its requests took of both."""

    app: Starlette
    database: str
    admin: "asyncpg.Connection[asyncpg.Record]"
    spent: int = 0
    backends: tuple[Path, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and count what it took."""
        before = self._counted()
        await self.app(scope, receive, send)
        self.spent += self._counted() - before
        await self.app.state.provider.later.done()

    def _counted(self) -> int:
        # The first number is how long a process has run on any processor, in nanoseconds.
        database = sum(int(one.read_text().split()[0]) for one in self.backends if one.exists())
        return time.process_time_ns() + database

    async def look_around(self) -> None:
        """Find the application's present connections to its database."""
        rows = await self.admin.fetch("SELECT pid FROM pg_stat_activity WHERE datname = $1", self.database)
        self.backends = tuple(Path(f"/proc/{row['pid']}/schedstat") for row in rows)

    def browser(self) -> Browser:
        """A new browser."""
        return Browser(httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self), base_url=ISSUER))

    async def taken(self, request: Awaitable[httpx2.Response], *statuses: int) -> tuple[httpx2.Response, float]:
        """The answer, which has one of these statuses, and the milliseconds that it took."""
        await self.look_around()
        before = self.spent
        answer = await request
        assert answer.status_code in (statuses or (200,)), (answer.status_code, answer.text[:2000])
        return answer, (self.spent - before) / 1e6


@dataclass
class Person:
    """Somebody who uses all of it: what was had at the last round is what the next one begins with."""

    site: Site
    browser: Browser
    refresh_token: str
    times: dict[str, list[float]] = field(default_factory=dict)

    async def round(self) -> None:
        """Every path once."""
        site, http = self.site, self.browser.http
        take = self._take
        code = response_of(await take("authorize with a session", http.get(authorization(scope=SCOPE)), 303))["code"]
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        tokens = (await take("code exchange", self._post("/oauth/token", grant))).json()
        renewed = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        self.refresh_token = (await take("refresh", self._post("/oauth/token", renewed))).json()["refresh_token"]
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        await take("userinfo", http.get("/oauth/userinfo", headers=bearer))
        asked = await take("introspection", self._post("/oauth/introspect", {"token": tokens["access_token"]}))
        assert asked.json()["active"]
        foreign = self._post(
            "/oauth/token", {"grant_type": "client_credentials", "scope": "api"}, "https://evil.example"
        )
        await take("token request with a foreign Origin", foreign)
        own = self._post("/oauth/token", {"grant_type": "client_credentials", "scope": "api"}, "https://spa.example")
        assert "access-control-allow-origin" in (await take("token request with a known Origin", own)).headers
        await take("/account", http.get("/account"))
        visitor = site.browser()
        async with visitor.http:
            page = await visitor.get("/login")
            fields = {"username": "alice", "password": PASSWORD}
            await take("password sign-in", visitor.http.post(str(page.url), data=fields), 303)

    async def _take(self, what: str, request: Awaitable[httpx2.Response], *statuses: int) -> httpx2.Response:
        answer, took = await self.site.taken(request, *statuses)
        self.times.setdefault(what, []).append(took)
        return answer

    async def _post(self, path: str, form: dict[str, str], origin: str | None = None) -> httpx2.Response:
        headers = {"authorization": BASIC} | ({"origin": origin} if origin else {})
        async with self.site.browser().http as http:
            return await http.post(path, data=form, headers=headers)


@asynccontextmanager
async def serving(server: EmbeddedPostgres, name: str, home: Path) -> AsyncIterator[Site]:
    """The application on the database of that name."""
    settings = load_settings(
        {
            "IDP_ISSUER": ISSUER,
            "IDP_DATABASE_URL": server.dsn(name),
            "IDP_RSA_BITS": "2048",
            "IDP_KEYS_DIR": str(home / f"{name}-keys"),
            "IDP_DATA_DIR": str(home / f"{name}-data"),
            "IDP_RATE_LIMITS": "off",
        }
    )
    app = build(settings, spread=timedelta(0))
    admin = await asyncpg.connect(server.dsn())
    async with app.router.lifespan_context(app):
        yield Site(app, name, admin)
    await admin.close()


async def person_at(site: Site) -> Person:
    """The same person, client and tokens at either site."""
    pool, now = site.app.state.provider.pool, system_clock()
    web = Client(
        "web",
        "Example",
        "client_secret_basic",
        now,
        secret_hash=sha256(SECRET),
        redirect_uris=(CALLBACK,),
        grant_types=("authorization_code", "refresh_token", "client_credentials"),
        scope=(*SCOPE.split(), "api"),
    )
    browser = site.browser()
    await browser.register()
    async with transaction(pool) as conn:
        await clients.create(conn, web)
        await clients.create(conn, Client("spa", "Spa", "none", now, redirect_uris=("https://spa.example/cb",)))
        sub = await conn.fetchval("SELECT sub FROM users WHERE username = 'alice'")
        await record_consent(conn, sub, "web", SCOPE.split(), now=now)
    person = Person(site, browser, "")
    code = response_of(await browser.http.get(authorization(scope=SCOPE)))["code"]
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    answer = await person._post("/oauth/token", grant)
    person.refresh_token = answer.json()["refresh_token"]
    return person


async def fill(dsn: str, sizes: Mapping[str, int]) -> None:
    """Put years into the database."""
    conn = await asyncpg.connect(dsn)
    for statement in FILL:
        with timed(" ".join(statement.split()[:3])):
            await conn.execute(_sized(statement, sizes))
    with timed("ANALYZE"):
        await conn.execute("ANALYZE")
    await conn.close()


def _sized(statement: str, sizes: Mapping[str, int]) -> str:
    return re.sub(r"\$(\w+)", lambda found: str(sizes[found[1]]), statement)


async def _give_past(conn: "asyncpg.Connection[asyncpg.Record]", grants: int) -> None:
    await conn.execute(LONG_PAST, await conn.fetchval("SELECT sub FROM users WHERE username = 'alice'"), grants)


@dataclass(frozen=True, slots=True)
class Tidied:
    """What a job took until nothing was left: rows, runs, seconds, and the longest of its runs."""

    name: str
    rows: int
    runs: int
    seconds: float
    longest: float


async def tidy(site: Site, dsn: str) -> list[Tidied]:
    """Run each job until nothing is left for it; raises AssertionError for one that fails or has no end."""
    provider = site.app.state.provider
    duties = Duties(timedelta(days=400), provider.tools.master_key, partial(remind_some, provider))
    leader = Leader(dsn, JOBS, duties, system_clock, system_entropy)
    found = []
    async with own_connection(dsn) as conn:
        # The application's own leader, should it lead, has nothing due before ten minutes are over; it may still.
        await take_lead(conn)
        for job in JOBS:
            rows, took = 0, list[float]()
            while len(took) < MOST_RUNS:
                begun = time.perf_counter()
                wait = await leader.run_once(conn, job)
                took.append(time.perf_counter() - begun)
                run = (await list_runs(conn))[job.name]
                assert run.fault is None, run
                rows += run.rows or 0
                if wait != AGAIN:
                    break
            else:
                raise AssertionError(f"{job.name} has no end")
            found.append(Tidied(job.name, rows, len(took), sum(took), max(took)))
            sys.stderr.write(f"{found[-1]}\n")
    return found


async def measure(home: Path, sizes: Mapping[str, int]) -> str:
    """The tables, for a database of these sizes."""
    with EmbeddedPostgres(home / "postgres", durable=False) as server:
        admin = await asyncpg.connect(server.dsn())
        for name in ("grown", "empty"):
            await admin.execute(f"CREATE DATABASE {name}")
            await migrate(server.dsn(name))
        await fill(server.dsn("grown"), sizes)
        async with serving(server, "grown", home) as grown, serving(server, "empty", home) as empty:
            size_before = await admin.fetchval("SELECT pg_size_pretty(pg_database_size('grown'))")
            tidied = await tidy(grown, server.dsn("grown"))
            reminded = await _check(server.dsn("grown"), sizes["living"])
            # What autovacuum does by and by.
            conn = await asyncpg.connect(server.dsn("grown"))
            with timed("VACUUM ANALYZE"):
                await conn.execute("VACUUM (ANALYZE)")
            people = [await person_at(grown), await person_at(empty)]
            for number in range(ROUNDS + WARM_UP):
                for person in people if number % 2 else people[::-1]:
                    await person.round()
            await _give_past(conn, OWN_GRANTS)
            await conn.close()
            conn = await asyncpg.connect(server.dsn("empty"))
            await conn.execute(_sized(FILL[1], {"clients": OWN_APPS, "public": OWN_APPS}))
            await _give_past(conn, OWN_APPS)
            await conn.close()
            for number in range(ROUNDS + WARM_UP):
                for person in people if number % 2 else people[::-1]:
                    for path in ("/account", "/account/apps"):
                        what = f"{path}, {OWN_GRANTS} grants of one's own against {OWN_APPS}"
                        await person._take(what, person.browser.http.get(path))
        await admin.close()
    told = _told(sizes, size_before)
    return "\n".join([*told, *_paths(people[0].times, people[1].times), *_jobs(tidied, reminded)])


async def _check(dsn: str, living: int) -> int:
    """How many were reminded; what lives is all there, and what is dead is gone."""
    conn = await asyncpg.connect(dsn)
    assert await conn.fetchval("SELECT count(*) FROM authorizations") == living
    assert await conn.fetchval("SELECT count(*) FROM refresh_tokens") == 2 * living
    reminded: int = await conn.fetchval("SELECT count(*) FROM outbox WHERE kind = 'factor_recovery_ripe'")
    await conn.close()
    assert reminded == 1
    return reminded


def _told(sizes: Mapping[str, int], before: str) -> Iterator[str]:
    yield (
        f"{sizes['grants']:,} grants ({sizes['living']:,} of them living), {sizes['users']:,} users, "
        f"{sizes['clients']:,} clients ({sizes['public']:,} public), {sizes['events']:,} audit events; {before} before "
        f"the jobs. Medians of {ROUNDS} rounds."
    )


def _paths(grown: dict[str, list[float]], empty: dict[str, list[float]]) -> Iterator[str]:
    yield from ("", "| path | empty, ms | grown, ms | ratio |", "|---|---|---|---|")
    for what, times in grown.items():
        large, small = (statistics.median(one[WARM_UP:]) for one in (times, empty[what]))
        over = "" if large / small <= AIM else ", above the aim"
        yield f"| {what} | {small:.2f} | {large:.2f} | {large / small:.2f}{over} |"


def _jobs(tidied: Iterable[Tidied], reminded: int) -> Iterator[str]:
    yield from ("", "| job | rows | runs | seconds in all | longest run, s |", "|---|---|---|---|---|")
    for one in tidied:
        yield f"| {one.name} | {one.rows:,} | {one.runs} | {one.seconds:.1f} | {one.longest:.1f} |"
    yield from ("", f"People reminded of a recovery that had become ripe: {reminded}.")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long it took."""
    begun = time.perf_counter()
    yield
    sys.stderr.write(f"{what}: {time.perf_counter() - begun:.1f} s\n")


def main(part: int) -> None:
    """Measure, and write the tables into the document; a part of the size is for a try, and only shown."""
    with tempfile.TemporaryDirectory(prefix="idp-") as name:
        home = Path(name)
        home.chmod(0o711)
        tables = asyncio.run(measure(home, {what: size // part for what, size in SIZES.items()}))
    sys.stdout.write(f"{tables}\n")
    if part == 1:
        before, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(f"{before}{BEGIN}\n\n{tables}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
