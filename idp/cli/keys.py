"""`idp keys`: the keys that sign tokens, their rotation, and their removal in an emergency."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from idp.base.entropy import system_entropy
from idp.base.jwk import Algorithm
from idp.cli.master import master_key
from idp.cli.output import Json, database, emit, refuse, run, settings, table
from idp.cli.trail import os_user
from idp.keys.custody import Custody, read_ring, revoke, rotate
from idp.keys.ring import ORDER
from idp.keys.schedule import BlastRadius, TooEarly, blast_radius, until
from idp.model.signing_key import SigningKey
from idp.settings import Settings
from idp.store.clock import database_time
from idp.store.database import Pool, connection

app = typer.Typer(help="The keys that sign tokens: their state, rotation and removal.", no_args_is_help=True)

Alg = Annotated[Algorithm, typer.Option("--alg", help="The algorithm whose key is meant.")]
Kid = Annotated[str, typer.Argument(metavar="KID", help="The key's identifier, as `idp keys status` shows it.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would break.")]


@app.command("status")
def status_command(as_json: Json = False) -> None:
    """List the published keys: their state, since when, and until when if nobody interferes."""
    run(_status(settings(), as_json=as_json))


@app.command("rotate")
def rotate_command(alg: Alg = "RS256", as_json: Json = False) -> None:
    """Let the next key sign from now on, if every validator can know it by now; else say from when it may."""
    run(_rotate(settings(), alg, as_json=as_json))


# A kid is base64url and may begin with a dash: what is no option of this command is taken for its argument.
@app.command("revoke", context_settings={"ignore_unknown_options": True})
def revoke_command(kid: Kid, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Remove a key at once and for good, published or not, and say what that breaks."""
    run(_revoke(settings(), kid, dry_run=dry_run, as_json=as_json))


async def _status(settings: Settings, *, as_json: bool) -> None:
    async with database(settings) as pool:
        rows = await read_ring(pool)
    published = (row for row in rows if row.is_published)
    ordered = sorted(published, key=lambda row: (row.alg != "RS256", row.alg, ORDER.index(row.state), row.since))
    lives = [(row, until(row, rows, settings.key_policy)) for row in ordered]
    emit({"keys": [_document(*life) for life in lives]}, _table(lives), as_json=as_json)


async def _rotate(settings: Settings, alg: Algorithm, *, as_json: bool) -> None:
    async with _custody(settings) as custody:
        try:
            rows = await rotate(custody, alg, await _now(custody.pool))
        except TooEarly as early:
            refuse(
                f"the next {alg} key may sign from {_whole(early.when)}: until then there may be validators that do "
                "not know it. `idp keys revoke` does not wait, for emergencies."
            )
    now = {row.state: row.kid for row in rows if row.alg == alg}
    text = f"The {alg} key {now['active']} signs from now on; {now['next']} is published next to it."
    emit({"alg": alg, "active": now["active"], "next": now["next"]}, text, as_json=as_json)


async def _revoke(settings: Settings, kid: str, *, dry_run: bool, as_json: bool) -> None:
    with _refusing_unknown():
        if dry_run:
            async with database(settings) as pool:
                rows, now = await read_ring(pool), await _now(pool)
                radius = blast_radius(rows, kid, now, settings.key_policy)
        else:
            async with _custody(settings) as custody:
                radius = await revoke(custody, kid, await _now(custody.pool))
    emit(_radius(radius, dry_run=dry_run), _radius_text(radius, dry_run=dry_run), as_json=as_json)


async def _now(pool: Pool) -> datetime:
    async with connection(pool) as conn:
        return await database_time(conn)


@contextlib.asynccontextmanager
async def _custody(settings: Settings) -> AsyncIterator[Custody]:
    async with database(settings) as pool:
        master = await master_key(pool, settings)
        yield Custody(pool, master, settings.key_policy, settings.rsa_bits, system_entropy, os_user())


@contextlib.contextmanager
def _refusing_unknown() -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        refuse(str(error.args[0]))


def _document(row: SigningKey, ends: datetime | None) -> dict[str, str | None]:
    return {
        "kid": row.kid,
        "alg": row.alg,
        "state": row.state,
        "since": row.since.isoformat(),
        "until": _json(ends),
    }


def _table(lives: list[tuple[SigningKey, datetime | None]]) -> str:
    if not lives:
        return "There are no keys yet: the first start makes them."
    rows = [(row.alg, row.state, row.kid, _whole(row.since), _whole(ends) if ends else "-") for row, ends in lives]
    return table([("ALG", "STATE", "KID", "SINCE", "UNTIL"), *rows])


def _whole(moment: datetime) -> str:
    """The moment for people; rounded up, since what is promised from a moment on must hold at it."""
    rounded = moment if moment.microsecond == 0 else moment.replace(microsecond=0) + timedelta(seconds=1)
    return rounded.strftime("%Y-%m-%d %H:%M:%S UTC")


def _radius(radius: BlastRadius, *, dry_run: bool) -> dict[str, Any]:
    return {
        "kid": radius.kid,
        "alg": radius.alg,
        "state": radius.state,
        "dry_run": dry_run,
        "tokens_until": _json(radius.tokens_until),
        "hints_until": _json(radius.hints_until),
        "cached_until": _json(radius.cached_until),
        "successor": radius.successor,
        "gap_until": _json(radius.gap_until),
    }


def _json(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _radius_text(radius: BlastRadius, *, dry_run: bool) -> str:
    done = "Would remove" if dry_run else "Removed"
    return "\n".join([f"{done} the {radius.state} {radius.alg} key {radius.kid}.", *_consequences(radius)])


def _consequences(radius: BlastRadius) -> Iterator[str]:
    if radius.tokens_until is None:
        yield "No token signed by it can still be valid."
    else:
        yield (
            f"Tokens signed by it would have been valid until {_whole(radius.tokens_until)}: here they are refused "
            f"within five seconds; a validator that keeps its copy of the keys believes them until "
            f"{_whole(min(radius.tokens_until, radius.cached_until))} at the latest. Applications get new ones by "
            "refreshing or by a new sign-in."
        )
    if radius.hints_until is not None:
        yield (
            f"ID tokens signed by it would have been good as hints until {_whole(radius.hints_until)}: an application "
            "that signs its user out with one makes us ask the user first."
        )
    if radius.state != "active":
        yield "It does not sign: new tokens are not affected."
    elif radius.gap_until is None:
        yield f"The next key {radius.successor} takes over at once, and every validator can know it."
    else:
        yield (
            f"{f'The next key {radius.successor}' if radius.successor else 'A new key'} takes over at once, but a "
            f"validator that keeps its copy of the keys may refuse new tokens until {_whole(radius.gap_until)}."
        )
