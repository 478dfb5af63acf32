"""Notices by text message, for what must reach somebody who may have lost their mailbox or their telephone."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from starlette.requests import Request

from idp.authn.methods import sms
from idp.base.entropy import identifier
from idp.model.message import Message
from idp.model.user import User
from idp.store.database import Connection
from idp.store.outbox import create_message
from idp.web.notices import LIFE, Writer
from idp.web.provider import moment, provider_of
from idp.web.reader import language_for

TEXTS: Mapping[str, tuple[str, ...]] = {
    "factor_recovery_asked": ("link", "ripe_at"),
    "factor_recovery_cancelled": (),
    "factor_recovery_ripe": ("link",),
    "factor_recovery_done": (),
    "phone_replaced": (),
}
"""All notices that go by text message, and their facts; ``templates/sms/<kind>.txt`` has the words."""


async def text_user(
    request: Request,
    conn: Connection,
    user: User,
    kind: str,
    facts: Mapping[str, object] = MappingProxyType({}),
    *,
    number: str | None = None,
) -> None:
    """Keep a text message to the user's confirmed number, or to one that was; none where none can be sent.

    Raises KeyError for a kind that is not in TEXTS, and TypeError if a fact is missing.
    """
    provider = provider_of(request)
    there = number or sms.recipient(user)
    if "sms" in provider.tools.off or there is None:
        return
    language = language_for(request, user)
    writer = Writer(provider.pages, provider.issuer, provider.entropy, moment(request), "", language)
    message = _message(writer, there, kind, facts, LIFE)
    await create_message(conn, message, provider.tools.master_key, entropy=provider.entropy)


def text_of_notice(
    writer: Writer, user: User, kind: str, facts: Mapping[str, object], *, life: timedelta = LIFE
) -> Message | None:
    """The text message to the user's confirmed number; None without a number."""
    number = sms.recipient(user)
    return None if number is None else _message(writer, number, kind, facts, life)


def _message(writer: Writer, number: str, kind: str, facts: Mapping[str, object], life: timedelta) -> Message:
    missing = set(TEXTS[kind]) - facts.keys()
    if missing:
        raise TypeError(f"{kind} wants {', '.join(sorted(missing))}")
    text = writer.pages.render_text(f"sms/{kind}.txt", writer.language, **facts).strip()
    now = writer.now
    return Message(identifier(writer.entropy), "sms", number, kind, "", text, now, now + life)
