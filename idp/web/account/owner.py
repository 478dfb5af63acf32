"""Whose account it is, and whether they may change what protects it now."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.freshness import STEP_UP_LIFE, recent
from idp.authn.methods import find_owned, in_force
from idp.authn.policy import is_backup, outlook, required, upheld
from idp.base.uri import local_path
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.session import Session
from idp.model.user import User
from idp.store.database import Connection, transaction
from idp.store.users import UserGone, find_user, lock
from idp.web.answers import page, see_other
from idp.web.flow import begin, bind, current_session, raise_session
from idp.web.forms import read_page_form
from idp.web.pages import ConfirmPage, Person
from idp.web.provider import moment, provider_of
from idp.web.reader import heed_account
from idp.web.standing import asked_of, is_enrolling, proof_life
from idp.web.trail import note

WAYS = "/account/authenticators"


@dataclass(frozen=True, slots=True)
class Owner:
    """The signed-in owner of the account, with all that they own to sign in with."""

    session: Session
    user: User
    owned: tuple[Authenticator, ...]

    @property
    def enrolled(self) -> tuple[Authenticator, ...]:
        """What of it serves and is asked for."""
        return in_force(self.owned)

    @property
    def second_factors(self) -> tuple[Authenticator, ...]:
        """What is asked for beside a password: neither what only stands in for a lost one, nor what is voluntary."""
        return tuple(one for one in self.enrolled if not (one.method == "password" or is_backup(one) or one.voluntary))

    def without(self, credential_id: str) -> "Owner":
        """The same without that authenticator; the last second factor takes with it what only stands in for it."""
        rest = replace(self, owned=tuple(one for one in self.owned if one.credential_id != credential_id))
        if rest.second_factors:
            return rest
        return replace(rest, owned=tuple(one for one in rest.owned if not is_backup(one)))

    def may_change(self, now: datetime, life: timedelta = STEP_UP_LIFE) -> bool:
        """Whether a second factor, or the password where there is none, was shown so short a time ago (A-33)."""
        account = required(requested=None, client_min=None, authenticators=self.enrolled)
        shown = recent(self.session.evidence, account=account.acr, now=now, life=life)
        return outlook(account, shown, self.enrolled, now).met


async def find_owner(request: Request, conn: Connection) -> Owner | None:
    """The owner, if a session of this browser shows enough of them (A-29).

    Where something is about to change (a POST) their account is locked first, and looked at after that.
    """
    if request.method == "POST" and not await _is_locked(request, conn):
        return None
    session = await current_session(request, conn)
    if session is None:
        return None
    user = await find_user(conn, session.sub)
    if user is None:
        # It was deleted in this very moment, and the session with it.
        return None
    heed_account(request, user)
    owner = Owner(session, user, await find_owned(conn, user, off=provider_of(request).tools.off))
    now = moment(request)
    organisation, enrolment = await asked_of(provider_of(request), conn, user, owner.enrolled, now)
    holding = upheld(organisation, enrolment)
    if enrolment is not None and is_enrolling(request.url.path):
        # Where it is added, it cannot be asked for yet.
        holding = tuple(reason for reason in organisation if reason not in enrolment.reasons)
    account = required(requested=None, client_min=None, authenticators=owner.enrolled, organisation=holding)
    # A session from before a second factor was added, or asked for, shows too little of the account's owner.
    return owner if outlook(account, session.evidence, owner.enrolled, now).met else None


async def _is_locked(request: Request, conn: Connection) -> bool:
    """Lock the account that is signed in to here; answers whether there is one."""
    session = await current_session(request, conn, touch=False)
    if session is None:
        return False
    try:
        await lock(conn, session.sub)
    except UserGone:
        return False
    return True


async def to_login(request: Request, conn: Connection, *, fresh: bool = False) -> Response:
    """To the sign-in, and then back here."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    target = local_path(here, "/account") if request.method == "GET" else return_to(request)
    interaction, browser = await begin(request, conn, return_to=target, fresh=fresh)
    return bind(see_other(f"/login?interaction={interaction.id}"), provider_of(request), browser)


async def find_changer(request: Request, conn: Connection) -> Owner | Response:
    """The owner, if they may change what protects the account now; else what to answer instead."""
    owner = await find_owner(request, conn)
    if owner is None:
        return await to_login(request, conn)
    life = proof_life(request.url.path)
    if owner.may_change(moment(request), life):
        return owner
    if request.method == "GET":
        return await to_login(request, conn, fresh=True)
    told = {"error": "step_up_required", "path": request.url.path[:100]}
    await note(request, conn, "request_refused", sub=owner.user.sub, session_id=owner.session.id, **told)
    action = f"/account/confirm?return_to={quote(request.url.path)}"
    return page(request, ConfirmPage(action, Person(owner.user.username), life // timedelta(minutes=1)), status=403)


async def confirm(request: Request) -> Response:
    """To the step-up, and then to the page that asked for it."""
    await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        return await to_login(request, conn, fresh=True)


def return_to(request: Request) -> str:
    """Where to go afterwards: back to what waits for it, or to the ways to sign in."""
    return local_path(request.query_params.get("return_to"), WAYS)


async def go_on_with(request: Request, conn: Connection, owner: Owner, shown: Evidence, location: str) -> Response:
    """On to that place, in a session with the authenticator that was just shown, under a new secret (G13)."""
    return await under_new_secret(request, conn, owner, see_other(location), shown)


async def under_new_secret(
    request: Request, conn: Connection, owner: Owner, response: Response, *shown: Evidence
) -> Response:
    """The response after a change of what one signs in with: the session has a new secret from now on (G13)."""
    raised = await raise_session(request, conn, owner.session, shown)
    if raised is not None:
        raised.write(response, provider_of(request))
    return response
