"""Notices: what happened to an account, told to its owner by another way than the browser (ASVS 6.3.5, 6.3.7)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from textwrap import fill

from starlette.requests import Request

from idp.authn.throttle import MAIL_WAITS, Limit, take
from idp.base.entropy import Entropy, identifier
from idp.base.text import Moment, Phrase, say
from idp.model.attempt import Bucket
from idp.model.message import Message
from idp.model.user import User
from idp.store.database import Connection
from idp.store.outbox import create_message
from idp.web.language import Language
from idp.web.pages import Pages
from idp.web.provider import moment, provider_of
from idp.web.reader import language_for
from idp.web.source import address_of, user_agent_of

LIFE = timedelta(hours=24)
"""A notice that no gateway takes for so long is given up."""
LONGEST_FACT = 64
LINE = 72

NOTICES: Mapping[str, tuple[str, ...]] = {
    "authenticator_added": ("name",),
    "authenticator_removed": ("name",),
    "device_trusted": ("until",),
    "password_changed": (),
    "password_removed": (),
    "recovery_codes_renewed": (),
    "recovery_code_used": (),
    "sign_in_refused_after_password": (),
    "sign_in_code": ("code",),
    "factor_locked": ("factor",),
    "verify_email": ("email", "link"),
    "email_in_use": (),
    "invitation": ("email", "link", "ends_at"),
    "email_change_requested": ("email",),
    "email_changed": ("email",),
    "email_removed": ("email",),
    "reset_password": ("link",),
    "recovery_by_passkey": (),
    "recovery_refused": (),
    "password_reset": (),
    "account_deleted": (),
    "new_device": (),
    "new_network": (),
    "factor_recovery_asked": ("link", "ripe_at"),
    "factor_recovery_ripe": ("link", "ends_at"),
    "factor_recovery_cancelled": (),
    "factor_recovery_done": (),
}
"""All kinds of notices, and the facts that each must be given; ``templates/mail/<kind>.txt`` has the words."""

_LESS_AND_LESS = Limit(1, timedelta(hours=1), waits=replace(MAIL_WAITS, shortest=timedelta(hours=1)))
REPEATED: Mapping[str, Limit] = {
    "sign_in_refused_after_password": _LESS_AND_LESS,
    "recovery_refused": _LESS_AND_LESS,
    "new_network": Limit(1, timedelta(days=1)),
}
"""What a stranger can cause again and again is told now and then alone, so that nobody's mailbox is filled."""

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


async def notify_user(
    request: Request, conn: Connection, user: User, kind: str, *, life: timedelta = LIFE, **facts: object
) -> None:
    """Keep a notice to this user in the transaction of what it tells of; a sender takes it from there (F16).

    It goes to a proven address alone, and to nobody where there is none. Raises KeyError for a kind that is not in
    NOTICES, and TypeError if a fact is missing.
    """
    _check(kind, facts)
    if user.email is None or not user.email_verified:
        return
    if kind in REPEATED:
        told = await take(conn, {Bucket("notice", user.sub, kind): REPEATED[kind]}, moment(request))
        if not told.granted:
            return
    await write_to(request, conn, user.email, user, kind, life=life, **facts)


async def write_to(
    request: Request,
    conn: Connection,
    recipient: str,
    user: User,
    kind: str,
    *,
    life: timedelta = LIFE,
    **facts: object,
) -> None:
    """Keep a mail about this user's account to an address that need not be theirs: it says so, and tells nothing else.

    Raises KeyError and TypeError as ``notify_user`` does.
    """
    provider, now = provider_of(request), moment(request)
    where = say(
        "%(browser)s, network address %(address)s",
        browser=browser_of(user_agent_of(request)),
        address=_fact(address_of(request)) or say("unknown"),
    )
    writer = Writer(provider.pages, provider.issuer, provider.entropy, now, where, language_for(request, user))
    message = writer.message(recipient, user, kind, facts, life=life)
    await create_message(conn, message, provider.tools.master_key, entropy=provider.entropy)


@dataclass(frozen=True, slots=True)
class Writer:
    """What a mail is written with: the words and their language, the issuer, when and whence came what it tells of."""

    pages: Pages
    issuer: str
    entropy: Entropy
    now: datetime
    where: Phrase
    language: Language

    def message(
        self, recipient: str, user: User | None, kind: str, facts: Mapping[str, object], *, life: timedelta = LIFE
    ) -> Message:
        """The mail of this kind, of use for that long; raises KeyError and TypeError as ``notify_user`` does.

        Without a user it goes to somebody who has no account yet, and whom it cannot call by a name.
        """
        _check(kind, facts)
        subject, text = self._compose(user, kind, facts)
        return Message(
            id=identifier(self.entropy),
            channel="mail",
            recipient=recipient,
            kind=kind,
            subject=subject,
            text=text,
            created_at=self.now,
            not_after=self.now + life,
        )

    def _compose(self, user: User | None, kind: str, facts: Mapping[str, object]) -> tuple[str, str]:
        """The subject and the text; whatever people have typed stays one short line of it (A-57)."""
        said = {
            name: _fact(value) if isinstance(value, str) and name != "link" else value for name, value in facts.items()
        }
        written = self.pages.render_text(
            f"mail/{kind}.txt",
            self.language,
            **said,
            username=_fact(user.username) if user else "",
            at=Moment(self.now),
            where=self.where,
            account_url=f"{self.issuer}/account",
            recover_url=f"{self.issuer}/recover",
        )
        subject, _, text = written.strip().partition("\n")
        return subject.strip(), "\n".join(map(_wrapped, text.strip().split("\n"))) + "\n"


def _check(kind: str, facts: Mapping[str, object]) -> None:
    missing = set(NOTICES[kind]) - facts.keys()
    if missing:
        raise TypeError(f"{kind} wants {', '.join(sorted(missing))}")


def _wrapped(line: str) -> str:
    """The line broken between words, so that mail programs need not; a link stays whole.

    Japanese and Chinese have no spaces between words, and are broken where a line is full.
    """
    return fill(line, LINE, break_long_words="://" not in line, break_on_hyphens=False)


def browser_of(user_agent: str) -> Phrase:
    """The browser and its system in words that people know, as far as the browser tells the truth."""
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), None)
    if system is None:
        return browser or say("Another browser")
    return say("%(browser)s on %(system)s", browser=browser or say("Another browser"), system=system)


def _fact(text: str) -> str:
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * LONGEST_FACT])
    # Mail programs make a link of anything that looks like an address, and a name is typed by whoever is signed in.
    harmless = re.sub(r"(?i)\b(https?|ftp)://|\bwww\.", "", printable)
    return " ".join(harmless.split())[:LONGEST_FACT]
