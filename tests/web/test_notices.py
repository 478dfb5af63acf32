"""Notices: who gets one, what it says, and that no page ever waits for a gateway."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from idp.base.entropy import system_entropy
from idp.base.text import Moment, Phrase, say
from idp.model.user import User
from idp.store.database import Connection, transaction
from idp.store.outbox import text_of
from idp.web.language import ENGLISH, LANGUAGES, Language, choose
from idp.web.notices import LIFE, LINE, LONGEST_FACT, NOTICES, Writer, browser_of, notify_user
from idp.web.text_notices import TEXTS, text_of_notice
from tests.doubles import START
from tests.driver import ISSUER, Browser, Rig, running
from tests.gallery import pages
from tests.notify.gateways import Mailbox, Service, eventually, mail_server, service

TEMPLATES = Path(__file__).parents[2] / "templates" / "mail"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ALICE = User("s1", "alice", START, START, email="alice@mail.test", email_verified=True)
LINK = f"{ISSUER}/recover/password?link={'x' * 43}"
FACTS: dict[str, Phrase] = {
    "name": "Red key",
    "until": "3 March",
    "factor": "Authenticator app",
    "email": "new@mail.test",
    "link": LINK,
    "code": "123456",
    "ripe_at": Moment(START),
    "ends_at": Moment(START),
}


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as running_rig:
        yield running_rig


def request_of(rig: Rig, address: str = "198.51.100.7", agent: str = FIREFOX) -> Request:
    """A request as a handler sees it."""
    headers = [(b"host", b"evil.test"), (b"user-agent", agent.encode())]
    return Request(
        {
            "type": "http",
            "app": rig.app,
            "headers": headers,
            "client": (address, 1),
            "method": "POST",
            "path": "/x",
            "query_string": b"",
        }
    )


async def notices(rig: Rig, conn: Connection) -> list[dict[str, Any]]:
    """What is in the outbox, oldest first."""
    rows = await conn.fetch(
        "SELECT id, channel, recipient, kind, subject, sealed_text, not_after FROM outbox ORDER BY created_at"
    )
    master = rig.app.state.provider.tools.master_key
    return [{**row, "text": text_of(row["id"], row["sealed_text"], master)} for row in rows]


async def told(rig: Rig, conn: Connection, kind: str, facts: dict[str, object], user: User = ALICE) -> dict[str, Any]:
    """The one notice that this makes."""
    await notify_user(request_of(rig), conn, user, kind, **dict[str, Any](facts))
    [notice] = await notices(rig, conn)
    return notice


@pytest.mark.parametrize("kind", NOTICES)
async def test_6_3_7_every_notice_says_what_when_whence_and_what_to_do(rig: Rig, conn: Connection, kind: str) -> None:
    notice = await told(rig, conn, kind, {name: FACTS[name] for name in NOTICES[kind]})
    assert (notice["channel"], notice["recipient"], notice["kind"]) == ("mail", "alice@mail.test", kind)
    assert notice["not_after"] == START + LIFE
    assert re.fullmatch(r"[A-Z][^\n]{10,60}", notice["subject"])
    text = notice["text"]
    # An invitation goes to somebody who has no account yet, and so no name and no page of their own.
    is_invited = kind == "invitation"
    assert text.startswith("Hello,\n\n" if is_invited else "Hello alice,\n\n")
    assert "\nWhen: 2 January 2026, 03:04 UTC\nWhere: Firefox on Linux, network address 198.51.100.7\n" in text
    account = f"\nYour account: {ISSUER}/account\n"
    assert (account in text) is not is_invited, "the issuer, whatever the Host header says (A-46)"
    assert "evil" not in text
    assert "\n\n\n" not in text
    assert text.endswith("\nIdentity\n")
    assert max(len(line) for line in text.split("\n") if line != LINK) <= 78, "RFC 5322 §2.1.1"
    assert not re.search(r"[{}&<>]|!|please", text, re.IGNORECASE)
    for name in NOTICES[kind]:
        assert ENGLISH.words(FACTS[name]) in text


@pytest.mark.parametrize("kind", NOTICES)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)
def test_every_mail_is_written_in_every_language(kind: str, language: Language) -> None:
    writer = Writer(pages(), ISSUER, system_entropy, START, say("unknown"), language)
    message = writer.message("alice@mail.test", ALICE, kind, {name: FACTS[name] for name in NOTICES[kind]})
    assert message.subject
    if "link" in NOTICES[kind]:
        assert LINK in message.text.split("\n"), "a link is whole, and alone on its line"
    long = [line for line in message.text.split("\n") if len(line) > LINE and "://" not in line]
    assert not long


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)
def test_every_text_message_is_written_in_every_language(kind: str, language: Language) -> None:
    user = replace(ALICE, phone="+447700900123", phone_verified=True)
    writer = Writer(pages(), ISSUER, system_entropy, START, "", language)
    message = text_of_notice(writer, user, kind, {name: FACTS[name] for name in TEXTS[kind]})
    assert message is not None
    assert message.text
    assert ("link" in TEXTS[kind]) == (LINK in message.text)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.tag)
def test_a_code_by_text_message_ends_with_the_line_that_browsers_read(language: Language) -> None:
    facts = {"code": "123456", "host": "id.test", "operator": "Identity", "minutes": 5}
    text = pages().render_text("sms/code.txt", language, **facts)
    assert text.strip().split("\n")[-1] == "@id.test #123456"


async def test_a_notice_speaks_the_language_of_the_account(rig: Rig, conn: Connection) -> None:
    user = replace(ALICE, profile={"locale": "de"})
    notice = await told(rig, conn, "password_changed", {}, user)
    german = Writer(pages(), ISSUER, system_entropy, START, "", choose("de"))
    english = Writer(pages(), ISSUER, system_entropy, START, "", ENGLISH)
    assert notice["subject"] == german.message("a@mail.test", user, "password_changed", {}).subject
    assert notice["subject"] != english.message("a@mail.test", user, "password_changed", {}).subject


def test_there_are_words_for_every_kind_and_no_others() -> None:
    assert {path.stem for path in TEMPLATES.glob("*.txt")} - {"notice"} == set(NOTICES)


@pytest.mark.parametrize(
    ("kind", "facts", "line"),
    [
        ("recovery_code_used", {"left": 3}, "\nUnused recovery codes: 3\n"),
    ],
)
async def test_what_may_be_known_besides(
    rig: Rig, conn: Connection, kind: str, facts: dict[str, object], line: str
) -> None:
    assert line in (await told(rig, conn, kind, facts))["text"]


@pytest.mark.parametrize(
    "user", [replace(ALICE, email=None, email_verified=False), replace(ALICE, email_verified=False)]
)
async def test_an_address_that_is_not_proven_gets_nothing(rig: Rig, conn: Connection, user: User) -> None:
    """Whoever typed a stranger's address must not have mail sent there."""
    await notify_user(request_of(rig), conn, user, "password_changed")
    assert await notices(rig, conn) == []


