"""The first page of a sign-in: user name and password, or a passkey."""

import base64
import json

from starlette.requests import Request

from idp.authn.methods.webauthn import request_options
from idp.base.seal import SealBroken, seal, unseal
from idp.base.text import Phrase, say, say_many
from idp.store.database import Connection
from idp.web.flow import Visit, new_challenge
from idp.web.pages import WORDS, Person, SignInPage
from idp.web.provider import provider_of
from idp.web.slip import slip_of
from idp.web.steps.step import Stage, Step
from idp.web.steps.webauthn import unknown_to_us

EXPIRED = "expired"
"""In the query where this page stands in place of one that was open for too long."""
TYPED = "typed_name"
"""In a request that waits for its user: the name that was typed on such a page, sealed. Nobody can send it."""


async def draw(request: Request, conn: Connection, stage: Stage) -> SignInPage:
    """The page, with what was typed as the name kept; of somebody who is known, the password alone is asked."""
    visit, standing, here = stage.visit, stage.visit.standing, stage.here
    challenge = await new_challenge(request, conn, visit)
    options = request_options(None, challenge, provider_of(request).tools.relying_party)
    # What was typed is the later word than a hint of the app's own.
    hint = _typed_before(request, visit) or (standing.request.login_hint if standing.request else None)
    known = Person(standing.user.username) if standing.user else None
    may_register = known is None and provider_of(request).sign_up == "open"
    typed = stage.form.get("username") or (known.username if known else hint) or ""
    return SignInPage(
        slip_of(standing),
        f"/login?{here}",
        username=typed[:128],
        person=known,
        other_account_url=f"/login/other-account?{here}" if known else None,
        fault=stage.fault,
        notice=WORDS["form_expired"] if EXPIRED in request.query_params and stage.fault is None else None,
        register_url=f"/register?{here}" if may_register else None,
        passkey_options=json.dumps(options),
        unknown=await unknown_to_us(conn, stage),
    )


def sealed_name(request: Request, name: str) -> str:
    """The name as it may rest in the database: what is typed into that field is a password now and then (A-75)."""
    provider = provider_of(request)
    envelope = seal(
        provider.tools.master_key, name[:128].encode("utf-8", "replace"), context=TYPED, entropy=provider.entropy
    )
    return base64.b64encode(envelope).decode()


def _typed_before(request: Request, visit: Visit) -> str | None:
    sealed = (visit.interaction.parameters or {}).get(TYPED)
    if sealed is None:
        return None
    try:
        return unseal(provider_of(request).tools.master_key, base64.b64decode(sealed), context=TYPED).decode()
    except SealBroken:
        return None


def counted(number: int) -> Phrase:
    """So many of it."""
    return say_many("1 password", "%(count)s passwords", number)


STEP = Step("password", "password", say("Password"), say("your password"), counted, draw)
