"""Where an interaction stands: all that is known of it, gathered once, and what the user must do next."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from idp.authn.freshness import SENSITIVE_LIFE, STEP_UP_LIFE, by_this_password, merge, recent, usable
from idp.authn.methods import authenticators
from idp.authn.policy import (
    Enrolment,
    Outlook,
    Reason,
    Requirement,
    counting,
    lacking,
    of_organisation,
    on_trusted_device,
    outlook,
    required,
    upheld,
)
from idp.base.jose import InvalidToken
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator
from idp.model.interaction import Interaction
from idp.model.session import Session
from idp.model.user import User
from idp.oauth.errors import AuthorizationError, InvalidRequest, PageError, claimed_id
from idp.oauth.prompts import Need, Situation, next_need
from idp.oauth.request import AuthorizationRequest, check
from idp.store.clients import find_client
from idp.store.consents import find_consent
from idp.store.database import Connection
from idp.store.groups import find_membership
from idp.store.known_devices import is_trusted
from idp.store.users import find_user
from idp.web.hints import verify_hint
from idp.web.provider import Provider

SENSITIVE = frozenset({"/account/delete"})
"""The pages of ours behind which something is done that nobody can undo."""


ENROLLING = frozenset(f"/account/authenticators/add-{kind}" for kind in ("passkey", "totp", "phone"))
"""The pages of ours on which one adds what the organisation asks for, and which it therefore cannot stand before."""


def is_enrolling(target: str) -> bool:
    """Whether this address of ours is one of those."""
    return target.partition("?")[0] in ENROLLING


def proof_life(target: str) -> timedelta:
    """How long a proof counts as fresh for the page of ours at this address."""
    return SENSITIVE_LIFE if target.partition("?")[0] in SENSITIVE else STEP_UP_LIFE


@dataclass(frozen=True, slots=True)
class Standing:
    """An authorization request or a visit of the user's own, with everything that decides what comes next.

    ``enrolment`` is what the organisation asks for and the account cannot reach; ``on_trust`` is whether a trusted
    device stood in for a second step.
    """

    request: AuthorizationRequest | None
    session: Session | None
    user: User | None
    evidence: tuple[Evidence, ...]
    authenticators: tuple[Authenticator, ...]
    requirement: Requirement
    outlook: Outlook
    account_met: bool
    need: Need | None
    enrolment: Enrolment | None = None
    on_trust: bool = False

    @property
    def reminder(self) -> bool:
        """Whether an enrolment that may wait is still to be spoken of in this sign-in."""
        deferred = self.session is not None and self.session.enrolment_deferred_at is not None
        return self.enrolment is not None and self.enrolment.may_wait and not deferred

    @property
    def is_done(self) -> bool:
        """Whether a visit of the user's own has all that it asks."""
        return self.user is not None and bool(self.evidence) and self.outlook.met and not self.reminder


async def load_request(provider: Provider, conn: Connection, parameters: dict[str, str]) -> AuthorizationRequest:
    """The checked authorization request; raises PageError or AuthorizationError."""
    client_id = parameters.get("client_id", "")
    client = await find_client(conn, client_id)
    if client is None or client.disabled_at is not None:
        raise PageError("client_unknown", client_id=claimed_id(client_id))
    return check(parameters, client, prompts=provider.prompts)


def hinted_subject(provider: Provider, request: AuthorizationRequest, now: datetime) -> str | None:
    """Whom the ID token hint names or has named; an expired one still counts (OpenID Connect Core §3.1.2.1)."""
    if request.id_token_hint is None:
        return request.hinted_sub
    try:
        audience = frozenset({request.client.client_id})
        token = verify_hint(provider, request.id_token_hint, audience=audience, now=now)
    except InvalidToken as fault:
        error = InvalidRequest("The id_token_hint is not valid.", detail=str(fault))
        raise AuthorizationError(request.target, error) from fault
    return str(token.claims["sub"])


