"""``/account``: what protects the account, and how its owner changes that."""

import json
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import credential_name
from idp.authn.assurance import assess
from idp.authn.freshness import recent
from idp.authn.methods import Refusal, authenticators, totp, webauthn
from idp.authn.policy import outlook, required
from idp.base.uri import local_path
from idp.model.assurance import Evidence
from idp.model.credential import Authenticator as Enrolled
from idp.model.session import Session
from idp.model.user import User
from idp.oauth.errors import PageError
from idp.store import totp_credentials, webauthn_credentials
from idp.store.database import Connection, transaction
from idp.store.interactions import find_interaction
from idp.store.sessions import consume_challenge, record_challenge
from idp.store.users import get_user
from idp.web import cookies
from idp.web.answers import allow_form_target, page, see_other
from idp.web.flow import begin, bind, current_session, raise_session
from idp.web.forms import read_page_form
from idp.web.pages import (
    AccountPage,
    AddPasskeyPage,
    AddTotpPage,
    Authenticator,
    AuthenticatorsPage,
    ConfirmPage,
    Fault,
    Person,
    Place,
    Protection,
    RemovePage,
    RenamePage,
)
from idp.web.provider import moment, provider_of
from idp.web.standing import load_request

HOME = "/account/authenticators"


@dataclass(frozen=True, slots=True)
class Owner:
    """The signed-in owner of the account, with what they have enrolled."""

    session: Session
    user: User
    enrolled: tuple[Enrolled, ...]

    def may_change(self, now: datetime) -> bool:
        """Whether a second factor was shown in the last 20 minutes, wherever there is one (A-33)."""
        account = required(requested=None, client_min=None, authenticators=self.enrolled)
        return outlook(account, recent(self.session.evidence, now=now), self.enrolled, now).met


async def _owner(request: Request, conn: Connection) -> Owner | None:
    session = await current_session(request, conn)
    if session is None:
        return None
    user = await get_user(conn, session.sub)
    owner = Owner(session, user, await authenticators(conn, user))
    account = required(requested=None, client_min=None, authenticators=owner.enrolled)
    # A session from before a second factor was added shows too little of the account's owner.
    met = outlook(account, session.evidence, owner.enrolled, moment(request)).met
    return owner if met else None


async def _login(request: Request, conn: Connection, *, fresh: bool = False) -> Response:
    """To the sign-in, and then back here."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return_to = local_path(here, "/account") if request.method == "GET" else HOME
    interaction, browser = await begin(request, conn, return_to=return_to, fresh=fresh)
    return bind(see_other(f"/login?interaction={interaction.id}"), provider_of(request), browser)


async def overview(request: Request) -> Response:
    """The account at a glance."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await _owner(request, conn)
        if owner is None:
            return await _login(request, conn)
    best = assess(one.evidence(moment(request)) for one in owner.enrolled)
    strong = best is not None and best.acr != "1fa"
    title = "Two independent steps protect your account" if strong else "A password alone protects your account"
    have = _counted(owner.enrolled) or "Nothing yet"
    facts = (
        ("Something you know", "Password" if owner.user.password_hash else "Nothing"),
        ("Something you have", have),
    )
    place = Place(HOME, "passkey", "Ways to sign in", _counted(owner.enrolled) or "Password alone")
    content = AccountPage(Person(owner.user.username), owner.user.email, Protection(title, facts), (place,))
    return page(request, content)


def _counted(enrolled: tuple[Enrolled, ...]) -> str:
    names = {"webauthn": ("passkey", "passkeys"), "totp": ("authenticator app", "authenticator apps")}
    counts = {method: sum(one.method == method for one in enrolled) for method in names}
    return ", ".join(f"{count} {names[method][count > 1]}" for method, count in counts.items() if count)


