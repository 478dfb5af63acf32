"""`idp user recover`: an operator starts the recovery of an account."""

import base64
import json
import re
from pathlib import Path

import pytest

from idp.base.digest import sha256
from idp.base.entropy import system_entropy
from idp.base.seal import load_or_create
from idp.cli.user import app
from idp.store.database import Row
from idp.store.outbox import text_of
from tests.cli.installation import Installation

PASSWORD = "harbour tonic 7 quarter"


@pytest.fixture
def idp(database: str, tmp_path: Path) -> Installation:
    return Installation(app, database, tmp_path)


def rows(idp: Installation, sql: str) -> list[Row]:
    """What the database answers."""
    return idp.in_database(lambda conn: conn.fetch(sql))


def test_6_4_6_it_sends_a_link_and_neither_sets_nor_shows_a_password(idp: Installation) -> None:
    added = idp.json("add", "--username", "alice", "--email", "alice@mail.example", "--password-stdin", stdin=PASSWORD)
    [before] = rows(idp, "SELECT password_hash FROM users")
    result = idp.do("recover", "alice", "--json")
    assert json.loads(result.stdout) == {"sub": added["sub"], "email": "alice@mail.example"}
    [after] = rows(idp, "SELECT password_hash FROM users")
    assert before == after, "the old password works until the link is used"
    [mail] = rows(idp, "SELECT id, recipient, kind, sealed_text FROM outbox")
    assert (mail["recipient"], mail["kind"]) == ("alice@mail.example", "reset_password")
    master = load_or_create(idp.home / "keys", None, may_create=False, entropy=system_entropy)
    text = text_of(mail["id"], mail["sealed_text"], master)
    [secret] = re.findall(r"^https://id\.example/recover/password\?link=([\w-]{43})$", text, re.MULTILINE)
    assert "\nWhere: your organisation's help desk\n" in text
    [link] = rows(idp, "SELECT link_hash, kind, expires_at - created_at AS life FROM mail_links")
    assert (bytes(link["link_hash"]), link["kind"], link["life"].total_seconds()) == (
        sha256(secret),
        "reset_password",
        3600,
    )
    assert secret not in result.output
    events = rows(idp, "SELECT event, actor, sub FROM audit_events ORDER BY id")
    assert tuple(events[-1]) == ("recovery_started", "operator", added["sub"])


def test_it_says_where_the_link_goes_and_that_nothing_sends_it(idp: Installation) -> None:
    idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    told = idp.do("recover", "alice").stdout
    assert "goes to alice@mail.example" in told
    assert "IDP_MAIL_URL" in told


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("email = NULL, email_canonical = NULL, email_verified = false", "no confirmed e-mail address"),
        ("email_verified = false", "no confirmed e-mail address"),
        ("disabled_at = created_at", "disabled"),
    ],
)
def test_it_refuses_with_a_reason_where_no_link_may_go(idp: Installation, change: str, reason: str) -> None:
    idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    rows(idp, f"UPDATE users SET {change}")
    assert reason in idp.refused("recover", "alice")
    assert rows(idp, "SELECT FROM outbox") == rows(idp, "SELECT FROM mail_links") == []


def test_it_refuses_where_a_passkey_is_all_there_is(idp: Installation) -> None:
    added = idp.json("add", "--username", "alice", "--email", "alice@mail.example")
    key = base64.b64encode(b"k").decode()
    rows(
        idp,
        f"""
        INSERT INTO webauthn_credentials (
            id, sub, name, credential_id, public_key, sign_count, aaguid, transports, backup_eligible, backed_up,
            uv_initialized, discoverable, attested, created_at
        )
        VALUES ('k', '{added["sub"]}', 'Key', '{key}', 'k', 0, '', '{{}}', false, false, true, true, false, now())
        """,
    )
    assert "passkey" in idp.refused("recover", "alice")


def test_nobody_of_that_name(idp: Installation) -> None:
    assert "there is no user" in idp.refused("recover", "nobody")
