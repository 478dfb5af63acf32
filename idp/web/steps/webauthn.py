"""A passkey or security key, as the second step or as a step-up."""

import json

from starlette.requests import Request

from idp.authn.methods.webauthn import request_options
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
    options = request_options(await list_of(conn, user.sub), challenge, provider_of(request).tools.relying_party)
    return WebAuthnPage(
        slip_of(standing),
        stage.action("webauthn"),
        Person(user.username),
        json.dumps(options),
        fault=stage.fault,
        other_ways_url=stage.other_ways_url,
        not_you_url=stage.not_you_url,
        used=stage.used,
        explain_phishing=standing.requirement.acr in {"phr", "phrh"},
        cancel_url=f"/login/cancel?{here}" if standing.request else None,
    )


STEP = Step("webauthn", "passkey", "Passkey or security key", "a passkey", ("passkey", "passkeys"), draw)
