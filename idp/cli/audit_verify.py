"""`idp audit verify`: whether anybody has changed the audit trail."""

from typing import NamedTuple

import typer

from idp.base.seal import MasterKey
from idp.cli.master import master_key
from idp.cli.output import Json, database, emit, run, settings
from idp.model.audit_chain import SEALS, Break, Inspection, Seal
from idp.settings import Settings
from idp.store.audit_anchors import list_anchors
from idp.store.audit_events import count_unchained, list_links
from idp.store.audit_seals import list_seals
from idp.store.database import Connection, Pool, snapshot

PAGE = 5_000


class Verdict(NamedTuple):
    """What was found, and how many rows are older than the chains."""

    inspection: Inspection
    unchained: int


def verify_command(as_json: Json = False) -> None:
    """Verify that no row was changed, removed or put in; exit with 1 at a break, and name the row."""
    run(_verify(settings(), as_json=as_json))


async def _verify(settings: Settings, *, as_json: bool) -> None:
    async with database(settings) as pool:
        found = await verify(pool, await master_key(pool, settings))
    emit(_document(found), _text(found), as_json=as_json)
    if found.inspection.breaks:
        raise typer.Exit(1)


async def verify(pool: Pool, master: MasterKey, *, page: int = PAGE) -> Verdict:
    """Look through the whole trail as it is at one moment, so many rows at a time."""
    inspection = Inspection(master)
    async with snapshot(pool) as conn:
        inspection.take_anchors(await list_anchors(conn))
        await _take_seals(conn, inspection, page)
        await _take_links(conn, inspection, page)
        unchained, newest = await count_unchained(conn)
    inspection.finish(newest)
    return Verdict(inspection, unchained)


async def _take_seals(conn: Connection, inspection: Inspection, page: int) -> None:
    after = 0
    while seals := await list_seals(conn, after=after, limit=page):
        inspection.take_seals(seals)
        after = seals[-1].number


async def _take_links(conn: Connection, inspection: Inspection, page: int) -> None:
    after = (-1, 0)
    while links := await list_links(conn, after=after, limit=page):
        inspection.take_links(links)
        after = (links[-1].chain, links[-1].place)


def _document(found: Verdict) -> dict[str, object]:
    seen = found.inspection
    return {
        "verified": not seen.breaks,
        "rows": seen.rows,
        "chains": seen.chains,
        "unchained": found.unchained,
        "seals": seen.seals,
        "sealed": seen.last_seal and _seal(seen.last_seal),
        "breaks": [{"fault": one.fault, "id": one.id, "chain": one.chain, "place": one.place} for one in seen.breaks],
    }


def _seal(seal: Seal) -> dict[str, object]:
    return {"number": seal.number, "at": seal.at.isoformat(), "mac": seal.mac.hex()}


def _text(found: Verdict) -> str:
    seen, seal = found.inspection, found.inspection.last_seal
    if seen.breaks:
        lines = [f"The audit trail is broken: {_words(seen.breaks[0])}."]
        lines += [f"Also: {_words(one)}." for one in seen.breaks[1:]]
        if len(seen.breaks) == seen.most:
            lines.append("There may be more.")
    else:
        lines = [f"The audit trail is whole: {seen.rows} rows in {seen.chains} chains."]
    if seal is None:
        lines.append("Nothing is sealed yet: who can write to the database could have made all of it.")
    else:
        lines.append(f"Sealed until {seal.at:%Y-%m-%d %H:%M:%S} UTC, by seal {seal.number}: {seal.mac.hex()}")
    if found.unchained:
        lines.append(f"{found.unchained} rows were written before there were chains, and prove nothing.")
    return "\n".join(lines)


def _words(one: Break) -> str:
    there = f"chain {one.chain}, place {one.place}"
    match one.fault:
        case "changed":
            return f"row {one.id} was changed, or a row was put in before it ({there})"
        case "rewritten":
            return f"row {one.id}, or one before it, is not what was sealed ({there})"
        case "missing" if one.chain == SEALS:
            return f"seal {one.place} is missing"
        case "missing":
            return f"a row is missing ({there})"
        case "cut_off":
            return f"the newest rows that were sealed are missing ({there} and on)"
        case "seal_broken":
            return f"seal {one.place} was not made with this master key, or was changed"
        case "anchor_broken":
            return f"where the chain {one.chain} begins was not written with this master key, or was changed"
        case "unchained":
            return f"row {one.id} is in no chain, though there were chains when it was written"
