"""``/account/delete``: the end of the account, at its owner's wish."""

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import canonical_username
from idp.base.text import Listing, Phrase, say, say_many
from idp.store.database import Connection, transaction
from idp.store.users import lock_to_remove, remove
from idp.web import cookies
from idp.web.account.apps import count_apps_of
from idp.web.account.owner import Owner, find_changer
from idp.web.account.sessions import count_sessions_of
from idp.web.answers import page, see_other
from idp.web.flow import current_session
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import DeletePage, DonePage, Fault, Person
from idp.web.provider import provider_of, transacted
from idp.web.steps import STEPS
from idp.web.trail import note


async def show(request: Request) -> Response:
    """What goes, and the question; a proof of the last five minutes is asked for first (ASVS 7.5.3)."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_changer(request, conn)
        return owner if isinstance(owner, Response) else await _page(request, conn, owner)


async def delete(request: Request) -> Response:
    """Delete the account and everything that hangs on it, once its name was entered; the audit trail stays."""
    form = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        if (session := await current_session(request, conn, touch=False)) is not None:
            await lock_to_remove(conn, session.sub)
        owner = await find_changer(request, conn)
        if isinstance(owner, Response):
            return owner
        user = owner.user
        if canonical_username(form.get("confirmation", "")) != canonical_username(user.username):
            return await _page(request, conn, owner, Fault.of("confirmation_wrong", "confirmation"))
        if await remove(conn, user.sub):
            await note(
                request, conn, "account_deleted", sub=user.sub, session_id=owner.session.id, username=user.username
            )
            # What is in the outbox hangs on no account: it is sent all the same.
            await notify_user(request, conn, user, "account_deleted")
        response = see_other("/goodbye")
        for name in ("session", "browser"):
            # That of the device stays: other accounts may know this browser by it, and this one's part of it is gone.
            cookies.clear(response, provider_of(request), name)
        return response

    return await transacted(request, step)


async def goodbye(request: Request) -> Response:
    """The page after that."""
    text = say("Nothing is left of it here but a note that it was deleted, and what happened to it before that.")
    is_open = provider_of(request).sign_up == "open"
    onward = (say("Make a new account"), "/register") if is_open else (say("Sign in"), "/login")
    return page(
        request, DonePage(say("Your account is deleted"), text, say("Apps may keep what they have seen."), onward)
    )


async def _page(request: Request, conn: Connection, owner: Owner, fault: Fault | None = None) -> Response:
    devices, apps = await count_sessions_of(request, conn, owner), await count_apps_of(request, conn, owner)
    # By kind and not by number: a set of recovery codes is one way, however many there are.
    ways = tuple(step.title for step in STEPS if any(one.method == step.method for one in owner.enrolled))
    email = owner.user.email
    goes: tuple[tuple[str, Phrase], ...] = (
        ("user", say("Your profile, with %(email)s", email=email) if email else say("Your profile")),
        ("passkey", say("Your ways to sign in: %(ways)s", ways=Listing(ways))),
        ("laptop", say_many("Your sign-in on this device", "Your sign-in on %(count)s devices", devices)),
    )
    if apps:
        goes = (*goes, ("apps", say_many("1 connected app", "%(count)s connected apps", apps)))
    content = DeletePage(Person(owner.user.username), goes, fault)
    return page(request, content, status=400 if fault else 200)
