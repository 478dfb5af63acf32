"""`idp keys` as an operator meets it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from idp.base.entropy import system_entropy
from idp.cli.keys import _whole, app
from idp.keys.custody import Custody, ensure_master_key, tend
from idp.settings import load_settings
from idp.store.database import open_pool
from tests.cli.installation import Installation

ALGORITHMS = ["RS256", "ES256", "EdDSA", "PS256"]
UNKNOWN = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


@pytest.fixture
def started(idp: Installation) -> Installation:
    """An installation whose first start was a day ago."""
    asyncio.run(first_start(idp, datetime.now(UTC) - timedelta(days=1)))
    return idp


async def first_start(idp: Installation, now: datetime) -> None:
    pool = await open_pool(idp.database)
    master = await ensure_master_key(pool, idp.home / "keys", None, entropy=system_entropy)
    await tend(Custody(pool, master, load_settings({}).key_policy, rsa_bits=2048, entropy=system_entropy), now)
    await pool.close()


async def execute(idp: Installation, statement: str, *arguments: object) -> None:
    conn = await asyncpg.connect(idp.database)
    await conn.execute(statement, *arguments)
    await conn.close()


def kid(idp: Installation, state: str, alg: str = "ES256") -> str:
    [key] = [key for key in idp.json("status")["keys"] if (key["alg"], key["state"]) == (alg, state)]
    return str(key["kid"])


def test_status_lists_every_key_and_nothing_else(started: Installation) -> None:
    document = started.json("status")
    assert document.keys() == {"keys"}
    assert [(key["alg"], key["state"]) for key in document["keys"]] == [
        (alg, state) for alg in ALGORITHMS for state in ("active", "next")
    ]
    for key in document["keys"]:
        assert key.keys() == {"kid", "alg", "state", "since", "until"}
        since, until = (datetime.fromisoformat(key[name]) for name in ("since", "until"))
        assert since.utcoffset() == until.utcoffset() == timedelta(0)
        assert until - since == timedelta(days=90)


def test_status_before_the_first_start_is_empty(idp: Installation) -> None:
    assert idp.json("status") == {"keys": []}
    assert "the first start makes them" in idp.do("status").stdout


def test_until_is_null_where_it_is_not_known(started: Installation) -> None:
    asyncio.run(execute(started, "DELETE FROM signing_keys WHERE activated_at IS NULL AND alg = 'ES256'"))
    [key] = [key for key in started.json("status")["keys"] if key["alg"] == "ES256"]
    assert key["until"] is None


def test_status_reads_well(started: Installation) -> None:
    lines = started.do("status").stdout.splitlines()
    assert lines[0].split() == ["ALG", "STATE", "KID", "SINCE", "UNTIL"]
    assert len(lines) == 9
    assert lines[1].startswith("RS256  ")


def test_rotate_takes_rs256_unless_told(started: Installation) -> None:
    next_kid, other = kid(started, "next", "RS256"), kid(started, "active", "ES256")
    assert started.json("rotate") == {
        "alg": "RS256",
        "active": next_kid,
        "next": kid(started, "next", "RS256"),
    }
    assert kid(started, "active", "RS256") == next_kid
    assert kid(started, "active", "ES256") == other
    assert kid(started, "retired", "RS256")


def test_a_second_rotation_is_refused_and_says_from_when(started: Installation) -> None:
    started.json("rotate", "--alg", "ES256")
    before = started.json("status")
    began = datetime.now(UTC)
    reason = started.refused("rotate", "--alg", "ES256")
    when = datetime.strptime(reason.split("may sign from ")[1][:23], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert timedelta(minutes=64) < when - began <= timedelta(minutes=65, seconds=1)
    assert started.json("status") == before


def test_a_rotation_before_the_first_start_makes_the_keys_and_is_refused(idp: Installation) -> None:
    assert "may sign from" in idp.refused("rotate")
    assert len(idp.json("status")["keys"]) == 8


def test_a_dry_run_tells_and_does_nothing(started: Installation) -> None:
    before = started.json("status")
    told: dict[str, Any] = started.json("revoke", kid(started, "active"), "--dry-run")
    assert told.keys() == {
        *("kid", "alg", "state", "dry_run", "tokens_until", "hints_until", "cached_until", "successor", "gap_until")
    }
    assert (told["dry_run"], told["state"], told["gap_until"]) == (True, "active", None)
    assert told["successor"] == kid(started, "next")
    assert started.json("status") == before


def test_revoke_does_what_the_dry_run_told(started: Installation) -> None:
    revoked, successor = kid(started, "active"), kid(started, "next")
    told = started.json("revoke", revoked, "--dry-run")
    done = started.json("revoke", revoked)
    assert {**told, "dry_run": False}.keys() == done.keys()
    assert (done["kid"], done["successor"]) == (revoked, successor)
    assert kid(started, "active") == successor
    assert revoked not in {key["kid"] for key in started.json("status")["keys"]}
    assert f"no signing key has the kid {revoked}" in started.refused("revoke", revoked)


def test_a_withdrawn_key_is_not_listed_and_can_be_revoked(started: Installation) -> None:
    started.json("rotate", "--alg", "ES256")
    retired = kid(started, "retired")
    asyncio.run(execute(started, "UPDATE signing_keys SET withdrawn_at = now() WHERE kid = $1", retired))
    assert {key["state"] for key in started.json("status")["keys"]} == {"active", "next"}
    assert (
        "ID tokens signed by it would have been good as hints until"
        in started.do("revoke", retired, "--dry-run").stdout
    )
    told = started.json("revoke", retired)
    assert (told["state"], told["tokens_until"] is None or told["hints_until"] > told["tokens_until"]) == (
        "withdrawn",
        True,
    )
    assert f"no signing key has the kid {retired}" in started.refused("revoke", retired)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("active", ["Would remove the active ES256 key", "would have been valid until", "takes over at once"]),
        ("next", ["Would remove the next ES256 key", "No token signed by it", "new tokens are not affected"]),
    ],
)
def test_the_blast_radius_in_words(started: Installation, state: str, words: list[str]) -> None:
    text = started.do("revoke", kid(started, state), "--dry-run").stdout
    assert [word for word in words if word not in text] == []


def test_the_gap_of_a_hasty_revocation_is_told(started: Installation) -> None:
    started.json("rotate", "--alg", "ES256")
    text = started.do("revoke", kid(started, "active"), "--dry-run").stdout
    assert "may refuse new tokens until" in text


def test_a_kid_may_begin_with_a_dash(started: Installation) -> None:
    """One thumbprint in 64 does."""
    for dashed in ("-" + UNKNOWN[1:], "--" + UNKNOWN[2:]):
        assert f"no signing key has the kid {dashed}" in started.refused("revoke", dashed)
        assert f"no signing key has the kid {dashed}" in started.refused("revoke", dashed, "--dry-run")


@pytest.mark.parametrize("command", [("rotate",), ("revoke", UNKNOWN)])
def test_a_missing_master_key_is_told(started: Installation, command: tuple[str, ...]) -> None:
    (started.home / "keys" / "master.key").unlink()
    assert "master.key is missing" in started.refused(*command)
    assert started.do("status").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("revoke",), id="no-kid"),
        pytest.param(("revoke", UNKNOWN, "--dryrun"), id="misspelt-dry-run"),
        pytest.param(("rotate", "--alg", "HS256"), id="no-such-algorithm"),
        pytest.param(("vanish",), id="no-command"),
    ],
)
def test_bad_usage_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert Installation(app, "postgresql://nowhere.invalid/idp", tmp_path).do(*arguments).exit_code == 2


def test_moments_are_rounded_up() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 59, 1, tzinfo=UTC)
    assert _whole(moment) == "2026-01-02 03:05:00 UTC"
    assert _whole(moment.replace(microsecond=0)) == "2026-01-02 03:04:59 UTC"
