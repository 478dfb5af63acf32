from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from idp.cli.user import app
from idp.cli.user.adding import REASONS
from idp.model.assurance import Evidence
from idp.model.credential import TotpCredential
from idp.model.user import User
from idp.store import sessions, totp_credentials, users
from idp.store.database import Connection
from tests.cli.installation import Installation

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PASSWORD = "harbour tonic 7 quarter"
T = TypeVar("T")


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def test_add_answers_the_sub(idp: Installation) -> None:
    added = idp.json("add", "--username", "Alice", "--email", "alice@mail.example", "--phone", "+44 7700 900123")
    assert added["sub"]
    assert (added["email_verified"], added["phone"], added["phone_verified"]) == (True, "+447700900123", True)
    assert added["password"] is False
    shown = {**added, "groups": [], "factor_recovery": None}
    assert idp.json("show", "alice") == idp.json("show", added["sub"]) == shown


def test_a_password_is_one_line_of_standard_input(idp: Installation) -> None:
    added = idp.json("add", "--username", "alice", "--password-stdin", stdin=f"{PASSWORD}\r\nrest\n")
    assert added["password"] is True
    [credential] = idp.json("credentials", "alice")["credentials"]
    assert (credential["method"], credential["id"]) == ("password", None)
    user = idp.in_database(lambda conn: users.get_user(conn, added["sub"]))
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$")
    assert PASSWORD not in idp.do("show", "alice").output


@pytest.mark.parametrize(
    ("options", "stdin", "cause"),
    [
        (("--username", "al"), None, "username_short"),
        (("--username", "al ice"), None, "username_characters"),
        (("--username", "аlice"), None, "username_scripts"),
        (("--username", "alice."), None, "username_ending"),
        (("--username", "alice", "--email", "alice"), None, "email_invalid"),
        (("--username", "alice", "--phone", "07700 900123"), None, "phone_invalid"),
        (("--username", "alice", "--password-stdin"), "short\n", "password_short"),
        (("--username", "alice", "--password-stdin"), "\n", "password_short"),
        (("--username", "alice", "--password-stdin"), "a1" * 65, "password_long"),
        (("--username", "alice", "--password-stdin"), "password123\n", "password_known"),
        (("--username", "alexandra", "--password-stdin"), "alexandra-26\n", "password_context"),
    ],
)
def test_what_is_refused(tmp_path: Path, options: tuple[str, ...], stdin: str | None, cause: str) -> None:
    """G10 and what an account may be called; nothing of it needs the database"""
    idp = Installation(app, "postgresql://nowhere.invalid/idp", tmp_path)
    assert REASONS[cause] in idp.refused("add", *options, stdin=stdin)


def test_all_faults_are_told_at_once(idp: Installation) -> None:
    told = idp.refused("add", "--username", "a", "--email", "b", "--phone", "c", "--password-stdin", stdin="d")
    assert told.count("\n") == 5


def test_a_password_that_is_no_text_is_refused(idp: Installation) -> None:
    assert "UTF-8" in idp.refused("add", "--username", "alice", "--password-stdin", stdin=b"\xff\xfe\xfd\n")


def test_names_are_given_once(idp: Installation) -> None:
    """A-36"""
    idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    for name in ("Alice", "\uff21\uff2c\uff29\uff23\uff25", " alice "):
        assert "in use" in idp.refused("add", "--username", name)


def test_A_78_operators_make_no_look_alikes_either(idp: Installation) -> None:
    idp.json("add", "--username", "paypal")
    for name in ("paypaI", "paypa1", "раураІ"):
        assert "in use, or one that looks like it" in idp.refused("add", "--username", name)
    idp.json("add", "--username", "пётр")


def test_addresses_are_given_once(idp: Installation) -> None:
    """A-36"""
    idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    assert "another account" in idp.refused("add", "--username", "bob", "--email", "Alice@mail.example")


def test_a_removed_name_made_anew_is_somebody_else(idp: Installation) -> None:
    """ASVS 10.3.3."""
    first = idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    assert idp.json("remove", "alice") == {"sub": first["sub"], "removed": True}
    assert "no user" in idp.refused("show", first["sub"])
    assert idp.json("add", "--username", "alice", "--email", "alice@mail.example")["sub"] != first["sub"]


def test_disabling_ends_the_sessions(idp: Installation) -> None:
    """ASVS 7.4.2, 7.4.5."""
    sub = idp.json("add", "--username", "alice")["sub"]
    evidence = (Evidence("password", NOW),)
    day = timedelta(days=1)
    idp.in_database(lambda conn: sessions.create_session(conn, "s1", "secret", sub, evidence, now=NOW, life=day))
    assert idp.json("disable", "alice")["disabled_at"]
    found = idp.in_database(lambda conn: sessions.find_session(conn, "secret", now=NOW, idle=day))
    assert found is None or found.ended_at is not None
    assert idp.json("enable", "alice")["disabled_at"] is None


def test_credentials_are_listed_once_they_count(idp: Installation) -> None:
    sub = idp.json("add", "--username", "alice")["sub"]
    assert "nothing to sign in with" in idp.do("credentials", "alice").stdout
    confirmed = TotpCredential("c1", sub, "Phone", b"sealed", NOW, 1, NOW)
    idp.in_database(lambda conn: totp_credentials.create(conn, confirmed))
    [credential] = idp.json("credentials", "alice")["credentials"]
    assert (credential["id"], credential["method"], credential["name"]) == ("c1", "totp", "Phone")


def test_a_name_that_is_another_ones_sub_is_told_apart(idp: Installation) -> None:
    """A-59"""
    sub = idp.json("add", "--username", "alice")["sub"]
    mallory = idp.json("add", "--username", sub)["sub"]
    assert f"name:{sub}" in idp.refused("remove", sub)
    assert idp.json("show", f"sub:{sub}")["username"] == "alice"
    assert idp.json("show", f"name:{sub}")["sub"] == mallory


def test_an_unknown_user_is_refused(idp: Installation) -> None:
    for command in ("show", "disable", "enable", "remove", "credentials"):
        for who in ("nobody", "", "a\udcffb", "id:alice"):
            assert "there is no user" in idp.refused(command, who)


def test_bad_usage_ends_with_2(tmp_path: Path) -> None:
    idp = Installation(app, "postgresql://nowhere.invalid/idp", tmp_path)
    for arguments in (("add",), ("show",), ("add", "--username", "alice", "--admin")):
        assert idp.do(*arguments).exit_code == 2


def test_a_long_list_is_whole_and_in_order(idp: Installation) -> None:
    async def _fill(conn: Connection) -> None:
        for number in range(250):
            name = f"user{number:03}"
            await users.create(conn, User(f"sub{number}", name, NOW, NOW), username_canonical=name)

    assert "idp user add" in idp.do("list").stdout
    idp.in_database(_fill)
    listed = [user["username"] for user in idp.json("list")["users"]]
    assert listed == [f"user{number:03}" for number in range(250)]
