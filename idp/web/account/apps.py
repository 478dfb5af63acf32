"""``/account/apps``: the apps that can use the account, to take back what they were allowed."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from idp.base.text import Day, Phrase, say
from idp.model.authorization import ConnectedApp
from idp.model.user import User
from idp.oauth.errors import PageError
from idp.store.authorizations import revoke_of_client
from idp.store.connected_apps import count_apps, list_apps
from idp.store.consents import revoke_consent
from idp.store.database import Connection, transaction
from idp.web.account.owner import Owner, find_owner, to_login
from idp.web.answers import page, see_other
from idp.web.forms import read_page_form
from idp.web.pages import App, AppsPage, WithdrawPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.scopes import scope_line
from idp.web.slip import host_of
from idp.web.trail import note

APPS = "/account/apps"


async def show(request: Request) -> Response:
    """All of them, with what each may do (ASVS 10.7.3)."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        apps = await apps_of(request, conn, owner)
    return page(request, AppsPage(tuple(_app(one, owner.user) for one in apps)))


async def withdraw(request: Request) -> Response:
    """Take back what an app was allowed, and all its tokens with it: asked for by GET, done by POST (ASVS 10.4.9)."""
    if request.method == "POST":
        await read_page_form(request)

    async def step(conn: Connection) -> Response:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        app = await _found(request, conn, owner)
        if request.method == "GET":
            action = f"{APPS}/{quote(app.client_id, safe='')}/withdraw"
            return page(request, WithdrawPage(action, _app(app, owner.user)))
        sub = owner.user.sub
        await revoke_consent(conn, sub, app.client_id)
        ended = await revoke_of_client(conn, sub, app.client_id, moment(request))
        await note(
            request,
            conn,
            "consent_withdrawn",
            sub=sub,
            client_id=app.client_id,
            session_id=owner.session.id,
            scope=list(app.scope),
            authorizations=ended,
        )
        return see_other(APPS)

    return await transacted(request, step)


async def apps_of(request: Request, conn: Connection, owner: Owner) -> tuple[ConnectedApp, ...]:
    """The apps that the owner has let in."""
    return await list_apps(conn, owner.user.sub, now=moment(request))


async def count_apps_of(request: Request, conn: Connection, owner: Owner) -> int:
    """How many these are."""
    return await count_apps(conn, owner.user.sub, now=moment(request))


async def _found(request: Request, conn: Connection, owner: Owner) -> ConnectedApp:
    """The owner's app that the address names; nobody else's is there (A-74)."""
    wanted = request.path_params["client_id"]
    for one in await apps_of(request, conn, owner):
        if one.client_id == wanted:
            return one
    raise PageError("not_found", status=404)


def _app(app: ConnectedApp, user: User) -> App:
    hosts = dict.fromkeys(map(host_of, app.redirect_uris))
    used = say("last used on %(day)s", day=Day(app.last_used_at)) if app.last_used_at else say("never used")
    may = tuple(scope_line(scope, user) for scope in app.scope if scope != "offline_access")
    # What scopes of the app's own are for, nobody but their name says.
    words: tuple[Phrase, ...] = tuple(
        say("%(title)s: %(detail)s", title=one.title, detail=one.detail) if one.icon == "apps" else one.title
        for one in may
    )
    facts: tuple[Phrase, ...] = (*hosts, say("allowed on %(day)s", day=Day(app.since)), used)
    return App(app.client_id, app.name, facts, words, away=app.offline)
