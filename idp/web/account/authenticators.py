"""``/account/authenticators``: all ways to sign in, to rename and to remove."""

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import credential_name
from idp.authn.methods import Method, find_method, sms
from idp.base.text import Day, say
from idp.model.credential import Authenticator as Enrolled
from idp.oauth.errors import PageError
from idp.store import recovery_codes, totp_credentials, webauthn_credentials
from idp.store.database import Connection, transaction
from idp.web.account.owner import WAYS, Owner, find_changer, find_owner, to_login, under_new_secret
from idp.web.account.passkeys import added, facts_of, icon_of, last_used, signals_of
from idp.web.account.recovery_codes import left
from idp.web.account.sessions import count_sessions_of
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import Authenticator, AuthenticatorsPage, Person, RemovePage, RenamePage
from idp.web.provider import provider_of, transacted
from idp.web.text_notices import text_user
from idp.web.trail import note
from idp.web.trust import distrust

NO_CODES = say("You have no recovery codes yet. If you lose what you sign in with, one of these lets you in.")


async def ways(request: Request) -> Response:
    """All ways to sign in."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        keys = await webauthn_credentials.list_of(conn, owner.user.sub)
        apps = await totp_credentials.list_confirmed(conn, owner.user.sub)
        codes = await recovery_codes.find_codes(conn, owner.user.sub)
        others = await count_sessions_of(request, conn, owner) - 1
    passkeys = tuple(Authenticator(one.id, one.name, icon_of(one), facts_of(one)) for one in keys)
    totps = tuple(
        Authenticator(one.id, one.name, "totp", (added(one.created_at), last_used(one.last_used_at))) for one in apps
    )
    changed = owner.user.password_changed_at if owner.user.password_hash else None
    facts = (say("Changed on %(day)s", day=Day(changed, year=False)),) if changed else ()
    content = AuthenticatorsPage(
        Person(owner.user.username),
        passkeys,
        totps,
        password_facts=facts,
        codes=left(codes) if codes or owner.second_factors else None,
        care=NO_CODES if owner.second_factors and codes is None else None,
        others=max(others, 0),
        phone=_phone(owner),
        phone_offered="sms" not in provider_of(request).tools.off,
        signals=signals_of(request, owner, keys),
    )
    return page(request, content)


def _phone(owner: Owner) -> Authenticator | None:
    number = sms.recipient(owner.user)
    if number is None or not any(one.method == "sms" for one in owner.enrolled):
        return None
    return Authenticator(sms.CREDENTIAL, number, "phone", (say("Codes by text message"),))


def _found(request: Request, owner: Owner) -> tuple[Enrolled, Method]:
    """The owner's authenticator that the address names; nobody else's is there (A-74)."""
    wanted = request.path_params["id"]
    for one in owner.enrolled:
        method = find_method(one.method)
        if one.credential_id == wanted and method is not None and method.remove is not None:
            return one, method
    raise PageError("not_found", status=404)


async def rename(request: Request) -> Response:
    """Another name for an authenticator: asked for by GET, given by POST."""
    form = await read_page_form(request) if request.method == "POST" else {}

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        (one, method), wanted = _found(request, owner), request.path_params["id"]
        if request.method == "GET" or method.rename is None:
            return page(request, RenamePage(f"{WAYS}/{wanted}/rename", one.name))
        await method.rename(conn, owner.user.sub, wanted, credential_name(form.get("name", ""), str(one.name)))
        return see_other(WAYS)

    return await transacted(request, step)


async def remove(request: Request) -> Response:
    """Remove an authenticator: asked for by GET, done by POST; the last way to sign in stays.

    ``find_changer`` locks the account for a POST: two changes at once do not leave it without a way to sign in.
    """
    if request.method == "POST":
        await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        (one, method), wanted = _found(request, owner), request.path_params["id"]
        rest = owner.without(wanted)
        last = not any(other.method == "password" or other.begins_alone for other in rest.enrolled)
        if request.method == "GET" or last or method.remove is None:
            remaining = tuple(other.name for other in rest.enrolled)
            content = RemovePage(f"{WAYS}/{wanted}/remove", one.method, one.name, remaining, last)
            return page(request, content, status=400 if request.method == "POST" else 200)
        await method.remove(conn, owner.user.sub, wanted)
        await note(
            request,
            conn,
            "authenticator_removed",
            sub=owner.user.sub,
            session_id=owner.session.id,
            method=one.method,
            credential=wanted,
        )
        if not rest.second_factors and await recovery_codes.remove_codes(conn, owner.user.sub):
            await note(request, conn, "recovery_codes_removed", sub=owner.user.sub, session_id=owner.session.id)
        await distrust(request, conn, owner.user.sub, owner.session.id)
        await notify_user(request, conn, owner.user, "authenticator_removed", name=one.name)
        if one.method == "sms":
            await text_user(request, conn, owner.user, "phone_replaced")
        return await under_new_secret(request, conn, owner, see_other(WAYS))

    return await transacted(request, step)
