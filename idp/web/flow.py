"""From one step of an interaction to the next, and from the last one back to the client."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.assurance import assess
from idp.authn.freshness import merge
from idp.authn.methods.webauthn import CHALLENGE_BYTES
from idp.authn.policy import counting
from idp.authn.throttle import mail_arrived
from idp.base.entropy import identifier, token
from idp.model.assurance import Evidence
from idp.model.authorization import Authorization, AuthorizationCode
from idp.model.interaction import Interaction
from idp.model.session import Session
from idp.model.user import User
from idp.oauth.errors import AuthorizationError, ConsentRequired, LoginRequired, PageError
from idp.oauth.request import AuthorizationRequest
from idp.store.authorizations import create_authorization, create_code
from idp.store.consents import hold_consent
from idp.store.database import Connection
from idp.store.interactions import (
    consume_interaction,
    create_interaction,
    find_interaction,
    find_stale,
    record_challenge,
    record_proof,
)
from idp.store.known_devices import remember_device
from idp.store.sessions import create_session, end_session, find_idle_session, find_session, rotate_session
from idp.store.users import hold
from idp.web import cookies
from idp.web.answers import deliver, refuse, see_other
from idp.web.enrolment import note_enrolment
from idp.web.familiarity import note_familiarity
from idp.web.provider import Provider, moment, provider_of
from idp.web.reader import heed_account, heed_request
from idp.web.recover.factor_recovery import cancel_if_shown
from idp.web.source import address_of, user_agent_of
from idp.web.standing import Standing, load_request, stand
from idp.web.trail import note
from idp.web.trust import trust_browser

DEVICE_LIFE = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Visit:
    """A browser at one step of its interaction."""

    interaction: Interaction
    standing: Standing


class StaleInteraction(Exception):
    """A page of an interaction that has expired, or has ``ended``: its browser may have what it asked for anew."""

    def __init__(self, interaction: Interaction, *, ended: bool) -> None:
        super().__init__(interaction.id)
        self.interaction, self.ended = interaction, ended


async def current_session(request: Request, conn: Connection, *, touch: bool = True) -> Session | None:
    """The live session of this browser, if any; it has been used by that, unless told not to ``touch`` it."""
    provider = provider_of(request)
    secret = cookies.read(request, provider, "session")
    if secret is None:
        return None
    session = await find_session(conn, secret, now=moment(request), idle=provider.lifetimes.session_idle, touch=touch)
    # The audit trail tells in which session something happens.
    request.state.session = session
    return session


async def end_idle(request: Request, conn: Connection, *, client_id: str | None = None) -> None:
    """End the session that this browser has left idle, if any, and what an application was granted in it.

    The browser signs out or begins another session, and can never come back to this one.
    """
    secret = cookies.read(request, provider_of(request), "session")
    left = await find_idle_session(conn, secret, now=moment(request)) if secret is not None else None
    if left is not None:
        await end_session(conn, left.id, now=moment(request))
        await note(request, conn, "sign_out", sub=left.sub, session_id=left.id, client_id=client_id)


async def begin(
    request: Request,
    conn: Connection,
    *,
    parameters: dict[str, str] | None = None,
    return_to: str = "/account",
    fresh: bool = False,
) -> tuple[Interaction, str]:
    """A new interaction of this browser, and the secret that binds it."""
    provider = provider_of(request)
    browser = cookies.read(request, provider, "browser") or token(provider.entropy)
    interaction = await create_interaction(
        conn,
        identifier(provider.entropy),
        browser,
        parameters=parameters,
        return_to=return_to,
        fresh=fresh,
        now=moment(request),
        life=provider.lifetimes.interaction,
    )
    return interaction, browser


async def resume(request: Request, conn: Connection) -> Visit:
    """The interaction that the query names, if this very browser began it.

    Raises StaleInteraction where it is over, and PageError where this browser has begun none of that name.
    """
    provider, now = provider_of(request), moment(request)
    browser = cookies.read(request, provider, "browser")
    interaction_id = request.query_params.get("interaction", "")
    known = browser is not None and interaction_id.isascii() and interaction_id.isalnum()
    found = await find_interaction(conn, interaction_id, browser or "", now=now) if known else None
    if found is None:
        stale = await find_stale(conn, interaction_id, browser or "", now=now) if known else None
        if stale is not None:
            raise StaleInteraction(stale[0], ended=stale[1])
        raise PageError("interaction_gone", status=403 if request.method == "POST" else 400)
    return await revisit(request, conn, found)


async def revisit(request: Request, conn: Connection, interaction: Interaction) -> Visit:
    """The standing of an interaction as it is now."""
    heed_request(request, interaction.parameters)
    asked = None
    if interaction.parameters is not None:
        asked = await load_request(provider_of(request), conn, dict(interaction.parameters))
    if asked is not None:
        request.state.client_id = asked.client.client_id
    session = await current_session(request, conn)
    standing = await stand(
        provider_of(request),
        conn,
        request=asked,
        session=session,
        interaction=interaction,
        now=moment(request),
        device=cookies.read(request, provider_of(request), "device"),
    )
    heed_account(request, standing.user)
    return Visit(interaction, standing)


async def proceed(request: Request, conn: Connection, visit: Visit, *, trust: bool = False) -> Response:
    """Go on: establish the session once the account's own requirement is met, then the next page or the answer.

    With ``trust`` the browser stands in for the second step from then on.
    """
    standing, established = visit.standing, None
    if standing.user is not None:
        await hold(conn, standing.user.sub)
    if visit.interaction.evidence and standing.user and standing.account_met and not _is_established(visit):
        established = await _establish(request, conn, standing, standing.user, trust=trust)
        # From now on the session alone has what was proved: what waits here cannot outlast a sign-out.
        visit = replace(visit, interaction=await record_proof(conn, visit.interaction.id, standing.user, ()))
        standing = await stand(
            provider_of(request),
            conn,
            request=standing.request,
            session=established.session,
            interaction=visit.interaction,
            now=moment(request),
            device=established.device or cookies.read(request, provider_of(request), "device"),
        )
    response = await _next(request, conn, Visit(visit.interaction, standing))
    if established is not None:
        established.write(response, provider_of(request))
    return response


def _is_established(visit: Visit) -> bool:
    """Whether the session has all that this login has proved."""
    session = visit.standing.session
    if session is None or session.sub != visit.interaction.sub:
        return False
    return set(merge(session.evidence, visit.interaction.evidence)) == set(session.evidence)


async def _next(request: Request, conn: Connection, visit: Visit) -> Response:
    standing, here = visit.standing, f"interaction={visit.interaction.id}"
    await note_enrolment(request, conn, standing)
    if standing.request is None:
        if not standing.is_done:
            return see_other(f"/login?{here}")
        await consume_interaction(conn, visit.interaction.id, now=moment(request))
        return see_other(visit.interaction.return_to)
    if standing.need is None:
        return await answer(request, conn, standing.request, standing, visit.interaction)
    if standing.need.prompt == "refuse":
        # Answered and not raised: a code or challenge that was just spent has to stay spent.
        told = {"error": standing.need.error.code, "detail": standing.need.error.detail, "path": request.url.path}
        await note(request, conn, "request_refused", actor="anonymous", **told)
        return refuse(request, AuthorizationError(standing.request.target, standing.need.error))
    page = {"create": "/register", "consent": "/consent", "select_account": "/login/choose"}
    return see_other(f"{page.get(standing.need.prompt, '/login')}?{here}")


async def answer(
    request: Request,
    conn: Connection,
    asked: AuthorizationRequest,
    standing: Standing,
    interaction: Interaction | None,
) -> Response:
    """The authorization response with its code, once for each interaction."""
    provider, now = provider_of(request), moment(request)
    assurance = assess(standing.evidence)
    if standing.user is None or standing.session is None or assurance is None:
        error = LoginRequired("The user has to sign in.")
        return refuse(request, AuthorizationError(asked.target, error))
    if not await hold_consent(conn, standing.user.sub, asked.client.client_id):
        # Withdrawn in this very moment: no code comes of what was allowed before (ASVS 10.4.9).
        withdrawn = ConsentRequired("The user has to allow the request.")
        return refuse(request, AuthorizationError(asked.target, withdrawn))
    if interaction is not None and not await consume_interaction(conn, interaction.id, now=now):
        raise PageError("interaction_gone")
    authorization = Authorization(
        id=identifier(provider.entropy),
        sub=standing.user.sub,
        client_id=asked.client.client_id,
        session_id=standing.session.id,
        scope=asked.scope,
        claims=asked.claims.as_json(),
        assurance=assurance,
        created_at=now,
    )
    code = token(provider.entropy)
    record = AuthorizationCode(
        authorization_id=authorization.id,
        client_id=asked.client.client_id,
        redirect_uri=asked.target.redirect_uri,
        code_challenge=asked.code_challenge,
        nonce=asked.nonce,
        expires_at=now + provider.lifetimes.code,
    )
    await create_authorization(conn, authorization)
    await create_code(conn, code, record)
    return deliver(request, asked.target, (("code", code),))


@dataclass(frozen=True, slots=True)
class Established:
    """A session as it now is, the new secret of its cookie, and that of the device if the browser was not known."""

    session: Session
    secret: str
    device: str | None = None

    def write(self, response: Response, provider: Provider) -> None:
        """Hand the secrets to the browser."""
        cookies.write(response, provider, "session", self.secret)
        if self.device is not None:
            cookies.write(response, provider, "device", self.device, life=DEVICE_LIFE)


async def _establish(request: Request, conn: Connection, standing: Standing, user: User, *, trust: bool) -> Established:
    """The session with what was just proved, under a new secret (ASVS 7.2.4); another user's session ends, or one left.

    Raises PageError where the session to be raised is gone.
    """
    session = standing.session
    await mail_arrived(conn, user.sub)
    await cancel_if_shown(request, conn, user, standing.evidence)
    if session is not None and session.sub != user.sub:
        await end_session(conn, session.id, now=moment(request))
        await note(request, conn, "sign_out", sub=session.sub, session_id=session.id)
        session = None
    if session is not None:
        raised = await raise_session(request, conn, session, standing.evidence)
        if raised is None:
            # It was ended elsewhere in this very moment, and what it had shown has ended with it.
            raise PageError("interaction_gone")
        await _note_sign_in(request, conn, "step_up", standing, raised.session)
        return await _with_device(request, conn, raised, user, trust=True) if trust else raised
    await end_idle(request, conn)
    provider, now, secret = provider_of(request), moment(request), token(provider_of(request).entropy)
    created = await create_session(
        conn,
        identifier(provider.entropy),
        secret,
        user.sub,
        standing.evidence,
        now=now,
        life=provider.lifetimes.session,
        address=address_of(request),
        user_agent=user_agent_of(request),
    )
    news = await note_familiarity(request, conn, user)
    await _note_sign_in(request, conn, "sign_in", standing, created, news)
    return await _with_device(request, conn, Established(created, secret), user, trust=trust)


async def _with_device(
    request: Request, conn: Connection, established: Established, user: User, *, trust: bool
) -> Established:
    """The same with a new secret of the device, which is known from now on, and trusted if its owner wishes."""
    provider, now = provider_of(request), moment(request)
    device, former = token(provider.entropy), cookies.read(request, provider, "device")
    await remember_device(conn, device, user, former=former, now=now, life=DEVICE_LIFE)
    if trust:
        await trust_browser(request, conn, user, established.session, device)
    return replace(established, device=device)


async def _note_sign_in(
    request: Request,
    conn: Connection,
    event: str,
    standing: Standing,
    session: Session,
    news: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    assurance = assess(counting(session.evidence, standing.authenticators))
    await note(
        request,
        conn,
        event,
        sub=session.sub,
        client_id=standing.request.client.client_id if standing.request else None,
        session_id=session.id,
        acr=assurance and assurance.acr,
        amr=assurance and list(assurance.amr),
        reasons=[f"{reason.kind}: {reason.acr}" for reason in standing.requirement.reasons],
        **news,
        **_trusted(standing),
    )


def _trusted(standing: Standing) -> Mapping[str, Any]:
    return {"trusted_device": True} if standing.on_trust else {}


async def raise_session(
    request: Request, conn: Connection, session: Session, shown: tuple[Evidence, ...]
) -> Established | None:
    """The same session with more shown, under a new secret; None if it has ended meanwhile."""
    secret = token(provider_of(request).entropy)
    evidence = merge(session.evidence, shown)
    raised = await rotate_session(conn, session.id, secret, evidence, now=moment(request))
    return None if raised is None else Established(raised, secret)


async def new_challenge(request: Request, conn: Connection, visit: Visit) -> bytes:
    """A challenge for a WebAuthn ceremony of this interaction, in place of any before it."""
    challenge = provider_of(request).entropy(CHALLENGE_BYTES)
    await record_challenge(conn, visit.interaction.id, challenge, now=moment(request))
    return challenge


def bind(response: Response, provider: Provider, browser: str) -> Response:
    """The response, with the secret to which interactions are bound."""
    cookies.write(response, provider, "browser", browser)
    return response
