"""`idp user recover --factors`: an operator begins the removal of lost second factors, and opens nothing by it."""

import json
import re
from pathlib import Path

import pytest

from idp.base.entropy import system_entropy
from idp.base.seal import load_or_create
from idp.cli.user import app
from idp.store.outbox import text_of
from tests.cli.installation import Installation
from tests.cli.test_recovery import PASSWORD, rows


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def add(idp: Installation, *more: str) -> str:
    """An account with a password, and its ``sub``."""
    return str(idp.json("add", "--username", "alice", "--password-stdin", *more, stdin=PASSWORD)["sub"])


def test_6_4_6_it_tells_the_owner_waits_and_sets_no_password(idp: Installation) -> None:
    sub = add(idp, "--email", "alice@mail.example")
    [before] = rows(idp, "SELECT password_hash FROM users")
    result = idp.do("recover", "alice", "--factors", "--json")
    assert [before] == rows(idp, "SELECT password_hash FROM users")
    [kept] = rows(idp, "SELECT state, not_before - created_at AS delay, not_before FROM factor_recoveries")
    assert (kept["state"], kept["delay"].total_seconds()) == ("waiting", 72 * 3600)
    due = kept["not_before"].isoformat(timespec="seconds")
    assert json.loads(result.stdout) == {"sub": sub, "email": "alice@mail.example", "factor_recovery": due}
    [mail] = rows(idp, "SELECT id, recipient, kind, sealed_text FROM outbox")
    assert (mail["recipient"], mail["kind"]) == ("alice@mail.example", "factor_recovery_asked")
    master = load_or_create(idp.home / "keys", None, may_create=False, entropy=system_entropy)
    text = text_of(mail["id"], mail["sealed_text"], master)
    [link] = re.findall(r"^(https://\S+\?link=\S+)$", text, re.MULTILINE)
    assert link.startswith("https://id.example/recover/factor/cancel?"), "no link that finishes yet"
    assert link not in result.output
    events = rows(idp, "SELECT event, actor, sub FROM audit_events ORDER BY id")
    assert tuple(events[-1]) == ("factor_recovery_asked", "operator", sub)
    assert idp.json("show", "alice")["factor_recovery"] == due


def test_it_is_stopped_by_the_operator_too_and_one_waits_at_a_time(idp: Installation) -> None:
    add(idp, "--email", "alice@mail.example")
    assert "does not wait" in idp.refused("recover", "alice", "--cancel")
    idp.do("recover", "alice", "--factors")
    assert "already" in idp.refused("recover", "alice", "--factors")
    assert "keeps" in idp.do("recover", "alice", "--cancel").stdout
    assert idp.json("show", "alice")["factor_recovery"] is None
    assert [row["kind"] for row in rows(idp, "SELECT kind FROM outbox ORDER BY created_at")][-1] == (
        "factor_recovery_cancelled"
    )
    idp.do("recover", "alice", "--factors")


def test_it_refuses_with_a_reason_where_it_could_never_be_finished(idp: Installation) -> None:
    add(idp)
    assert "no confirmed e-mail address" in idp.refused("recover", "alice", "--factors")
    idp.json("add", "--username", "bob-1", "--email", "bob@mail.example")
    assert "no password" in idp.refused("recover", "bob-1", "--factors")
    assert "one of them" in idp.refused("recover", "alice", "--factors", "--cancel")
    assert rows(idp, "SELECT 1 FROM factor_recoveries") == []
