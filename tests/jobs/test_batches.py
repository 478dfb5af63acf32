"""What the jobs forget and keep, and that they find it without going through all that lives."""

from datetime import datetime, timedelta

import asyncpg
import pytest

from idp.base.seal import MasterKey
from idp.jobs import JOBS, Duties, Round
from idp.store import authorizations, refresh_tokens
from idp.store.attempts import remove_tallies
from idp.store.database import Connection
from idp.store.users import remove
from tests.doubles import START
from tests.plans import rows_read

LIVING, DEAD = 3000, 20
DAY = timedelta(days=1)

PEOPLE = """
INSERT INTO users (sub, username, username_canonical, created_at, updated_at)
SELECT 'u' || n, 'u' || n, 'u' || n, $1::timestamptz, $1 FROM generate_series(1, 3020) AS n;
"""
CLIENT = """
INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, redirect_uris, grant_types, scope,
    post_logout_redirect_uris, id_token_signed_response_alg, created_at)
VALUES ('c', 'C', 'none', '{}', '{}', '{}', '{}', 'RS256', $1::timestamptz)
"""
GRANTS = """
INSERT INTO authorizations (id, sub, client_id, scope, claims, acr, amr, auth_time, created_at)
SELECT 'a' || n, 'u' || n, 'c', '{}', '{}', '1fa', '{}', $1::timestamptz, $1::timestamptz - interval '9 days'
FROM generate_series(1, 3020) AS n
"""
# $1 is the present; of n the first 3,000 live, and the other 20 are over since long.
ENDS = "$1::timestamptz + CASE WHEN n <= 3000 THEN interval '1 hour' ELSE interval '-500 days' END"
ROWS = "FROM generate_series(1, 3020) AS n"
FILL = {
    "interactions": (
        "interactions",
        f"""INSERT INTO interactions (id, browser_hash, return_to, fresh, created_at,
        expires_at) SELECT n, 'b', '/', false, $1, {ENDS} {ROWS}""",
    ),
    "attempts": (
        "attempts",
        f"""INSERT INTO attempts (factor, subject, source, misses, window_from, last_missed_at)
        SELECT 'password', n, '', 1, $1, {ENDS} {ROWS}""",
    ),
    "authorization_codes": (
        "authorization_codes",
        f"""INSERT INTO authorization_codes (code_hash, authorization_id,
        client_id, redirect_uri, code_challenge, expires_at)
        SELECT sha256(n::text::bytea), 'a' || n, 'c', 'r', 'x', {ENDS} {ROWS}""",
    ),
    "refresh_tokens": (
        "refresh_tokens",
        f"""INSERT INTO refresh_tokens (token_hash, authorization_id, client_id,
        issued_at, expires_at) SELECT sha256(n::text::bytea), 'a' || n, 'c', $1, {ENDS} {ROWS}""",
    ),
    "sessions": (
        "sessions",
        f"""INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at)
        SELECT n, sha256(n::text::bytea), 'u' || n, '[]', $1, $1, {ENDS} {ROWS}""",
    ),
    "client_assertions": (
        "client_assertions",
        f"""INSERT INTO client_assertions (client_id, jti_hash, expires_at)
        SELECT 'c', sha256(n::text::bytea), {ENDS} {ROWS}""",
    ),
    "revoked_access_tokens": (
        "revoked_access_tokens",
        f"""INSERT INTO revoked_access_tokens (jti, expires_at)
        SELECT n, {ENDS} {ROWS}""",
    ),
    "messages": (
        "outbox",
        f"""INSERT INTO outbox (id, channel, recipient, kind, subject, created_at, next_attempt_at,
        not_after, sent_at) SELECT n, 'mail', 'r', 'k', 's', $1, $1, {ENDS}, {ENDS} {ROWS}""",
    ),
    "sent_codes": (
        "sent_codes",
        f"""INSERT INTO sent_codes (flow, method, sub, recipient, prefix, code_digest, sent,
        created_at, expires_at) SELECT n, 'sms', 'u' || n, 'r', 'p', 'd', true, $1, {ENDS} {ROWS}""",
    ),
    "mail_links": (
        "mail_links",
        f"""INSERT INTO mail_links (link_hash, kind, sub, email, email_canonical, created_at,
        expires_at) SELECT sha256(n::text::bytea), 'k', 'u' || n, 'e', 'e', $1, {ENDS} {ROWS}""",
    ),
    "invitations": (
        "invitations",
        f"""INSERT INTO invitations (link_hash, email, email_canonical, created_at, expires_at)
        SELECT sha256(n::text::bytea), 'e' || n, 'e' || n, $1, {ENDS} {ROWS}""",
    ),
    "totp_enrolments": (
        "totp_enrolments",
        f"""WITH signed_in AS (
            INSERT INTO sessions (id, secret_hash, sub, evidence, created_at, seen_at, expires_at)
            SELECT n, sha256(n::text::bytea), 'u' || n, '[]', $1, $1, $1 {ROWS}
        )
        INSERT INTO totp_enrolments (session_id, id, sub, generation, sealed_seed, created_at)
        SELECT n, n, 'u' || n, 0, 's', {ENDS} {ROWS}""",
    ),
    "known_devices": (
        "known_devices",
        f"""INSERT INTO known_devices (secret_hash, sub, created_at, expires_at)
        SELECT sha256(n::text::bytea), 'u' || n, $1, {ENDS} {ROWS}""",
    ),
    "known_networks": (
        "known_networks",
        f"""INSERT INTO known_networks (sub, network_digest, seen_at)
        SELECT 'u' || n, 'd', {ENDS} {ROWS}""",
    ),
    "factor_recoveries": (
        "factor_recoveries",
        f"""INSERT INTO factor_recoveries (id, sub, email_canonical, state,
        cancel_hash, finish_hash, created_at, not_before, not_after) SELECT n, 'u' || n, 'e', 'done',
        sha256(n::text::bytea), sha256(n::text::bytea), $1, $1, {ENDS} {ROWS}""",
    ),
    # A chain loses its oldest rows alone.
    "audit_events": (
        "audit_events",
        f"""INSERT INTO audit_events (at, event, actor)
        SELECT {ENDS.replace("n <= 3000", "n > 20")}, 'e', 'user' {ROWS}""",
    ),
    "old_audit_seals": (
        "audit_seals",
        f"""WITH gone AS (INSERT INTO audit_anchors (chain, place, digest, mac) SELECT n, 1, 'd', 'm' {ROWS})
        INSERT INTO audit_seals (number, chain, place, digest, at, mac)
        SELECT n, n, 1, 'd', {ENDS.replace("n <= 3000", "n > 20")}, 'm' {ROWS}""",
    ),
}
"""For each job its table, and the statement that fills it."""