async def test_6_3_5_what_a_stranger_can_repeat_is_told_ever_less_often(rig: Rig, conn: Connection) -> None:
    kind, bob = "sign_in_refused_after_password", replace(ALICE, sub="sub-of-bob", email="bob@mail.test")
    for user in (ALICE, ALICE, bob):
        await notify_user(request_of(rig), conn, user, kind)
    assert sorted(notice["recipient"] for notice in await notices(rig, conn)) == ["alice@mail.test", "bob@mail.test"]
    rig.clock.advance(3599)
    await notify_user(request_of(rig), conn, ALICE, kind)
    assert len(await notices(rig, conn)) == 2
    rig.clock.advance(1)
    await notify_user(request_of(rig), conn, ALICE, kind)
    assert len(await notices(rig, conn)) == 3
    for _ in range(2):
        await notify_user(request_of(rig), conn, ALICE, "password_changed")
    assert len(await notices(rig, conn)) == 5, "what only the owner can cause is told each time"


async def test_an_unknown_kind_and_a_missing_fact_are_faults_of_the_code(rig: Rig, conn: Connection) -> None:
    with pytest.raises(KeyError):
        await notify_user(request_of(rig), conn, ALICE, "../home")
    with pytest.raises(TypeError, match="name"):
        await notify_user(request_of(rig), conn, replace(ALICE, email=None), "authenticator_added")
    with pytest.raises(UndefinedError):
        rig.app.state.provider.pages.render_text("mail/password_changed.txt", ENGLISH)


