"""`idp user invite`: a link goes to somebody who has no account yet."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from idp.base.digest import sha256
from idp.base.entropy import system_entropy
from idp.base.seal import load_or_create
from idp.cli.user import app
from idp.store.database import Row
from idp.store.outbox import text_of
from tests.cli.installation import Installation


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def rows(idp: Installation, sql: str) -> list[Row]:
    """What the database answers."""
    return idp.in_database(lambda conn: conn.fetch(sql))


def test_it_sends_a_link_that_works_for_a_week_and_shows_no_secret(idp: Installation) -> None:
    result = idp.do("invite", "--email", "Alice@mail.example", "--json")
    told = json.loads(result.stdout)
    assert set(told) == {"email", "expires_at"}
    assert told["email"] == "Alice@mail.example"
    [mail] = rows(idp, "SELECT id, recipient, kind, subject, sealed_text FROM outbox")
    assert (mail["recipient"], mail["kind"]) == ("Alice@mail.example", "invitation")
    assert mail["subject"] == "Create your account at Identity"
    master = load_or_create(idp.home / "keys", None, may_create=False, entropy=system_entropy)
    text = text_of(mail["id"], mail["sealed_text"], master)
    [secret] = re.findall(r"^https://id\.example/register\?link=([\w-]{43})$", text, re.MULTILINE)
    assert text.startswith("Hello,\n")
    assert "/account" not in text, "there is no account yet"
    assert "\nWhere: your organisation's help desk\n" in text
    [kept] = rows(
        idp, "SELECT link_hash, email_canonical, expires_at, expires_at - created_at AS life FROM invitations"
    )
    assert (bytes(kept["link_hash"]), kept["email_canonical"]) == (sha256(secret), "alice@mail.example")
    assert kept["life"].days == 7
    assert datetime.fromisoformat(told["expires_at"]) == kept["expires_at"].replace(microsecond=0)
    assert secret not in result.output
    [event] = rows(idp, "SELECT event, actor, sub, details FROM audit_events")
    assert (event["event"], event["actor"], event["sub"]) == ("user_invited", "operator", None)
    assert event["details"]["email"] == "Alice@mail.example"
    assert secret not in str(event["details"])


def test_a_second_one_takes_the_place_of_the_first(idp: Installation) -> None:
    idp.json("invite", "--email", "alice@mail.example")
    idp.json("invite", "--email", "ALICE@mail.example")
    assert len(rows(idp, "SELECT FROM invitations")) == 1
    assert len(rows(idp, "SELECT FROM outbox")) == 2


def test_it_says_where_the_link_goes_and_that_nothing_sends_it(idp: Installation) -> None:
    told = idp.do("invite", "--email", "alice@mail.example").stdout
    assert "An invitation goes to alice@mail.example." in told
    assert "IDP_MAIL_URL" in told


def test_it_refuses_what_is_no_address_and_what_belongs_to_an_account(idp: Installation) -> None:
    assert "name@mail.example" in idp.refused("invite", "--email", "alice@")
    idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    assert "belongs to an account" in idp.refused("invite", "--email", "Alice@mail.example")
    assert rows(idp, "SELECT FROM invitations") == rows(idp, "SELECT FROM outbox") == []


def test_an_address_that_is_merely_claimed_can_be_invited(idp: Installation) -> None:
    idp.json("add", "--username", "mallory", "--email", "alice@mail.example")
    rows(idp, "UPDATE users SET email_verified = false")
    idp.json("invite", "--email", "alice@mail.example")


def test_it_refuses_where_nobody_signs_up(idp: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_SIGN_UP", "off")
    assert "IDP_SIGN_UP" in idp.refused("invite", "--email", "alice@mail.example")
    assert rows(idp, "SELECT FROM invitations") == []
