"""``/login``: who is there, step by step, until the interaction has all that it asks."""

import json

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import canonical_login
from idp.authn.freshness import merge
from idp.authn.methods import Attempt, Proved, Refusal, prove
from idp.authn.methods.webauthn import CHALLENGE_BYTES, CHALLENGE_LIFE, request_options
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.oauth.errors import AccessDenied, AuthorizationError
from idp.store.database import Connection, transaction
from idp.store.interactions import (
    consume_challenge,
    consume_interaction,
    record_challenge,
    record_choice,
    record_proof,
)
from idp.store.sessions import end_session
from idp.store.users import find_by_login, get_user
from idp.store.webauthn_credentials import list_of
from idp.web import cookies
from idp.web.answers import allow_form_target, page, see_other
from idp.web.flow import Visit, begin, bind, proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.pages import (
    AnotherWayPage,
    ChooserPage,
    EnrolPage,
    Fault,
    Offer,
    Page,
    Person,
    SignInPage,
    TotpPage,
    Way,
    WebAuthnPage,
)
from idp.web.pages.parts import Account
from idp.web.provider import moment, provider_of
from idp.web.slip import needed, slip_of

ICONS = {"webauthn": "passkey", "totp": "totp", "password": "password"}


async def show(request: Request) -> Response:
    """The page of the next step; a visit without an interaction begins one that ends on the account."""
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        if "interaction" not in request.query_params:
            interaction, browser = await begin(request, conn)
            return bind(await proceed(request, conn, await revisit(request, conn, interaction)), provider, browser)
        visit = await resume(request, conn)
        if _is_done(visit):
            return await proceed(request, conn, visit)
        return await _page(request, conn, visit)


async def submit(request: Request) -> Response:
    """Judge what was submitted, keep what it proved, and go on."""
    form = await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        method = _method(request, form)
        outcome = await _prove(request, conn, visit, method, form)
        if isinstance(outcome, Proved):
            return await proceed(request, conn, await _keep(request, conn, visit, outcome))
        return await _page(request, conn, visit, method=method, refused=outcome, username=form.get("username", ""))


def _method(request: Request, form: dict[str, str]) -> str:
    if "credential" in form:
        return "webauthn"
    return request.query_params.get("method", "password").partition(":")[0]


async def _prove(
    request: Request, conn: Connection, visit: Visit, method: str, form: dict[str, str]
) -> Proved | Refusal:
    """One attempt. Whose it is, is the server's to say once the first step is done (A-31)."""
    standing, user, challenge = visit.standing, None, None
    if method == "password":
        user = await _named(conn, form.get("username", ""))
    elif standing.evidence:
        user = standing.user
    elif method != "webauthn":
        return Refusal("form_expired", "a second step without a first")
    if method == "webauthn":
        challenge = await consume_challenge(conn, visit.interaction.id, now=moment(request), life=CHALLENGE_LIFE)
    attempt = Attempt(conn, user, form, challenge, provider_of(request).tools, moment(request))
    outcome = await prove(method, attempt)
    if isinstance(outcome, Proved) and (await get_user(conn, outcome.sub)).disabled_at is not None:
        return Refusal("account_unavailable")
    return outcome


async def _named(conn: Connection, identifier: str) -> User | None:
    canonical = canonical_login(identifier)
    return None if canonical is None else await find_by_login(conn, canonical)


async def _keep(request: Request, conn: Connection, visit: Visit, proved: Proved) -> Visit:
    """The visit with the new evidence; another user than before starts from nothing."""
    mine = visit.interaction.sub == proved.sub
    evidence = merge(visit.interaction.evidence if mine else (), (proved.evidence,))
    interaction = await record_proof(conn, visit.interaction.id, proved.sub, evidence)
    return await revisit(request, conn, interaction)


def _is_done(visit: Visit) -> bool:
    standing = visit.standing
    if standing.request is None:
        return bool(standing.user and standing.evidence and standing.outlook.met)
    return standing.need is None or standing.need.prompt not in {"login", "step_up", "enrol"}


