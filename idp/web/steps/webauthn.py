"""A passkey or security key: as the second step, as a step-up, or as all that an account signs in with."""

import json

from starlette.requests import Request

from idp.authn.methods.webauthn import request_options, unknown_id
from idp.base.text import Phrase, say, say_many
from idp.store.database import Connection
from idp.store.webauthn_credentials import list_of
from idp.web.flow import new_challenge
from idp.web.pages import Person, WebAuthnPage
from idp.web.provider import provider_of
from idp.web.slip import needed, slip_of
from idp.web.steps.step import Stage, Step


async def draw(request: Request, conn: Connection, stage: Stage) -> WebAuthnPage:
    """The page, with a challenge of its own."""
    visit, standing, here = stage.visit, stage.visit.standing, stage.here
    user = needed(standing.user)
    challenge = await new_challenge(request, conn, visit)
    # Where a sign-in begins with it, no ids are told to who need not be the owner: a passkey names its owner by itself.
    begins = stage.path == "/login" and not standing.evidence
    allowed = None if begins else await list_of(conn, user.sub)
    options = request_options(allowed, challenge, provider_of(request).tools.relying_party)
    return WebAuthnPage(
        slip_of(standing),
        stage.action("webauthn"),
        Person(user.username),
        fault=stage.fault,
        other_ways_url=None if begins else stage.other_ways_url,
        not_you_url=stage.not_you_url,
        options=json.dumps(options),
        used=stage.used,
        explain_phishing=standing.requirement.acr in {"phr", "phrh"},
        cancel_url=f"/login/cancel?{here}" if standing.request else None,
        trust_days=stage.trust_days,
        unknown=await unknown_to_us(conn, stage),
    )


async def unknown_to_us(conn: Connection, stage: Stage) -> str | None:
    """The id of the passkey that was just refused, if nobody has it: then its owner's device may forget it.

    One that is refused for another reason, such as a challenge that had run out, must not be forgotten. Who asks this
    way whether an id is registered knows the id, of 16 random bytes or more, already.
    """
    if stage.fault is None or stage.fault.cause != "webauthn_unknown":
        return None
    return await unknown_id(conn, stage.form.get("credential", ""))


def counted(number: int) -> Phrase:
    """So many of it."""
    return say_many("1 passkey", "%(count)s passkeys", number)


STEP = Step("webauthn", "passkey", say("Passkey or security key"), say("a passkey"), counted, draw)
