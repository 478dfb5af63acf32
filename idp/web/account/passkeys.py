"""What an owner sees of each passkey, and what their password managers are told of all of them."""

import json
from collections.abc import Iterable
from datetime import datetime

from starlette.requests import Request

from idp.authn.aaguids import make_of
from idp.authn.methods.webauthn import signals
from idp.base.text import Day, Phrase, say
from idp.model.credential import WebAuthnCredential
from idp.web.account.owner import Owner
from idp.web.provider import provider_of


def icon_of(one: WebAuthnCredential) -> str:
    """The icon of what keeps the passkey, as far as it says what that is."""
    make = make_of(one.aaguid)
    if make is not None and make.kind != "platform":
        return "vault" if make.kind == "manager" else "securitykey"
    if one.backup_eligible:
        return "phone"
    return "laptop" if make is not None or "internal" in one.transports else "securitykey"


def facts_of(one: WebAuthnCredential) -> tuple[Phrase, ...]:
    """What keeps the passkey, whether it stays there, since when it is enrolled and when it was used."""
    make = make_of(one.aaguid)
    facts: tuple[Phrase | None, ...] = (
        make.name if make is not None and make.name != one.name else None,
        _where(one),
        say("made by your browser") if one.voluntary else None,
        added(one.created_at),
        last_used(one.last_used_at),
    )
    return tuple(fact for fact in facts if fact is not None)


def added(created_at: datetime) -> Phrase:
    """Since when an authenticator is enrolled."""
    return say("added %(day)s", day=Day(created_at, year=False))


def last_used(used_at: datetime | None) -> Phrase:
    """When an authenticator was used."""
    return say("last used on %(day)s", day=Day(used_at, year=False)) if used_at else say("never used")


def _where(one: WebAuthnCredential) -> Phrase:
    """Where it is, by its own flags (WebAuthn Level 3 §6.1.3)."""
    if not one.backup_eligible:
        return say("Stays on its device")
    return say("Synced between your devices") if one.backed_up else say("Can be synced, and is on one device so far")


def signals_of(request: Request, owner: Owner, keys: Iterable[WebAuthnCredential]) -> str:
    """The signals as the JSON that the script of the account reads."""
    return json.dumps(signals(owner.user, keys, provider_of(request).tools.relying_party))