async def _page(
    request: Request,
    conn: Connection,
    visit: Visit,
    *,
    method: str | None = None,
    refused: Refusal | None = None,
    username: str = "",
) -> Response:
    """The page of the chosen or the best way on."""
    allow_form_target(request, visit.standing.request)
    fault = Fault.of(refused.cause) if refused else None
    status = 400 if refused else 200
    if not visit.standing.evidence or visit.standing.user is None or method == "password":
        content: Page = await _sign_in(request, conn, visit, fault, username)
    elif not visit.standing.outlook.ways:
        content = _enrol(visit)
    else:
        content = await _second_step(request, conn, visit, _way(request, visit, method), fault)
    return page(request, content, status=status)


def _way(request: Request, visit: Visit, method: str | None) -> Authenticator:
    wanted = method or request.query_params.get("method", "").partition(":")[0]
    ways = visit.standing.outlook.ways
    return next((way for way in ways if way.method == wanted), ways[0])


async def _challenge(request: Request, conn: Connection, visit: Visit) -> bytes:
    challenge = provider_of(request).entropy(CHALLENGE_BYTES)
    await record_challenge(conn, visit.interaction.id, challenge, now=moment(request))
    return challenge


async def _sign_in(request: Request, conn: Connection, visit: Visit, fault: Fault | None, username: str) -> SignInPage:
    provider, standing, here = provider_of(request), visit.standing, f"interaction={visit.interaction.id}"
    challenge = await _challenge(request, conn, visit)
    options = request_options(None, challenge, provider.tools.relying_party)
    hint = standing.request.login_hint if standing.request else None
    known = Person(standing.user.username) if standing.user else None
    return SignInPage(
        slip_of(standing),
        f"/login?{here}",
        username=(username or hint or "")[:128],
        person=known,
        other_account_url=f"/login/other-account?{here}" if known else None,
        fault=fault,
        register_url=None if known else f"/register?{here}",
        passkey_options=json.dumps(options),
    )


async def _second_step(
    request: Request, conn: Connection, visit: Visit, way: Authenticator, fault: Fault | None
) -> Page:
    user, standing, here = needed(visit.standing.user), visit.standing, f"interaction={visit.interaction.id}"
    person, others = Person(user.username), f"/login/another-way?{here}"
    not_you = f"/login/other-account?{here}"
    if way.method == "password":
        return await _sign_in(request, conn, visit, fault, user.username)
    if way.method == "totp":
        action = f"/login?{here}&method=totp"
        steps = (2, 2) if visit.interaction.evidence else None
        return TotpPage(slip_of(standing), action, person, steps, fault, others, not_you)
    challenge = await _challenge(request, conn, visit)
    allow = await list_of(conn, user.sub)
    options = request_options(allow, challenge, provider_of(request).tools.relying_party)
    return WebAuthnPage(
        slip_of(standing),
        f"/login?{here}&method=webauthn",
        person,
        json.dumps(options),
        fault=fault,
        other_ways_url=others,
        not_you_url=not_you,
        used=_used(visit) if not visit.interaction.evidence else None,
        explain_phishing=standing.requirement.acr in {"phr", "phrh"},
        cancel_url=f"/login/cancel?{here}" if standing.request else None,
    )


def _used(visit: Visit) -> str:
    first = min(visit.standing.evidence, key=lambda one: one.at)
    names = {"password": "your password", "totp": "an authenticator app", "webauthn": "a passkey"}
    return f"You signed in with {names[first.method]} at {first.at:%H:%M} UTC."


