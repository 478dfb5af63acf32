from pathlib import Path
from typing import Any

import pytest

from idp.cli import user
from idp.cli.group import app
from idp.cli.trail import os_user
from tests.cli.installation import Installation


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


@pytest.fixture
def people(idp: Installation) -> Installation:
    """The same installation, by `idp user`."""
    return Installation(user.app, idp.database, idp.home)


def trail(idp: Installation) -> list[tuple[str, str, str | None, dict[str, Any]]]:
    """What the audit trail has of groups: the event, who did it, to whom and what."""
    statement = "SELECT * FROM audit_events WHERE event LIKE 'group%' ORDER BY id"
    rows = idp.in_database(lambda conn: conn.fetch(statement))
    return [(row["event"], row["actor"], row["sub"], row["details"]) for row in rows]


def by_operator(**details: object) -> dict[str, object]:
    return details | ({"os_user": name} if (name := os_user()) else {})


def test_add_shows_what_is_asked(idp: Installation) -> None:
    added = idp.json("add", "staff", "--min-acr", "phr")
    assert (added["name"], added["min_acr"], added["members"]) == ("staff", "phr", 0)
    assert idp.json("show", "staff") == added
    assert idp.json("list") == {"groups": [added]}
    assert trail(idp) == [("group_added", "operator", None, by_operator(group="staff", min_acr="phr"))]


def test_a_level_that_asks_for_nothing_is_none(idp: Installation) -> None:
    assert idp.json("add", "staff", "--min-acr", "1fa")["min_acr"] is None
    assert idp.json("add", "guests")["min_acr"] is None


def test_update_asks_for_another_level_or_for_none(idp: Installation) -> None:
    added = idp.json("add", "staff", "--min-acr", "mfa")
    assert idp.json("update", "staff", "--min-acr", "phrh") == {**added, "min_acr": "phrh"}
    assert idp.json("update", "staff", "--min-acr", "") == {**added, "min_acr": None}
    assert idp.json("show", "staff")["min_acr"] is None
    assert trail(idp)[1:] == [
        ("group_updated", "operator", None, by_operator(group="staff", min_acr="phrh")),
        ("group_updated", "operator", None, by_operator(group="staff")),
    ]


def test_people_come_and_go(idp: Installation, people: Installation) -> None:
    """`idp user show` names the groups; what changes nothing is no event."""
    sub = people.json("add", "--username", "alice")["sub"]
    people.json("add", "--username", "bob")
    for name in ("staff", "finance"):
        idp.json("add", name)
        for _ in range(2):
            assert idp.json("add-user", name, "alice")["members"] == 1
    assert idp.json("add-user", "staff", "bob")["members"] == 2
    assert people.json("show", "alice")["groups"] == ["finance", "staff"]
    assert people.json("show", "bob")["groups"] == ["staff"]
    assert "finance, staff" in people.do("show", "alice").stdout
    assert idp.json("show", "finance")["members"] == 1
    for _ in range(2):
        assert idp.json("remove-user", "staff", "alice")["members"] == 1
    assert people.json("show", "alice")["groups"] == ["finance"]
    told = [(event, details["group"]) for event, _, of, details in trail(idp) if of == sub]
    joined, left = "group_member_added", "group_member_removed"
    assert told == [(joined, "staff"), (joined, "finance"), (left, "staff")]


def test_a_group_that_is_removed_leaves_its_members(idp: Installation, people: Installation) -> None:
    people.json("add", "--username", "alice")
    idp.json("add", "staff")
    idp.json("add-user", "staff", "alice")
    assert idp.json("remove", "staff") == {"name": "staff", "removed": True}
    assert idp.json("list") == {"groups": []}
    assert people.json("show", "alice")["groups"] == []
    assert trail(idp)[-1] == ("group_removed", "operator", None, by_operator(group="staff"))
    # A group of that name later on is another one.
    assert idp.json("add", "staff")["members"] == 0


def test_an_account_that_is_removed_leaves_its_groups(idp: Installation, people: Installation) -> None:
    people.json("add", "--username", "alice")
    idp.json("add", "staff")
    idp.json("add-user", "staff", "alice")
    people.json("remove", "alice")
    assert idp.json("show", "staff")["members"] == 0


@pytest.mark.parametrize("name", ["", "Staff", "_staff", ".", "st aff", "straße", "s" * 65, "a\udcffb", "a\n"])
def test_a_name_that_is_none_is_refused(idp: Installation, name: str) -> None:
    assert "64 small letters" in idp.refused("add", name)
    assert idp.json("list") == {"groups": []}
    assert trail(idp) == []


def test_a_name_is_given_once(idp: Installation) -> None:
    added = idp.json("add", "staff", "--min-acr", "phr")
    assert "there is a group 'staff' already" in idp.refused("add", "staff")
    assert idp.json("show", "staff") == added
    assert len(trail(idp)) == 1


@pytest.mark.parametrize("level", ["aal3", "MFA", "mfa ", "2"])
def test_an_unknown_level_is_refused(idp: Installation, level: str) -> None:
    idp.json("add", "staff", "--min-acr", "mfa")
    assert "is no level" in idp.refused("add", "guests", "--min-acr", level)
    assert "is no level" in idp.refused("update", "staff", "--min-acr", level)
    assert [group["min_acr"] for group in idp.json("list")["groups"]] == ["mfa"]


def test_an_unknown_group_is_refused(idp: Installation, people: Installation) -> None:
    people.json("add", "--username", "alice")
    commands = (("show",), ("update", "--min-acr", "mfa"), ("remove",))
    for name in ("nobody", "", "a\udcffb", "a\x00b"):
        for command, *options in commands:
            assert "there is no group" in idp.refused(command, name, *options)
        for command in ("add-user", "remove-user"):
            assert "there is no group" in idp.refused(command, name, "alice")
    assert trail(idp) == []


def test_an_unknown_user_is_refused(idp: Installation) -> None:
    idp.json("add", "staff")
    for command in ("add-user", "remove-user"):
        assert "there is no user" in idp.refused(command, "staff", "nobody")
    assert len(trail(idp)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("add",), id="no-name"),
        pytest.param(("update", "staff"), id="no-level"),
        pytest.param(("add-user", "staff"), id="nobody"),
        pytest.param(("vanish",), id="no-command"),
    ],
)
def test_bad_usage_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert Installation(app, "postgresql://nowhere.invalid/idp", tmp_path).do(*arguments).exit_code == 2


def test_people_get_text(idp: Installation) -> None:
    assert "idp group add" in idp.do("list").stdout
    assert idp.do("add", "staff", "--min-acr", "mfa").stdout == "Added staff.\n"
    assert idp.do("list").stdout.split() == ["staff", "mfa", "0", "members"]
    assert "min_acr" in idp.do("show", "staff").stdout
    assert idp.do("remove", "staff").stdout == "Removed staff.\n"