async def ways(request: Request) -> Response:
    """All ways to sign in."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await _owner(request, conn)
        if owner is None:
            return await _login(request, conn)
        keys = await webauthn_credentials.list_of(conn, owner.user.sub)
        apps = await totp_credentials.list_confirmed(conn, owner.user.sub)
    passkeys = tuple(
        Authenticator(
            one.id,
            one.name,
            "phone" if one.backup_eligible else "securitykey",
            (
                "Synced between your devices" if one.backup_eligible else "Stays on its device",
                f"added {one.created_at:%-d %B}",
                _last(one.last_used_at),
            ),
        )
        for one in keys
    )
    totps = tuple(
        Authenticator(one.id, one.name, "totp", (f"Added {one.created_at:%-d %B}", _last(one.last_used_at)))
        for one in apps
    )
    changed = owner.user.password_changed_at
    facts = (f"Changed on {changed:%-d %B}",) if changed else ()
    return page(request, AuthenticatorsPage(Person(owner.user.username), passkeys, totps, None, facts))


def _last(used: datetime | None) -> str:
    return f"last used on {used:%-d %B}" if used else "never used"


async def _changer(request: Request, conn: Connection) -> Owner | Response:
    """The owner, if they may change authenticators now; else what to answer instead."""
    owner = await _owner(request, conn)
    if owner is None:
        return await _login(request, conn)
    if owner.may_change(moment(request)):
        return owner
    if request.method == "GET":
        return await _login(request, conn, fresh=True)
    return page(request, ConfirmPage("/account/confirm", Person(owner.user.username)), status=403)


async def confirm(request: Request) -> Response:
    """To the step-up, and then to the ways to sign in."""
    await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        return await _login(request, conn, fresh=True)


def _return_to(request: Request) -> str:
    return local_path(request.query_params.get("return_to"), HOME)


async def _allow_return(request: Request, conn: Connection) -> None:
    """Let the form of this page end at the client whose request waits for what is added here."""
    path, _, interaction_id = _return_to(request).partition("?interaction=")
    browser = cookies.read(request, provider_of(request), "browser")
    if path != "/login" or browser is None:
        return
    waiting = await find_interaction(conn, interaction_id, browser, now=moment(request))
    if waiting is not None and waiting.parameters is not None:
        allow_form_target(request, await load_request(conn, dict(waiting.parameters)))


def _with_return(request: Request, path: str) -> str:
    return f"{path}?{request.url.query}" if "return_to" in request.query_params else path


async def add_totp(request: Request) -> Response:
    """A new key for an authenticator app, shown until a code confirms it."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await _changer(request, conn)
        if isinstance(owner, Response):
            return owner
        return await _totp_page(request, conn, owner, None)


async def confirm_totp(request: Request) -> Response:
    """Add the app whose code was entered; the code counts as a use of it."""
    form, provider, now = await read_page_form(request), provider_of(request), moment(request)
    async with transaction(provider.pool) as conn:
        owner = await _changer(request, conn)
        if isinstance(owner, Response):
            return owner
        pending = await totp.find_enrolment(conn, owner.user, provider.tools, now)
        if pending is None:
            return await _totp_page(request, conn, owner, Fault.of("form_expired"))
        outcome = await totp.confirm(
            conn, owner.user.sub, pending.id, form.get("code", ""), provider.tools, now, name=form.get("name", "")
        )
        if isinstance(outcome, Refusal):
            return await _totp_page(request, conn, owner, Fault.of(outcome.cause))
        return await _enrolled(request, conn, owner, Evidence("totp", now, outcome.id))


async def _totp_page(request: Request, conn: Connection, owner: Owner, fault: Fault | None) -> Response:
    tools, now = provider_of(request).tools, moment(request)
    shown = await totp.find_enrolment(conn, owner.user, tools, now) if fault else None
    enrolment = shown or await totp.begin_enrolment(conn, owner.user, tools, now)
    if isinstance(enrolment, Refusal):
        return see_other(HOME)
    await _allow_return(request, conn)
    content = AddTotpPage(
        _with_return(request, f"{HOME}/add-totp"),
        Markup(enrolment.svg),  # noqa: S704 - drawn by segno, with nothing typed by anybody in it as text
        enrolment.uri,
        enrolment.secret,
        fault,
        cancel_url=_return_to(request),
    )
    return page(request, content, status=400 if fault else 200)


