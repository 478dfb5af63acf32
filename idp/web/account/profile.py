"""``/account/profile``: what the owner says of themselves, for the apps that they allow to see it."""

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.profile import CLAIMS, profile_claims
from idp.store.database import Connection, transaction
from idp.store.users import update_profile
from idp.store.webauthn_credentials import list_of
from idp.web.account.owner import Owner, find_owner, to_login
from idp.web.account.passkeys import signals_of
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.pages import Fault, Person, ProfilePage
from idp.web.provider import moment, provider_of, transacted
from idp.web.trail import note

PROFILE = "/account/profile"


async def show(request: Request) -> Response:
    """The form with what is known."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        keys = await list_of(conn, owner.user.sub)
    saved = "saved" in request.query_params
    # Authenticators show the name too, and so have to hear of another.
    signals = signals_of(request, owner, keys) if saved and keys else None
    return page(request, ProfilePage(Person(owner.user.username), _known(owner), saved=saved, signals=signals))


async def change(request: Request) -> Response:
    """Keep the claims as they were entered, or say what is wrong with them; one left empty is there no more."""
    form = await read_page_form(request)
    claims = profile_claims(form)

    async def step(conn: Connection) -> Response:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        if isinstance(claims, tuple):
            faults = tuple(Fault.of(fault.cause, fault.field) for fault in claims)
            content = ProfilePage(Person(owner.user.username), {name: form.get(name, "") for name in CLAIMS}, faults)
            return page(request, content, status=400)
        before = _known(owner)
        changed = [name for name in CLAIMS if claims.get(name) != before.get(name)]
        if changed:
            await update_profile(conn, owner.user.sub, claims, CLAIMS, moment(request))
            await note(
                request, conn, "profile_changed", sub=owner.user.sub, session_id=owner.session.id, fields=changed
            )
        return see_other(f"{PROFILE}?saved=1")

    return await transacted(request, step)


def _known(owner: Owner) -> dict[str, str]:
    return {name: str(owner.user.profile[name]) for name in CLAIMS if name in owner.user.profile}
