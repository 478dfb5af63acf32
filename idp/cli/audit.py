"""`idp audit`: what was done here, by whom and from where."""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime
from itertools import starmap
from typing import Annotated, TypeAlias

import typer

from idp.cli.audit_verify import verify_command
from idp.cli.output import Json, database, emit, refuse, run, settings
from idp.cli.who import find_meant
from idp.model.event import Event
from idp.store.audit_events import list_events, list_page
from idp.store.database import Connection, Pool, transaction
from idp.store.users import find_usernames

app = typer.Typer(help="Read, export and verify the audit trail.", no_args_is_help=True)
app.command("verify")(verify_command)

POLL_SECONDS = 1.0
LOOK_BACK = 1_000
MOST_AT_ONCE = 10_000
PAGE = 2_000

Whose: TypeAlias = Annotated[
    str | None, typer.Option("--user", help="Only those of this user: a name or a sub, also of one removed since.")
]

Entry = tuple[Event, str | None]
"""An event, and the name of the user whom it touches if they are still there."""


@app.command("tail")
def tail_command(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=MOST_AT_ONCE, help="How many events at most.")] = 20,
    user: Whose = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new events as they come.")] = False,
    as_json: Json = False,
) -> None:
    """Show the newest events, the oldest of them first."""
    if follow and as_json:
        raise typer.BadParameter("one JSON document has an end: leave --json out", param_hint="--follow")
    with contextlib.suppress(KeyboardInterrupt):
        run(_tail(lines, user, follow=follow, as_json=as_json))


@app.command("export")
def export_command(
    since: Annotated[datetime | None, typer.Option("--since", help="Only what happened from then on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option("--until", help="Only what happened before then, in UTC.")] = None,
    user: Whose = None,
    as_json: Json = False,
) -> None:
    """Print all events, the oldest first, as one JSON object a line; with --json, as one JSON array."""
    run(_export(since and since.replace(tzinfo=UTC), until and until.replace(tzinfo=UTC), user, as_json=as_json))


async def _export(since: datetime | None, until: datetime | None, user: str | None, *, as_json: bool) -> None:
    before, between, after = ("[", ",\n", "]\n") if as_json else ("", "\n", "\n")
    async with database(settings()) as pool:
        async for entry in _exported(pool, since, until, user):
            # Printed outside of any transaction: whoever reads may take their time.
            sys.stdout.write(before + json.dumps(document(*entry), ensure_ascii=False))
            before = between
    sys.stdout.write({"[": "[]\n", "": ""}.get(before, after))


async def _exported(
    pool: Pool, since: datetime | None, until: datetime | None, user: str | None
) -> AsyncIterator[Entry]:
    """The events, a page at a time."""
    async with transaction(pool) as conn:
        sub = None if user is None else await _sub(conn, user)
    last = 0
    while True:
        async with transaction(pool) as conn:
            events = await list_page(conn, after=last, limit=PAGE, since=since, until=until, sub=sub)
            entries = await _named(conn, events)
        if not entries:
            return
        for entry in entries:
            yield entry
        last = entries[-1][0].id or 0


async def _tail(lines: int, user: str | None, *, follow: bool, as_json: bool) -> None:
    async with database(settings()) as pool:
        async with transaction(pool) as conn:
            sub = None if user is None else await _sub(conn, user)
            newest = await list_events(conn, sub=sub, limit=max(lines, LOOK_BACK))
            entries = await _named(conn, newest[-lines:])
        text = "\n".join(starmap(line, entries)) or "There are no events yet."
        emit([document(*entry) for entry in entries], text, as_json=as_json)
        if follow:
            sys.stdout.flush()
            await _follow(pool, newest, sub)


async def _follow(pool: Pool, seen: Iterable[Event], sub: str | None) -> None:
    # Printed outside of any transaction: a reader that goes away is no fault of the database.
    async for entry in following(pool, seen, sub=sub):
        print(line(*entry), flush=True)


async def following(
    pool: Pool, seen: Iterable[Event], *, sub: str | None = None, pause: float = POLL_SECONDS
) -> AsyncIterator[Entry]:
    """What comes after the events that were seen, for ever; asked for after each pause (seconds).

    An event gets its place when it is written and appears when its transaction commits, perhaps after others that come
    behind it: so the last ``LOOK_BACK`` places, of which all that there is must have been seen, are looked at again.
    """
    known = {event.id or 0 for event in seen}
    while True:
        after = max(known, default=0) - LOOK_BACK
        async with transaction(pool) as conn:
            found = await list_events(conn, sub=sub, after=after, limit=MOST_AT_ONCE)
            entries = await _named(conn, tuple(event for event in found if event.id not in known))
        for entry in entries:
            yield entry
        known = {event.id or 0 for event in found} or known
        await asyncio.sleep(pause)


async def _sub(conn: Connection, user: str) -> str:
    """Whose events are meant; of a removed account there is nothing left but its sub."""
    found = await find_meant(conn, user)
    sub = user.removeprefix("sub:") if found is None else found.sub
    known = found is not None or (sub.isascii() and sub.isprintable() and await list_events(conn, sub=sub, limit=1))
    return sub if known else refuse(f"there is no user {user!a}, and there are no events of one")


async def _named(conn: Connection, events: tuple[Event, ...]) -> tuple[Entry, ...]:
    names = await find_usernames(conn, (event.sub for event in events if event.sub is not None))
    return tuple((event, names.get(event.sub or "")) for event in events)


def document(event: Event, username: str | None) -> dict[str, object]:
    """The event as JSON values."""
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "event": event.event,
        "actor": event.actor,
        "sub": event.sub,
        "username": username,
        "client_id": event.client_id,
        "session_id": event.session_id,
        "address": event.address,
        "request_id": event.request_id,
        "details": dict(event.details),
    }


def line(event: Event, username: str | None) -> str:
    """The event as one line for people: when (UTC), what, by whom, and then names with their values."""
    words = [f"{event.at:%Y-%m-%d %H:%M:%S}Z", event.event, event.actor]
    return " ".join([*words, *(f"{_shown(name)}={_shown(value)}" for name, value in _members(event, username))])


def _members(event: Event, username: str | None) -> Iterator[tuple[str, object]]:
    whose = ("sub", event.sub) if username is None else ("user", username)
    known = [
        whose,
        ("client", event.client_id),
        ("session", event.session_id),
        ("from", event.address),
        ("request", event.request_id),
    ]
    yield from ((name, value) for name, value in known if value)
    yield from ((name, value) for name, value in event.details.items() if value not in (None, "", []))


_PLAIN = re.compile(r"""[^\s"\\={}\[\]]+""")


def _shown(value: object) -> str:
    """The value, in quotes unless it is one plain word; it ends no line and forges no other value (ASVS 16.4.1)."""
    plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    text = str(value) if plain else json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
