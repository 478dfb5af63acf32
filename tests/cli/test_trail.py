"""Each command that changes something leaves exactly one row, and changes nothing without it (ASVS 16.3.1, 16.5.3)."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from typer.testing import Result

from idp.cli.commands import app
from idp.cli.trail import os_user
from idp.model.event import Event
from idp.store import known_devices, users
from idp.store.audit_events import list_events
from idp.store.database import Connection
from tests.attacks.test_trail import DIGEST, FAILS, TRIGGER, documented
from tests.cli.installation import Installation
from tests.cli.test_audit import _first_start

PASSWORD = "harbour tonic 7 quarter"
T = TypeVar("T")

COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("client_added", ("client", "add", "--name", "Shop", "--redirect-uri", "https://shop.test/cb")),
    ("client_updated", ("client", "update", "{client}", "--name", "Market")),
    ("client_secret_rotated", ("client", "rotate-secret", "{client}")),
    ("client_disabled", ("client", "disable", "{client}")),
    ("client_enabled", ("client", "enable", "{client}")),
    ("client_removed", ("client", "remove", "{client}")),
    ("user_added", ("user", "add", "--username", "bob", "--email", "bob@mail.test", "--password-stdin")),
    ("user_invited", ("user", "invite", "--email", "carol@mail.test")),
    ("recovery_started", ("user", "recover", "alice")),
    ("factor_recovery_asked", ("user", "recover", "alice", "--factors")),
    ("factor_recovery_cancelled", ("user", "recover", "alice", "--cancel")),
    ("device_trust_ended", ("user", "disable", "alice")),
    ("user_disabled", ("user", "disable", "alice")),
    ("user_enabled", ("user", "enable", "alice")),
    ("user_unlocked", ("user", "unlock", "alice")),
    ("group_added", ("group", "add", "staff", "--min-acr", "mfa")),
    ("group_updated", ("group", "update", "staff", "--min-acr", "phr")),
    ("group_member_added", ("group", "add-user", "staff", "alice")),
    ("group_member_removed", ("group", "remove-user", "staff", "alice")),
    ("group_removed", ("group", "remove", "staff")),
    ("user_removed", ("user", "remove", "alice")),
    ("key_removed", ("keys", "revoke", "{kid}")),
)
"""What an operator does, in this order: the event, and the command that it comes from."""


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


async def events(conn: Connection) -> tuple[Event, ...]:
    return await list_events(conn, limit=1000)


async def kept(conn: Connection) -> dict[str, str]:
    """A digest of each table but the trail."""
    named = await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    tables = sorted({row["tablename"] for row in named} - {"audit_events"})
    sql = " UNION ALL ".join(DIGEST.format(table=one, only="") for one in tables)
    return {row["table"]: row["digest"] for row in await conn.fetch(sql)}


def without(idp: Installation, event: str, do: Callable[[], Result]) -> Result:
    """The command, while the database refuses rows of this event."""

    async def begin(conn: Connection) -> None:
        await conn.execute(FAILS)
        await conn.execute(TRIGGER.format(event=event))

    async def end(conn: Connection) -> None:
        await conn.execute("DROP TRIGGER fail ON audit_events")
        await conn.execute("DROP FUNCTION fail")

    idp.in_database(begin)
    result = do()
    idp.in_database(end)
    return result


async def trust(conn: Connection, sub: str) -> None:
    """Let the account have a browser that stands in for its second step."""
    now = datetime.now(UTC)
    user = await users.get_user(conn, sub)
    await known_devices.remember_device(conn, "s" * 43, user, former=None, now=now, life=timedelta(days=1))
    await known_devices.trust_device(conn, "s" * 43, sub, "t1", until=now + timedelta(days=1), user_agent="")


def told_of(idp: Installation, after: int, event: str) -> list[Event]:
    """The rows of this event behind that place."""
    found = idp.in_database(events)
    return [row for row in found if row.event == event and (row.id or 0) > after]


def faults_of(rows: list[Event], secret: str) -> list[str]:
    """What is wrong with the rows that a command has left."""
    if len(rows) != 1:
        return [f"{len(rows)} rows"]
    row, (_, details) = rows[0], documented()[rows[0].event]
    promised = {"os_user", *re.findall(r"`(\w+)`", details)}
    return [
        *(["not by the operator"] if row.actor != "operator" else []),
        *(["not by this one"] if row.details.get("os_user", "") != os_user() else []),
        *(["of nobody"] if not (row.sub or row.client_id or {"group", "kid", "email"} & set(row.details)) else []),
        *(f"{name} is not in the document" for name in set(row.details) - promised),
        *(["it holds a secret"] if PASSWORD in repr(row) or (secret and secret in repr(row)) else []),
    ]


def test_16_3_1_and_16_5_3_each_command_has_one_row_and_is_nothing_without_it(idp: Installation) -> None:
    """The operator, under the name that the machine has for them, with nothing secret in it."""
    asyncio.run(_first_start(idp, datetime.now(UTC) - timedelta(days=1)))
    sub = idp.json(
        "user", "add", "--username", "alice", "--email", "alice@mail.test", "--password-stdin", stdin=PASSWORD
    )
    added = idp.json("client", "add", "--name", "Bank", "--redirect-uri", "https://bank.test/cb")
    kids = {(key["alg"], key["state"]): key["kid"] for key in idp.json("keys", "status")["keys"]}
    meant, faults = {"{client}": added["client_id"], "{kid}": kids["RS256", "active"]}, {}
    for event, command in COMMANDS:
        arguments = [meant.get(word, word) for word in command]
        do = partial(idp.do, *arguments, "--json", stdin=PASSWORD)
        idp.in_database(partial(trust, sub=sub["sub"]) if event == "device_trust_ended" else kept)
        before = idp.in_database(kept)
        found = [] if without(idp, event, do).exit_code else ["without it the command succeeds"]
        after = idp.in_database(kept)
        found += [f"{table} changed without it" for table in before if before[table] != after[table]]
        place = max(row.id or 0 for row in idp.in_database(events))
        result = do()
        secret = json.loads(result.stdout or "{}").get("client_secret") or ""
        found += faults_of(told_of(idp, place, event), secret) if result.exit_code == 0 else [result.output]
        if found:
            faults[event] = found
    assert faults == {}


def test_16_1_1_all_that_an_operator_does_is_among_the_commands() -> None:
    """But for what the schedule of keys does as well (tests/cli/test_audit.py)."""
    by_operator = {event for event, (actors, _) in documented().items() if "operator" in actors}
    rest = {"key_published", "key_activated", "key_retired", "key_withdrawn"}
    assert {event for event, _ in COMMANDS} | rest == by_operator
