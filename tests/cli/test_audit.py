"""`idp audit` as an operator meets it, and what their own commands leave in the trail."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
import typer
from typer.main import get_command

from idp.base.entropy import system_entropy
from idp.base.seal import load_or_create, seal
from idp.cli.audit import LOOK_BACK, PAGE, following, line
from idp.cli.commands import app
from idp.cli.demo_client import ensure_demo_client
from idp.keys.custody import Custody, ensure_master_key, tend
from idp.model.attempt import Bucket, Tally
from idp.model.credential import TotpCredential
from idp.model.event import Event
from idp.settings import load_settings
from idp.store import totp_credentials
from idp.store.attempts import find_misses, lock_tallies, record_tallies
from idp.store.audit_events import list_events, record_event
from idp.store.database import Connection, Pool, open_pool, transaction
from tests.cli.installation import Installation

AT = datetime(2026, 3, 1, 12, 30, 5, 999, tzinfo=UTC)
PASSWORD = "harbour tonic 7 quarter"
T = TypeVar("T")


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def record(idp: Installation, *events: Event) -> None:
    async def _record(conn: Connection) -> None:
        for event in events:
            await record_event(conn, event)

    idp.in_database(_record)


def tail(idp: Installation, *arguments: str) -> Any:
    return idp.json("audit", "tail", *arguments)


def test_an_event_is_one_line_for_people(idp: Installation) -> None:
    """ASVS 16.2.1, 16.2.2"""
    sub = idp.json("user", "add", "--username", "Alice")["sub"]
    details = {"acr": "mfa", "amr": ["pwd", "otp"], "reasons": [], "credential": None, "cause": "two words"}
    record(idp, Event("sign_in", "user", AT, sub, "web", "s1", "2001:db8::1", "r1", details))
    assert idp.do("audit", "tail", "--lines", "1").stdout == (
        "2026-03-01 12:30:05Z sign_in user user=Alice client=web session=s1 from=2001:db8::1 request=r1 "
        'acr=mfa amr=["pwd", "otp"] cause="two words"\n'
    )


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param("a\n2026-03-01 12:30:05Z sign_in user user=admin", id="A-57-newline"),
        pytest.param("a\r\x1b[2K\x1b[1A", id="A-57-terminal"),
        pytest.param("a\u2028b\x85c\u202e\U000e0041", id="A-57-unicode"),
        pytest.param("alice user=admin", id="A-57-another-value"),
        pytest.param('a" user="admin', id="A-57-quotes"),
        pytest.param("a\\n", id="A-57-looks-escaped"),
    ],
)
def test_16_4_1_what_is_written_adds_no_line(idp: Installation, hostile: str) -> None:
    """ASVS 16.4.1: whatever was typed stays within its value, and can be told from any other."""
    record(idp, Event("sign_in_failed", "anonymous", AT, client_id=hostile, details={"cause": hostile, hostile: 1}))
    [shown] = idp.do("audit", "tail").stdout.splitlines()
    assert shown.isprintable()
    words = shown.replace(json.dumps(hostile, ensure_ascii=False), "")
    assert "user=admin" not in words
    assert tail(idp)[0]["details"]["cause"] == hostile
    [event] = idp.in_database(list_events)
    assert line(event, None) != line(Event("sign_in_failed", "anonymous", AT, details={"cause": "a\n"}), None)


def test_json_is_one_list_and_nothing_else(idp: Installation) -> None:
    """ASVS 16.2.4"""
    assert tail(idp) == []
    sub = idp.json("user", "add", "--username", "Alice")["sub"]
    record(idp, Event("sign_in", "user", AT, sub, "web", "s1", "192.0.2.1", "r1", {"acr": "1fa"}))
    [event] = tail(idp, "--lines", "1")
    assert isinstance(event.pop("id"), int)
    assert event == {
        "at": "2026-03-01T12:30:05.000999+00:00",
        "event": "sign_in",
        "actor": "user",
        "sub": sub,
        "username": "Alice",
        "client_id": "web",
        "session_id": "s1",
        "address": "192.0.2.1",
        "request_id": "r1",
        "details": {"acr": "1fa"},
    }


def test_only_the_newest_are_shown_the_oldest_first(idp: Installation) -> None:
    assert idp.do("audit", "tail").stdout == "There are no events yet.\n"
    record(idp, *(Event(f"e{number}", "system", AT) for number in range(25)))
    assert [event["event"] for event in tail(idp)] == [f"e{number}" for number in range(5, 25)]
    assert [event["event"] for event in tail(idp, "-n", "2")] == ["e23", "e24"]


def test_one_users_events_also_after_they_are_gone(idp: Installation) -> None:
    alice, bob = (idp.json("user", "add", "--username", name)["sub"] for name in ("alice", "bob"))
    record(idp, Event("sign_in", "user", AT, alice), Event("sign_in", "user", AT, bob))
    for who in ("alice", f"sub:{alice}", "name:ALICE"):
        assert [(event["event"], event["sub"]) for event in tail(idp, "--user", who)] == [
            ("user_added", alice),
            ("sign_in", alice),
        ]
    idp.json("user", "remove", "alice")
    for who in (alice, f"sub:{alice}"):
        assert [event["event"] for event in tail(idp, "--user", who)] == ["user_added", "sign_in", "user_removed"]
    assert f"user_removed operator sub={alice}" in idp.do("audit", "tail", "--user", alice).stdout
    for who in ("alice", "nobody", "", "a\udcffb"):
        assert "there is no user" in idp.refused("audit", "tail", "--user", who)


def test_bad_usage_ends_with_2(tmp_path: Path) -> None:
    idp = Installation(app, "postgresql://nowhere.invalid/idp", tmp_path)
    for arguments in (("--follow", "--json"), ("--lines", "0"), ("--lines", "many"), ("--all",), ("more",)):
        assert idp.do("audit", "tail", *arguments).exit_code == 2
    assert idp.do("audit", "tail").exit_code == 1


async def test_following_misses_nothing_and_repeats_nothing(pool: Pool) -> None:
    """An event that took its place first and is committed last comes too."""
    async with asyncio.timeout(60):
        async with transaction(pool) as conn:
            await record_event(conn, Event("old", "system", AT))
            seen = await list_events(conn)
        events = following(pool, seen, pause=0.01)
        async with transaction(pool) as slow:
            await record_event(slow, Event("slow", "system", AT))
            async with transaction(pool) as quick:
                for number in range(30):
                    await record_event(quick, Event(f"quick{number}", "system", AT))
            found = [(await anext(events))[0].event for _ in range(30)]
            assert found == [f"quick{number}" for number in range(30)]
        assert (await anext(events))[0].event == "slow"
        async with transaction(pool) as conn:
            for number in range(LOOK_BACK + 30):
                await record_event(conn, Event(f"many{number}", "system", AT))
        found = [(await anext(events))[0].event for _ in range(LOOK_BACK + 30)]
        assert found == [f"many{number}" for number in range(LOOK_BACK + 30)]
        async with transaction(pool) as conn:
            await record_event(conn, Event("last", "system", AT))
        assert (await anext(events))[0].event == "last"
        await events.aclose()  # type: ignore[attr-defined]


def test_follow_goes_on_until_ctrl_c(idp: Installation) -> None:
    record(idp, Event("first", "system", AT))
    environ = {**os.environ, "IDP_DATABASE_URL": idp.database, "IDP_DATA_DIR": str(idp.home / "data")}
    command = [sys.executable, "-m", "idp", "audit", "tail", "--follow"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert " first " in process.stdout.readline()
            record(idp, Event("second", "system", AT))
            assert " second " in process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


# What the operator's own commands leave.


def last(idp: Installation, count: int = 1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tail(idp, "--lines", str(count))
    assert all(event["actor"] == "operator" for event in found), found
    assert all(event["details"].pop("os_user") for event in found)
    return found


def test_what_is_done_to_users_is_kept(idp: Installation) -> None:
    """ASVS 16.3.3: each act with what was changed, and none that was refused."""
    stdin = f"{PASSWORD}\n"
    added = idp.json("user", "add", "--username", "Alice", "--email", "a@mail.example", "--password-stdin", stdin=stdin)
    [event] = last(idp)
    assert (event["event"], event["sub"]) == ("user_added", added["sub"])
    assert event["details"] == {"username": "Alice", "fields": ["email", "password"]}
    acts = {
        "disable": ("user_disabled", {"sessions": 0}),
        "enable": ("user_enabled", {}),
        "unlock": ("user_unlocked", {"methods": [], "tallies": 0}),
        "remove": ("user_removed", {"username": "Alice"}),
    }
    for command, (name, details) in acts.items():
        idp.json("user", command, "alice")
        [event] = last(idp)
        assert (event["event"], event["sub"], event["details"]) == (name, added["sub"], details)
    idp.refused("user", "disable", "alice")
    idp.refused("user", "add", "--username", "a")
    assert len(tail(idp)) == 5


def test_what_is_done_to_clients_is_kept(idp: Installation) -> None:
    """ASVS 16.3.3, 16.2.5: which fields were changed, where users are sent, and no secret."""
    uri = "https://bank.example/cb"
    added = idp.json("client", "add", "--name", "Example Bank", "--redirect-uri", uri)
    client_id, secrets = added["client_id"], [added["client_secret"]]
    idp.json("client", "update", client_id, "--name", "New Bank", "--redirect-uri", f"{uri}2")
    idp.json("client", "update", client_id, "--name", "New Bank")
    secrets += [idp.json("client", "rotate-secret", client_id)["client_secret"]]
    for command in ("disable", "enable", "remove"):
        idp.json("client", command, client_id)
    idp.refused("client", "remove", client_id)
    idp.refused("client", "add", "--name", "Bad", "--redirect-uri", "nowhere")
    found = last(idp, 20)
    assert {event["client_id"] for event in found} == {client_id}
    assert [(event["event"], event["details"]) for event in found] == [
        ("client_added", {"client_name": "Example Bank", "redirect_uris": [uri]}),
        ("client_updated", {"fields": ["client_name", "redirect_uris"], "redirect_uris": [f"{uri}2"]}),
        ("client_secret_rotated", {}),
        ("client_disabled", {}),
        ("client_enabled", {}),
        ("client_removed", {"client_name": "New Bank"}),
    ]
    assert all(secret and secret not in idp.do("audit", "tail").stdout for secret in secrets)


async def test_the_demo_client_is_kept_too(pool: Pool, tmp_path: Path) -> None:
    for port in (8001, 8001, 9001):
        client_id, _ = await ensure_demo_client(pool, tmp_path, port)
    (tmp_path / "demo-client.json").write_text(json.dumps({"client_id": client_id, "client_secret": "lost"}))
    await ensure_demo_client(pool, tmp_path)
    async with transaction(pool) as conn:
        names = [event.event for event in await list_events(conn)]
    assert names == ["client_added", "client_updated", "client_secret_rotated"]


async def _first_start(idp: Installation, now: datetime) -> None:
    pool = await open_pool(idp.database)
    master = await ensure_master_key(pool, idp.home / "keys", None, entropy=system_entropy)
    await tend(Custody(pool, master, load_settings({}).key_policy, 2048, system_entropy), now)
    await pool.close()


def test_what_is_done_to_keys_is_kept(idp: Installation) -> None:
    """ASVS 16.3.3: by the schedule, which is the system, or by an operator."""
    asyncio.run(_first_start(idp, datetime.now(UTC) - timedelta(days=1)))
    begun = tail(idp)
    assert [(event["event"], event["actor"], event["details"].keys()) for event in begun] == [
        ("key_published", "system", {"kid", "alg", "state"})
    ] * 8
    kids = {(event["details"]["alg"], event["details"]["state"]): event["details"]["kid"] for event in begun}
    old, new = kids["ES256", "active"], kids["ES256", "next"]
    idp.json("keys", "rotate", "--alg", "ES256")
    found = last(idp, 3)
    assert [(event["event"], event["details"]["kid"]) for event in found[:2]] == [
        ("key_retired", old),
        ("key_activated", new),
    ]
    assert (found[2]["event"], found[2]["details"]["state"]) == ("key_published", "next")
    idp.json("keys", "revoke", old, "--dry-run")
    assert len(tail(idp)) == 11
    idp.json("keys", "revoke", old)
    [event] = last(idp)
    assert (event["event"], event["details"]) == ("key_removed", {"kid": old, "alg": "ES256", "state": "retired"})
    idp.refused("keys", "rotate", "--alg", "ES256")
    idp.refused("keys", "revoke", old)
    assert len(tail(idp)) == 12


# What a user is locked out of.


def lock_totp(idp: Installation, sub: str) -> None:
    master = load_or_create(idp.home / "keys", None, may_create=True, entropy=system_entropy)
    sealed = seal(master, b"seed", context="totp_credentials/c1", entropy=system_entropy)

    async def _lock(conn: Connection) -> None:
        await totp_credentials.create(conn, TotpCredential("c1", sub, "Phone", sealed, AT, 1, AT))
        buckets = (Bucket("totp", sub, ""), Bucket("totp", sub, "network 192.0.2.0/24"))
        await lock_tallies(conn, buckets, AT)
        await record_tallies(conn, dict.fromkeys(buckets, Tally(100, 1, AT, AT)))

    idp.in_database(_lock)


def test_a_factor_that_is_off_is_shown_and_unlocked(idp: Installation) -> None:
    """G6"""
    sub = idp.json("user", "add", "--username", "alice", "--password-stdin", stdin=f"{PASSWORD}\n")["sub"]
    assert idp.json("user", "show", "alice")["locked"] == []
    lock_totp(idp, sub)
    assert idp.json("user", "show", "alice")["locked"] == ["totp"]
    assert "locked" in idp.do("user", "show", "alice").stdout
    off = {each["method"]: each["locked"] for each in idp.json("user", "credentials", "alice")["credentials"]}
    assert off == {"password": False, "totp": True}
    assert idp.do("user", "credentials", "alice").stdout.count("switched off") == 1
    assert idp.do("user", "unlock", "alice").stdout == "Forgot all failed attempts against alice. Works again: totp.\n"
    assert idp.json("user", "show", "alice")["locked"] == []
    assert idp.in_database(lambda conn: find_misses(conn, sub)) == {}
    assert last(idp)[0]["details"] == {"methods": ["totp"], "tallies": 2}
    assert idp.json("user", "unlock", "alice") == {"sub": sub, "unlocked": [], "tallies": 0}
    assert "no user" in idp.refused("user", "unlock", "nobody")


def test_every_command_is_reached_by_its_group() -> None:
    assert isinstance(app, typer.Typer)
    groups = get_command(app).commands  # type: ignore[attr-defined]
    assert set(groups["audit"].commands) == {"tail", "export", "verify"}
    assert "unlock" in groups["user"].commands


def test_an_export_has_every_event_once_and_in_order(idp: Installation) -> None:
    """One JSON object a line, whatever a value holds; over more than one page."""
    record(idp, Event("odd", "user", AT, "s1", details={"text": "a\nb\u2028\U0001f511", "none": None}))
    record(idp, *(Event(f"e{number}", "system", AT + timedelta(days=number % 5)) for number in range(PAGE + 5)))
    result = idp.do("audit", "export")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [json.loads(line) for line in result.stdout.split("\n")[:-1]]
    assert [row["event"] for row in rows] == ["odd", *(f"e{number}" for number in range(PAGE + 5))]
    assert rows[0]["details"] == {"text": "a\nb\u2028\U0001f511", "none": None}
    assert rows == idp.json("audit", "export")
    assert tail(idp, "--lines", "3") == rows[-3:]


def test_an_export_of_some_time_and_of_somebody(idp: Installation) -> None:
    sub = idp.json("user", "add", "--username", "alice")["sub"]
    moments = [AT + timedelta(hours=number) for number in range(4)]
    record(idp, *(Event("sign_in", "user", at, sub) for at in moments), Event("sign_in", "user", AT, "of another"))

    def times(*arguments: str) -> list[str]:
        return [row["at"] for row in idp.json("audit", "export", *arguments) if row["event"] == "sign_in"]

    since, until = (f"{at:%Y-%m-%dT%H:%M:%S}" for at in (moments[1], moments[3]))
    assert times("--user", "alice") == [at.isoformat() for at in moments]
    assert times("--user", "alice", "--since", since, "--until", until) == [at.isoformat() for at in moments[1:3]]
    assert times("--user", "of another") == [AT.isoformat()]
    assert "there is no user 'nobody'" in idp.refused("audit", "export", "--user", "nobody")


def test_an_export_of_nothing(idp: Installation) -> None:
    assert idp.json("audit", "export") == []
    assert idp.do("audit", "export").stdout == ""