async def add_passkey(request: Request) -> Response:
    """The ceremony for a new passkey or security key."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await _changer(request, conn)
        if isinstance(owner, Response):
            return owner
        return await _passkey_page(request, conn, owner, None)


async def register_passkey(request: Request) -> Response:
    """Add the credential that the browser made; the ceremony counts as a use of it."""
    form, provider, now = await read_page_form(request), provider_of(request), moment(request)
    async with transaction(provider.pool) as conn:
        owner = await _changer(request, conn)
        if isinstance(owner, Response):
            return owner
        challenge = await consume_challenge(conn, owner.session.id, now=now, life=webauthn.CHALLENGE_LIFE)
        outcome = await webauthn.register(
            conn, owner.user, form.get("credential", ""), challenge, provider.tools, now, name=form.get("name", "")
        )
        if isinstance(outcome, Refusal):
            return await _passkey_page(request, conn, owner, Fault.of(outcome.cause))
        evidence = Evidence(
            "webauthn",
            now,
            outcome.id,
            user_verified=outcome.uv_initialized,
            device_bound=not outcome.backup_eligible,
            attested=outcome.attested,
        )
        return await _enrolled(request, conn, owner, evidence)


async def _passkey_page(request: Request, conn: Connection, owner: Owner, fault: Fault | None) -> Response:
    provider = provider_of(request)
    challenge = provider.entropy(webauthn.CHALLENGE_BYTES)
    await record_challenge(conn, owner.session.id, challenge, now=moment(request))
    existing = await webauthn_credentials.list_of(conn, owner.user.sub)
    options = webauthn.registration_options(owner.user, existing, challenge, provider.tools.relying_party)
    await _allow_return(request, conn)
    content = AddPasskeyPage(
        _with_return(request, f"{HOME}/add-passkey"), json.dumps(options), fault, cancel_url=_return_to(request)
    )
    return page(request, content, status=400 if fault else 200)


async def _enrolled(request: Request, conn: Connection, owner: Owner, shown: Evidence) -> Response:
    """The session with the authenticator that was just shown, under a new secret (G13)."""
    provider = provider_of(request)
    raised = await raise_session(request, conn, owner.session, (shown,))
    response = see_other(_return_to(request))
    if raised is not None:
        cookies.write(response, provider, "session", raised[1])
    return response


@dataclass(frozen=True, slots=True)
class _Kind:
    word: str
    name: str


def _found(request: Request, owner: Owner) -> _Kind:
    """The owner's authenticator that the address names; nobody else's is there (A-74)."""
    wanted = request.path_params["id"]
    words = {"webauthn": "passkey", "totp": "authenticator app"}
    for one in owner.enrolled:
        if one.credential_id == wanted:
            return _Kind(words[one.method], one.name)
    raise PageError("not_found", status=404)


async def rename(request: Request) -> Response:
    """Another name for an authenticator: asked for by GET, given by POST."""
    form = await read_page_form(request) if request.method == "POST" else {}
    async with transaction(provider_of(request).pool) as conn:
        owner = await _changer(request, conn)
        if isinstance(owner, Response):
            return owner
        kind, wanted = _found(request, owner), request.path_params["id"]
        if request.method == "GET":
            return page(request, RenamePage(f"{HOME}/{wanted}/rename", kind.name, kind.word))
        store = webauthn_credentials if kind.word == "passkey" else totp_credentials
        await store.rename(conn, owner.user.sub, wanted, credential_name(form.get("name", ""), kind.name))
    return see_other(HOME)


async def remove(request: Request) -> Response:
    """Remove an authenticator: asked for by GET, done by POST; the last way to sign in stays."""
    if request.method == "POST":
        await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        owner = await _changer(request, conn)
        if isinstance(owner, Response):
            return owner
        kind, wanted = _found(request, owner), request.path_params["id"]
        rest = tuple(one for one in owner.enrolled if one.credential_id != wanted)
        last = not any(one.method == "password" or one.user_verified for one in rest)
        if request.method == "GET" or last:
            content = RemovePage(f"{HOME}/{wanted}/remove", kind.word, kind.name, tuple(one.name for one in rest), last)
            return page(request, content, status=400 if request.method == "POST" else 200)
        store = webauthn_credentials if kind.word == "passkey" else totp_credentials
        await store.remove(conn, owner.user.sub, wanted)
    return see_other(HOME)