async def asked_of(
    provider: Provider, conn: Connection, user: User, owned: tuple[Authenticator, ...], now: datetime
) -> tuple[tuple[Reason, ...], Enrolment | None]:
    """What the installation and the user's groups ask of this account, and what of it the account cannot reach."""
    membership = await find_membership(conn, user.sub)
    organisation = of_organisation(provider.min_acr, membership.levels)
    due_at, grace = membership.enrolment_due_at, provider.enrolment_grace
    return organisation, lacking(organisation, owned, due_at=due_at, grace=grace, now=now)


async def stand(
    provider: Provider,
    conn: Connection,
    *,
    request: AuthorizationRequest | None,
    session: Session | None,
    interaction: Interaction | None,
    now: datetime,
    device: str | None = None,
) -> Standing:
    """Gather the standing of a request, within its interaction once it has one, in the browser of that ``device``."""
    sub = (interaction and interaction.sub) or (session and session.sub)
    user = await find_user(conn, sub) if sub else None
    if user is not None and user.disabled_at is not None:
        user = None
    asked_at = interaction.created_at if interaction else now
    owned = await authenticators(conn, user, off=provider.tools.off) if user else ()
    account = required(requested=None, client_min=None, authenticators=owned)
    shown = session.evidence if session and user and session.sub == user.sub else ()
    if request is not None:
        shown = usable(shown, asked_at=asked_at, login="login" in request.prompt, max_age=request.max_age)
    elif interaction is not None and interaction.fresh:
        shown = recent(shown, account=account.acr, now=asked_at, life=proof_life(interaction.return_to))
    begun = by_this_password(interaction.evidence, user.password_changed_at) if interaction and user else ()
    evidence = counting(merge(shown, begun), owned)
    organisation, enrolment = await asked_of(provider, conn, user, owned, now) if user else ((), None)
    holding = upheld(organisation, enrolment)
    if enrolment is not None and request is None and interaction is not None and is_enrolling(interaction.return_to):
        # Where it is added, it cannot be asked for yet.
        holding = tuple(reason for reason in organisation if reason not in enrolment.reasons)
        enrolment = None
    requested, client_min = (request.acr, request.client.min_acr) if request else (None, None)
    wanted = required(requested=requested, client_min=client_min, authenticators=owned, organisation=holding)
    full, on_trust = outlook(account, evidence, owned, now), False
    if request is not None and user is not None and not full.met and provider.trust_life and device is not None:
        # The password is what trust adds to; a factor that was locked says that somebody else may have it.
        may = any(one.method == "password" for one in evidence) and not any(one.locked for one in owned)
        on_trust = may and await is_trusted(conn, device, user.sub, now=now)
    if on_trust:
        account, wanted = on_trusted_device(account), on_trusted_device(wanted)
    of_account, ahead = (outlook(level, evidence, owned, now) for level in (account, wanted))
    if not ahead.reachable and not of_account.met:
        # The account comes first: what the request lacks is added by somebody who is signed in to it.
        ahead = of_account
    standing = Standing(
        request, session, user, evidence, owned, wanted, ahead, of_account.met, None, enrolment, on_trust
    )
    if request is None:
        return standing
    asked = required(requested=requested, client_min=client_min, authenticators=())
    need = next_need(
        Situation(
            request=request,
            sub=user.sub if user else None,
            # Short of what the account itself asks, nobody is signed in yet.
            signed_in=bool(evidence) and (of_account.met or interaction is not None),
            met=ahead.met,
            reachable=ahead.reachable,
            request_reachable=outlook(asked, evidence, owned, now).reachable,
            reminder=standing.reminder,
            hinted=hinted_subject(provider, request, now),
            chosen=interaction is not None and interaction.chosen,
            remembered=await find_consent(conn, user.sub, request.client.client_id) if user else frozenset(),
            approved=None if not interaction or interaction.approved is None else frozenset(interaction.approved),
        )
    )
    return replace(standing, need=need)
