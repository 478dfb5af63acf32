"""Gateways on this machine: a mail server and an HTTP service that take messages, are slow, refuse, or hang."""

import asyncio
import contextlib
import json
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.model.message import Message
from idp.store.database import Connection
from idp.store.outbox import create_message
from tests.doubles import START

ACCOUNT = ("relay", "s3cret@:/")
MASTER = MasterKey(b"m" * 32)


def message(**changes: Any) -> Message:
    """A notice that somebody is to get."""
    usual: dict[str, Any] = {
        "id": "m1",
        "channel": "mail",
        "recipient": "alice@mail.test",
        "kind": "password_changed",
        "subject": "Your password was changed",
        "text": "Hello alice,\n\nyour password & more was <changed>.\n",
        "created_at": START,
        "not_after": START.replace(hour=23),
    }
    return Message(**{**usual, **changes})


async def keep(conn: Connection, one: Message) -> None:
    """Put a message into the outbox, sealed under MASTER."""
    await create_message(conn, one, MASTER, entropy=system_entropy)


@dataclass
class Mailbox:
    """What a mail server does with mail, and what it got."""

    answer: str = "250 OK"
    recipient_answer: str = "250 OK"
    seconds: float = 0.0
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, to: str, _: list[str]) -> str:
        """Take a recipient, or not."""
        envelope.rcpt_tos.append(to)
        return self.recipient_answer

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a mail after a while, or not."""
        await asyncio.sleep(self.seconds)
        if self.answer.startswith("2"):
            content = cast(bytes, envelope.content)
            self.mails.append(message_from_bytes(content, policy=default))
            self.recipients.append([str(one) for one in envelope.rcpt_tos])
            self.encrypted.append(session.ssl is not None)
            given = cast("LoginPassword | None", session.auth_data)
            self.logins.append(given.login.decode() if given is not None else None)
        return self.answer


def _authenticate(*arguments: Any) -> AuthResult:
    given: LoginPassword = arguments[4]
    right = (given.login, given.password) == tuple(part.encode() for part in ACCOUNT)
    return AuthResult(success=right, handled=False, auth_data=given)


@asynccontextmanager
async def mail_server(
    mailbox: Mailbox,
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    account: bool = False,
    utf8: bool = False,
) -> AsyncIterator[Mailbox]:
    """A mail server for this mailbox on a port of its own."""
    loop = asyncio.get_running_loop()
    open_ones: list[SMTP] = []

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            # It warns of a password without TLS, which is what is wanted here.
            warnings.simplefilter("ignore")
            one = SMTP(
                mailbox,
                hostname="mail.test",
                tls_context=starttls,
                auth_required=account,
                auth_require_tls=starttls is not None,
                authenticator=_authenticate if account else None,
                loop=loop,
                enable_SMTPUTF8=utf8,
            )
        open_ones.append(one)
        return one

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        for one in open_ones:
            if one.transport is not None:
                one.transport.close()
        await asyncio.sleep(0)


@dataclass
class Service:
    """What an HTTP service does with messages, and what it got."""

    status: int = 200
    seconds: float = 0.0
    got: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    port: int = 0
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def hang_up(self) -> None:
        """Close all connections without an answer."""
        for task in self.under_way:
            task.cancel()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
            body = await reader.readexactly(int(length.partition(":")[2]))
            self.paths.append(head.split(" ")[1])
            self.got.append(json.loads(body))
            await asyncio.sleep(self.seconds)
            writer.write(f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def service(one: Service) -> AsyncIterator[Service]:
    """That service on a port of its own."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        one.under_way.add(cast("asyncio.Task[None]", asyncio.current_task()))
        with contextlib.suppress(asyncio.CancelledError):
            await one.answer(reader, writer)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        one.hang_up()
        await asyncio.gather(*one.under_way, return_exceptions=True)


async def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait until that holds, ten seconds at most."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)