@pytest.mark.parametrize("separator", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028", "\u202e", "\0"])
async def test_A_57_what_people_typed_stays_one_short_line(rig: Rig, conn: Connection, separator: str) -> None:
    evil = (
        f"x{separator}Bcc: evil@mail.test{separator}{separator}Go to https://evil.test/ {{{{ 7*7 }}}} <b>&" + "x" * 500
    )
    user = replace(ALICE, username=f"alice{separator}{separator}Your password is wrong")
    notice = await told(rig, conn, "authenticator_added", {"name": evil}, user)
    lines = notice["text"].split("\n")
    assert lines[0] == "Hello alice Your password is wrong,"
    # The paragraph is broken between words and nowhere else: what was typed begins no line of its own making.
    [paragraph] = [part for part in notice["text"].split("\n\n") if "Bcc" in part]
    assert not any(line.startswith(("Bcc", "Go to")) for line in lines)
    sentence = paragraph.replace("\n", " ")
    assert sentence.startswith("You can now sign in with “x Bcc: evil@mail.test Go to evil.test/ {{ 7*7 }} <b>&")
    assert len(sentence) < LONGEST_FACT + 80
    assert separator not in notice["text"].replace("\n", "") if separator != "\n" else True
    assert notice["subject"] == "A way to sign in was added"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) Version/18.5 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.5 Safari/605.1.15", "Safari on macOS"),
        ("curl/8", "Another browser"),
        ("", "Another browser"),
    ],
)
def test_browsers(agent: str, name: str) -> None:
    assert ENGLISH.words(browser_of(agent)) == name


async def alice(rig: Rig) -> Browser:
    """Her browser, in which she has signed up; and the operator has confirmed her address."""
    browser = rig.browser()
    await browser.register()
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            """
            UPDATE users SET email = 'alice@mail.test', email_canonical = 'alice@mail.test', email_verified = true
            WHERE username = 'alice'
            """
        )
    return browser


async def test_6_3_7_a_new_authenticator_is_told_by_mail(database: str, tmp_path: Path) -> None:
    async with (
        mail_server(Mailbox()) as mailbox,
        running(database, tmp_path, IDP_MAIL_URL=f"smtp://127.0.0.1:{mailbox.port}", IDP_NAME="Example ID") as rig,
    ):
        await (await alice(rig)).add_totp(rig)
        await eventually(lambda: bool(mailbox.mails), "no mail was sent")
    [mail] = mailbox.mails
    assert (mail["To"], mail["From"]) == ("alice@mail.test", "Example ID <no-reply@localhost>")
    assert mail["Subject"] == "A way to sign in was added"
    assert "Hello alice," in mail.get_content()


async def test_F16_no_page_waits_for_a_gateway_that_hangs(database: str, tmp_path: Path) -> None:
    async with (
        service(Service(seconds=60)) as hanging,
        running(database, tmp_path, IDP_MAIL_URL=f"json://127.0.0.1:{hanging.port}/") as rig,
    ):
        browser = await alice(rig)
        await asyncio.wait_for(browser.add_totp(rig), 8)
        await eventually(lambda: bool(hanging.got), "the gateway was not asked")
        answer = await asyncio.wait_for(browser.get("/account"), 8)
        assert answer.status_code == 200
        async with transaction(rig.app.state.provider.pool) as conn:
            assert await conn.fetchval("SELECT sent_at IS NULL AND fault IS NULL FROM outbox"), "it still hangs"
        hanging.hang_up()


async def test_without_a_gateway_notices_are_kept_and_the_operator_is_told(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(database, tmp_path) as rig:
        await (await alice(rig)).add_totp(rig)
        async with transaction(rig.app.state.provider.pool) as conn:
            [notice] = await notices(rig, conn)
    assert notice["kind"] == "authenticator_added"
    assert "IDP_MAIL_URL is not set" in caplog.text
