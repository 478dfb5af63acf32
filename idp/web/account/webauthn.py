"""``/account/authenticators/add-passkey``: a new passkey or security key."""

import json

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.methods import Refusal, webauthn
from idp.model.assurance import Evidence
from idp.store import webauthn_credentials
from idp.store.database import Connection
from idp.store.sessions import consume_challenge, record_challenge
from idp.web.account.enrolling import added, allow_return, note_not_added, with_return
from idp.web.account.owner import WAYS, Owner, find_changer, return_to
from idp.web.answers import page
from idp.web.forms import read_page_form
from idp.web.pages import AddPasskeyPage, Fault
from idp.web.provider import moment, provider_of, transacted


async def add(request: Request) -> Response:
    """The ceremony for a new passkey or security key."""

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        return await _page(request, conn, owner)

    return await transacted(request, step)


async def register(request: Request) -> Response:
    """Add the credential that the browser made; the ceremony counts as a use of it."""
    form, provider, now = await read_page_form(request), provider_of(request), moment(request)

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        challenge = await consume_challenge(conn, owner.session.id, now=now, life=webauthn.CHALLENGE_LIFE)
        response, name = form.get("credential", ""), form.get("name", "")
        outcome = await webauthn.register(conn, owner.user, response, challenge, provider.tools, now, name=name)
        if isinstance(outcome, Refusal):
            await note_not_added(request, conn, owner, "webauthn", outcome)
            return await _page(request, conn, owner, Fault.of(outcome.cause), name)
        evidence = Evidence(
            "webauthn",
            now,
            outcome.id,
            user_verified=outcome.uv_initialized,
            device_bound=not outcome.backup_eligible,
            attested=outcome.attested,
        )
        return await added(request, conn, owner, evidence, outcome.name)

    return await transacted(request, step)


async def _page(
    request: Request, conn: Connection, owner: Owner, fault: Fault | None = None, name: str = ""
) -> Response:
    provider = provider_of(request)
    challenge = provider.entropy(webauthn.CHALLENGE_BYTES)
    await record_challenge(conn, owner.session.id, challenge, generation=owner.user.generation, now=moment(request))
    existing = await webauthn_credentials.list_of(conn, owner.user.sub)
    options = webauthn.registration_options(owner.user, existing, challenge, provider.tools.relying_party)
    await allow_return(request, conn)
    content = AddPasskeyPage(
        with_return(request, f"{WAYS}/add-passkey"), json.dumps(options), fault, name, cancel_url=return_to(request)
    )
    return page(request, content, status=400 if fault else 200)
