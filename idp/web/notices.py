"""Notices: what happened to an account, told to its owner by another way than the browser (ASVS 6.3.5, 6.3.7)."""

import re
from collections.abc import Mapping
from datetime import timedelta

from starlette.requests import Request

from idp.base.entropy import identifier
from idp.model.message import Message
from idp.model.user import User
from idp.store.database import Connection
from idp.store.outbox import create_message, has_message
from idp.web.provider import moment, provider_of
from idp.web.source import address_of, user_agent_of

LIFE = timedelta(hours=24)
"""A notice that no gateway takes for so long is given up."""
LONGEST_FACT = 64

NOTICES: Mapping[str, tuple[str, ...]] = {
    "authenticator_added": ("name",),
    "authenticator_removed": ("name",),
    "password_changed": (),
    "recovery_codes_renewed": (),
    "recovery_code_used": (),
    "sign_in_refused_after_password": (),
    "factor_locked": ("factor",),
    "sessions_ended": (),
}
"""All kinds of notices, and the facts that each must be given; ``templates/mail/<kind>.txt`` has the words."""

REPEATED: Mapping[str, timedelta] = {"sign_in_refused_after_password": timedelta(hours=1)}
"""What a stranger can cause again and again is told once in so long, so that nobody's mailbox is filled."""

_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


async def notify_user(request: Request, conn: Connection, user: User, kind: str, **facts: object) -> None:
    """Keep a notice to this user in the transaction of what it tells of; a sender takes it from there (F16).

    It goes to a proven address alone, and to nobody where there is none. Raises KeyError for a kind that is not in
    NOTICES, and TypeError if a fact is missing.
    """
    missing = set(NOTICES[kind]) - facts.keys()
    if missing:
        raise TypeError(f"{kind} wants {', '.join(sorted(missing))}")
    if user.email is None or not user.email_verified:
        return
    provider, now = provider_of(request), moment(request)
    if kind in REPEATED and await has_message(conn, user.email, kind, since=now - REPEATED[kind]):
        return
    subject, text = compose(request, user, kind, facts)
    message = Message(
        id=identifier(provider.entropy),
        channel="mail",
        recipient=user.email,
        kind=kind,
        subject=subject,
        text=text,
        created_at=now,
        not_after=now + LIFE,
    )
    await create_message(conn, message)


def compose(request: Request, user: User, kind: str, facts: Mapping[str, object]) -> tuple[str, str]:
    """The subject and the text of a notice; whatever people have typed stays one short line of it (A-57)."""
    provider, now = provider_of(request), moment(request)
    said = {name: _fact(value) if isinstance(value, str) else value for name, value in facts.items()}
    written = provider.pages.render_text(
        f"mail/{kind}.txt",
        **said,
        username=_fact(user.username),
        at=f"{now:%-d %B %Y, %H:%M} UTC",
        address=_fact(address_of(request)) or "unknown",
        browser=browser_of(user_agent_of(request)),
        account_url=f"{provider.issuer}/account",
    )
    subject, _, text = written.partition("\n")
    return subject.strip(), text.strip() + "\n"


def browser_of(user_agent: str) -> str:
    """The browser and its system in words that people know, as far as the browser tells the truth."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "another browser")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    return f"{browser} on {system}" if system else browser


def _fact(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * LONGEST_FACT])
    # Mail programs make a link of anything that looks like an address, and a name is typed by whoever is signed in.
    harmless = re.sub(r"(?i)\b(https?|ftp)://|\bwww\.", "", printable)
    return " ".join(harmless.split())[:LONGEST_FACT]
