"""Mail by plain SMTP: what the message looks like, and how it gets to the server."""

import contextlib
import ipaddress
import re
import ssl
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import aiosmtplib
import idna

from idp.model.message import Message
from idp.notify.gateway import Gateway, NotTaken

STEP_SECONDS = 10.0
"""How long the server may take for each of its answers."""
_FAREWELL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over: ``smtp://user:password@host:port``, or ``smtps`` for TLS from the first byte."""

    host: str
    port: int
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "MailServer":
        """Read an address; raises ValueError, with a text that repeats nothing of it."""
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("the port is not a number from 0 to 65535") from None
        if parts.scheme not in ("smtp", "smtps") or not host or parts.path not in ("", "/") or parts.query:
            raise ValueError("give a URL of the form smtp://host:port or smtps://user:password@host")
        tls = parts.scheme == "smtps"
        username, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
        if (username is None) != (password is None):
            raise ValueError("give a user name and a password, or neither")
        # RFC 8314 §3.3; RFC 6409 §3.1: with an account it is a submission, and to one's own relay it is port 25.
        usual = 465 if tls else 587 if username else 25
        return cls(host, port or usual, tls, username, password)

    @property
    def is_here(self) -> bool:
        """Whether it is on this very machine, so that nobody is in between."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def smtp_gateway(
    server: MailServer, sender: Address, *, trust: ssl.SSLContext | None = None, step_seconds: float = STEP_SECONDS
) -> Gateway:
    """The gateway that hands mail to this server; ``trust`` replaces the usual roots of trust."""

    async def hand_over(message: Message) -> None:
        mail = compose(message, sender)
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            timeout=step_seconds,
            **_protection(server, trust),
        )
        try:
            await client.connect()
            recipients = [mail["To"].addresses[0].addr_spec]
            await client.send_message(mail, sender=sender.addr_spec, recipients=recipients)
            # The mail is taken: whether the farewell is answered changes nothing.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await client.quit(timeout=_FAREWELL_SECONDS)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            codes = [one.code for one in refused.recipients]
            raise NotTaken(f"recipient refused, {codes}", final=all(code >= 500 for code in codes)) from None
        except aiosmtplib.SMTPResponseException as refused:
            raise NotTaken(f"{type(refused).__name__}, {refused.code}") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise NotTaken(type(error).__name__) from None
        finally:
            client.close()

    return hand_over


def _protection(server: MailServer, trust: ssl.SSLContext | None) -> dict[str, Any]:
    """TLS where the server offers it, and everywhere else than here with a certificate that holds.

    A password does not leave this machine without TLS, whatever somebody in between takes out of the server's offer.
    """
    if trust is not None:
        checks: dict[str, Any] = {"tls_context": trust}
    else:
        checks = {"validate_certs": not server.is_here}
    if server.tls:
        return {"use_tls": True, **checks}
    return {"start_tls": True if server.username and not server.is_here else None, **checks}


def compose(message: Message, sender: Address) -> EmailMessage:
    """The message as mail (RFC 5322), of text alone; raises NotTaken if its address is none.

    Whatever is in the values, each stays within its header (A-57).
    """
    recipient = _recipient(message.recipient)
    mail = EmailMessage(policy=SMTP if recipient.username.isascii() else SMTPUTF8)
    mail["From"] = sender
    mail["To"] = recipient
    mail["Subject"] = one_line(message.subject)
    mail["Date"] = format_datetime(message.created_at)
    # The same for every attempt, so that a mailbox can tell a repetition.
    mail["Message-ID"] = f"<{message.id}@{sender.domain}>"
    # RFC 3834 §5: no answer by machine, please.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


def _recipient(address: str) -> Address:
    """One address and no more, its domain as DNS has it."""
    local, _, domain = address.rpartition("@")
    try:
        host = idna.encode(domain, uts46=True).decode()
        # The parser knows ASCII alone (RFC 5322); other letters may stand wherever an `x` may (RFC 6531 §3.3).
        Address(addr_spec=f"{re.sub(r'[^ -~]', _as_ascii, local)}@{host}")
        return Address(username=local, domain=host)
    except (ValueError, IndexError, MessageError):
        raise NotTaken("not a mail address", final=True) from None


def _as_ascii(char: re.Match[str]) -> str:
    return "x" if char[0] > "\x7f" and char[0].isprintable() else char[0]


def one_line(text: str) -> str:
    """The text without what could end a line, or move the cursor on one."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split())
