"""docs/audit.md against the sources: every event that is written is explained, and no other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [
    path.relative_to(ROOT).as_posix() for room in ("web", "cli", "keys") for path in ROOT.glob(f"idp/{room}/**/*.py")
]
WRITERS = {"note", "note_refusal", "record_event", "Event"}
"""What takes the name of an event, as an argument of its own or in an `Event`."""


def events_of(path: str) -> Iterator[str]:
    """The names of the events that a source writes; raises ValueError where one cannot be told by reading."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    yield from _named_in_tables(tree)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        takes_it = any(argument.arg == "event" for argument in function.args.args)
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "asyncio.Event":
                continue
            if _name(call.func) in WRITERS or _name(call.func).startswith("_note"):
                yield from _names(call, function, path, passed_on=takes_it)


def _named_in_tables(tree: ast.Module) -> Iterator[str]:
    """The values of a dictionary called ``_EVENTS``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and _name(node.target) == "_EVENTS" and isinstance(node.value, ast.Dict):
            yield from (str(value.value) for value in node.value.values if isinstance(value, ast.Constant))


def _names(
    call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef, path: str, *, passed_on: bool
) -> Iterator[str]:
    for argument in call.args:
        found = set(_constants(argument, function))
        yield from found
        if found or (passed_on and _name(argument) == "event") or (_name(argument) == "Event" or _is_table(argument)):
            return
    if _name(call.func) in WRITERS:
        raise ValueError(f"{path}:{call.lineno}: which event is this?")


def _constants(node: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """The text that an expression may be, through one variable of the function."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_constants(body, function), *_constants(orelse, function))
        case ast.Name(id="event"):
            for statement in ast.walk(function):
                if isinstance(statement, ast.Assign) and _name(statement.targets[0]) == "event":
                    yield from _constants(statement.value, function)


def _is_table(node: ast.expr) -> bool:
    return isinstance(node, ast.Subscript) and _name(node.value) == "_EVENTS"


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=function):
            return _name(function)
    return ""


def documented() -> list[str]:
    section = (ROOT / "docs" / "audit.md").read_text("utf-8").partition("\n## Events\n")[2]
    return [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]


def test_16_1_1_every_event_is_explained_once() -> None:
    """ASVS 16.1.1: what is written into the trail is in the document, and the other way round."""
    written = {event for path in SOURCES for event in events_of(path)}
    assert sorted(written) == sorted(documented())


def test_an_event_that_cannot_be_read_off_is_noticed(tmp_path: Path) -> None:
    """What this test rests on: a name that is put together somewhere else does not slip through."""
    for body in ("note(request, conn, chosen())", "record_event(conn, made)", "Event(chosen(), actor, now)"):
        source = tmp_path / "odd.py"
        source.write_text(f"async def odd(request, conn):\n    await {body}\n")
        with pytest.raises(ValueError, match="which event"):
            list(events_of(source.as_posix()))
