"""``/account/passkey-upgrade``: a passkey that the browser makes by itself after a sign-in by password.

A conditional creation (WebAuthn Level 3 §5.1.3) shows nothing to anybody, and happens only where a password manager has
just filled in the password. So it changes as little as can be: nothing counts as shown in the session, and the passkey
is voluntary.
"""

from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.authn.methods import Refusal, webauthn
from idp.store import webauthn_credentials
from idp.store.database import Connection
from idp.store.sessions import consume_challenge, record_challenge
from idp.web.account.enrolling import note_not_added, tell_added
from idp.web.account.owner import Owner, find_owner, under_new_secret
from idp.web.forms import read_page_form
from idp.web.provider import moment, provider_of, transacted

UPGRADE = "/account/passkey-upgrade"
JUST_NOW = timedelta(minutes=5)
"""So long after a password the browser may be asked: password managers themselves do not wait longer."""


def may_upgrade(owner: Owner, now: datetime) -> bool:
    """Whether the session came about by a password just now, and by no passkey, and may change the account (A-33)."""
    methods = {one.method for one in owner.session.evidence}
    typed = any(one.method == "password" and one.at > now - JUST_NOW for one in owner.session.evidence)
    return typed and "webauthn" not in methods and owner.may_change(now)


async def begin(request: Request) -> Response:
    """What ``parseCreationOptionsFromJSON`` takes, as JSON; 204 where there is nothing to do, 403 if it may not be."""
    await read_page_form(request)
    provider, now = provider_of(request), moment(request)

    async def step(conn: Connection) -> Response:
        owner = await _upgrader(request, conn)
        if owner is None:
            return Response(status_code=403)
        existing = await webauthn_credentials.list_of(conn, owner.user.sub)
        if len(existing) >= webauthn.MOST_PER_USER:
            return Response(status_code=204)
        challenge = provider.entropy(webauthn.CHALLENGE_BYTES)
        await record_challenge(
            conn,
            owner.session.id,
            challenge,
            generation=owner.user.generation,
            now=now,
            kind="upgrade_challenge",
        )
        return JSONResponse(
            webauthn.registration_options(owner.user, existing, challenge, provider.tools.relying_party, passkey=True)
        )

    return await transacted(request, step)


async def finish(request: Request) -> Response:
    """Add the passkey that the browser made; the answer is 204 whatever comes of it, and 403 if it may not be done."""
    form, provider, now = await read_page_form(request), provider_of(request), moment(request)
    answer = Response(status_code=204)

    async def step(conn: Connection) -> Response:
        owner = await _upgrader(request, conn)
        if owner is None:
            return Response(status_code=403)
        # Not the challenge of the page that adds a passkey: the owner may have gone on to it meanwhile.
        challenge = await consume_challenge(
            conn, owner.session.id, now=now, life=webauthn.CHALLENGE_LIFE, kind="upgrade_challenge"
        )
        response = form.get("credential", "")
        made = await webauthn.register(conn, owner.user, response, challenge, provider.tools, now, conditional=True)
        if isinstance(made, Refusal):
            await note_not_added(request, conn, owner, "webauthn", made)
            return answer
        await tell_added(request, conn, owner, made.name, method="webauthn", credential=made.id, by_itself=True)
        return await under_new_secret(request, conn, owner, answer)

    return await transacted(request, step)


async def _upgrader(request: Request, conn: Connection) -> Owner | None:
    owner = await find_owner(request, conn)
    return owner if owner is not None and may_upgrade(owner, moment(request)) else None