async def nobody(_conn: Connection, _now: datetime, _limit: int) -> int:
    return 0


DUTIES = Duties(audit=timedelta(days=400), master=MasterKey(bytes(32)), remind=nobody)


def test_every_job_that_forgets_is_tried_here() -> None:
    assert {job.name for job in JOBS} - {"factor_recovery_reminders", "audit_seals"} == FILL.keys()
    assert len({job.name for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("name", FILL)
async def test_A_64_a_batch_forgets_what_is_over_and_reads_nothing_else(conn: Connection, name: str) -> None:
    """Twice half of it, and then nothing: what lives is neither forgotten nor gone through, however much it is."""
    table, fill = FILL[name]
    for statement in (*((PEOPLE, CLIENT, GRANTS) if "'u' ||" in fill or "'a' ||" in fill else ()), fill):
        await conn.execute(statement, START)
    await conn.execute("ANALYZE")
    [job] = [job for job in JOBS if job.name == name]
    work = Round(DUTIES, START, DEAD // 2)
    took: list[int] = []

    async def batch() -> None:
        took.append(await job.batch(conn, work))

    for left in (LIVING + DEAD // 2, LIVING, LIVING):
        reading = await rows_read(conn, batch, plans="custom")
        assert await conn.fetchval(f"SELECT count(*) FROM {table}") == left
        assert {name: read.rows for name, read in reading.items() if read.rows > 3 * DEAD} == {}
    assert took == [DEAD // 2, DEAD // 2, 0]


async def test_a_row_that_somebody_holds_is_left_for_the_next_run(conn: Connection, database: str) -> None:
    """The clean-up waits for nobody, and so nobody waits for each other."""
    other = await asyncpg.connect(database)
    await other.execute("INSERT INTO revoked_access_tokens VALUES ('held', '2000-01-01'), ('free', '2000-01-01')")
    [job] = [job for job in JOBS if job.name == "revoked_access_tokens"]
    async with other.transaction():
        await other.execute("SELECT FROM revoked_access_tokens WHERE jti = 'held' FOR UPDATE")
        assert await job.batch(conn, Round(DUTIES, START, 10)) == 1
    assert await job.batch(conn, Round(DUTIES, START, 10)) == 1
    await other.close()


HOUR = timedelta(hours=1)


async def keep_grant(conn: Connection, name: str, *refreshes: timedelta, age: timedelta = 2 * DAY) -> None:
    """An authorization that old, with its code, and with refresh tokens that expire in so long from START."""
    await conn.execute(
        """
        INSERT INTO authorizations (id, sub, client_id, scope, claims, acr, amr, auth_time, created_at)
        VALUES ($1, 'u1', 'c', '{}', '{}', '1fa', '{}', $2::timestamptz, $2)
        """,
        name,
        START - age,
    )
    await conn.execute(
        """
        INSERT INTO authorization_codes
            (code_hash, authorization_id, client_id, redirect_uri, code_challenge, expires_at)
        VALUES (sha256($1::text::bytea), $1, 'c', 'r', 'x', $2)
        """,
        name,
        START - age + timedelta(minutes=1),
    )
    for number, left in enumerate(refreshes):
        await refresh_tokens.create_refresh_token(
            conn, f"{name} {number}", name, "c", now=START, expires_at=START + left
        )


async def tidy(conn: Connection, now: datetime, *names: str) -> list[str]:
    """What authorizations are left after these jobs."""
    for job in (one for name in names for one in JOBS if one.name == name):
        await job.batch(conn, Round(DUTIES, now, 100))
    rows = await conn.fetch("SELECT id FROM authorizations ORDER BY id")
    return [row["id"] for row in rows]


@pytest.mark.parametrize(
    "order", [("authorization_codes", "refresh_tokens"), ("refresh_tokens", "authorization_codes")]
)
async def test_an_authorization_goes_with_the_last_that_lives_of_it(conn: Connection, order: tuple[str, ...]) -> None:
    for statement in (PEOPLE, CLIENT):
        await conn.execute(statement, START)
    await keep_grant(conn, "never refreshed")
    await keep_grant(conn, "young", age=HOUR)
    await keep_grant(conn, "young and idle", -HOUR, age=2 * HOUR)
    await keep_grant(conn, "living", HOUR)
    await keep_grant(conn, "rotated", -HOUR, 3 * HOUR)
    await keep_grant(conn, "dead", -HOUR, -2 * HOUR)
    assert await tidy(conn, START, *order) == ["living", "rotated", "young", "young and idle"]
    assert await tidy(conn, START + 2 * HOUR, *order) == ["rotated", "young", "young and idle"]
    assert await tidy(conn, START + DAY, *order) == []
    for table in ("authorization_codes", "refresh_tokens"):
        assert await conn.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_token_is_not_forgotten_before_every_clock_has_it_expired(conn: Connection) -> None:
    """A process whose clock is a little behind refuses a replay still, and does not take it for something new."""
    for statement in (PEOPLE, CLIENT):
        await conn.execute(statement, START)
    await keep_grant(conn, "living", timedelta(0))
    assert await tidy(conn, START + timedelta(minutes=4), "refresh_tokens", "authorization_codes") == ["living"]
    assert await tidy(conn, START + timedelta(minutes=5), "refresh_tokens", "authorization_codes") == []
    assert (await authorizations.find_code(conn, "living")) is None


async def test_G6_only_a_success_or_the_end_of_the_account_clears_a_second_factor(conn: Connection) -> None:
    """It is not gone through either, however many there are."""
    await conn.execute(PEOPLE, START)
    await conn.execute(
        """
        INSERT INTO attempts (factor, subject, source, misses, window_from, last_missed_at)
        SELECT 'totp', 'u' || n, '', CASE WHEN n <= 3000 THEN 1 ELSE 0 END, $1::timestamptz,
            $1::timestamptz - interval '9 days'
        FROM generate_series(1, 3020) AS n
        """,
        START,
    )
    await conn.execute("ANALYZE")
    [job] = [job for job in JOBS if job.name == "attempts"]
    reading = await rows_read(conn, lambda: job.batch(conn, Round(DUTIES, START, 100)), plans="custom")
    assert reading["attempts"].rows <= 3 * DEAD
    assert await conn.fetchval("SELECT count(*) FROM attempts") == LIVING
    assert await remove(conn, "u1")
    assert await remove_tallies(conn, "u1") == 0
    assert await remove_tallies(conn, "u2") == 1