def _enrol(visit: Visit) -> EnrolPage:
    standing, back = visit.standing, f"return_to=/login%3Finteraction%3D{visit.interaction.id}"
    passkey = Offer.passkey(f"/account/authenticators/add-passkey?{back}")
    totp = Offer.totp(f"/account/authenticators/add-totp?{back}")
    offers = (passkey, totp) if standing.requirement.acr == "mfa" else (passkey,)
    client = standing.request.client.client_name if standing.request else "This page"
    text = f"{client} needs a sign-in that your account cannot do yet. Add one of these, then go on."
    person = Person(needed(standing.user).username)
    here = f"interaction={visit.interaction.id}"
    return EnrolPage(
        slip_of(standing),
        person,
        text,
        offers,
        not_you_url=f"/login/other-account?{here}",
        cancel_url=f"/login/cancel?{here}",
    )


async def another_way(request: Request) -> Response:
    """All ways that the account has; those that are not enough are seen and cannot be chosen."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
    standing, here = visit.standing, f"interaction={visit.interaction.id}"
    if standing.user is None or not standing.evidence:
        return see_other(f"/login?{here}")
    ways = tuple(_choice(way, enough=True) for way in _one_each(standing.outlook.ways))
    weak = tuple(_choice(way, enough=False) for way in _one_each(standing.outlook.weak))
    person = Person(standing.user.username)
    allow_form_target(request, standing.request)
    content = AnotherWayPage(
        slip_of(standing),
        f"/login/another-way?{here}",
        person,
        (*ways, *weak),
        not_you_url=f"/login/other-account?{here}",
        cancel_url=f"/login/cancel?{here}",
    )
    return page(request, content)


async def choose_way(request: Request) -> Response:
    """Go on with the chosen method."""
    form = await read_page_form(request)
    method = form.get("method", "").partition(":")[0]
    interaction = request.query_params.get("interaction", "")
    if method not in ICONS or not interaction.isalnum():
        return see_other("/login")
    return see_other(f"/login?interaction={interaction}&method={method}")


def _one_each(ways: tuple[Authenticator, ...]) -> tuple[Authenticator, ...]:
    return tuple({way.method: way for way in reversed(ways)}.values())


def _choice(way: Authenticator, *, enough: bool) -> Way:
    titles = {"webauthn": "Passkey or security key", "totp": "Authenticator app", "password": "Password"}
    return Way(way.method, None, titles[way.method], way.name, ICONS[way.method], enough)


async def other_account(request: Request) -> Response:
    """Start over with another account: what this login and this browser's session have shown counts no more.

    The unguessable interaction of this very browser in the address makes this safe as a plain link.
    """
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        visit = await resume(request, conn)
        if visit.standing.session is not None:
            await end_session(conn, visit.standing.session.id, now=moment(request))
        await _forget(conn, visit)
    response = see_other(f"/login?interaction={visit.interaction.id}")
    cookies.clear(response, provider, "session")
    return response


async def cancel(request: Request) -> Response:
    """Back to the app without a sign-in; the unguessable interaction makes this safe as a plain link."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        await consume_interaction(conn, visit.interaction.id, now=moment(request))
    if visit.standing.request is None:
        return see_other("/account")
    raise AuthorizationError(visit.standing.request.target, AccessDenied("The user did not sign in."))


async def _forget(conn: Connection, visit: Visit) -> None:
    await record_choice(conn, visit.interaction.id)
    await record_proof(conn, visit.interaction.id, None, ())


async def choose(request: Request) -> Response:
    """The account chooser (``prompt=select_account``)."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
    user, here = visit.standing.user, f"interaction={visit.interaction.id}"
    accounts = (Account(user.sub, Person(user.username), "Signed in"),) if user else ()
    allow_form_target(request, visit.standing.request)
    return page(request, ChooserPage(slip_of(visit.standing), f"/login/choose?{here}", accounts))


async def chosen(request: Request) -> Response:
    """Go on with the chosen account, or with another one."""
    form = await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
        user = visit.standing.user
        if user is None or form.get("account") != user.sub:
            return see_other(f"/login/other-account?interaction={visit.interaction.id}")
        interaction = await record_choice(conn, visit.interaction.id)
        return await proceed(request, conn, await revisit(request, conn, interaction))
