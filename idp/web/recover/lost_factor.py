"""``/recover/factor``: to ask that lost second factors are removed, to stop that, and to finish it after the delay."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.methods import Attempt, Refusal, prove
from idp.base.digest import sha256
from idp.base.text import say
from idp.model.factor_recovery import FactorRecovery
from idp.model.user import User
from idp.store.database import Connection, transact, transaction
from idp.store.factor_recoveries import find_cancellable, find_ripe, finish_recovery
from idp.store.users import find_user, lock
from idp.web.answers import page, see_other
from idp.web.flow import Visit, resume
from idp.web.forms import read_page_form
from idp.web.limits import is_within
from idp.web.mail_link import address_of_link, gone
from idp.web.pages import DonePage, Fault, LinkPage, LostFactorsPage, Person, RemoveFactorsPage
from idp.web.provider import moment, provider_of, transacted
from idp.web.recover.clearing import clear_factors
from idp.web.recover.factor_recovery import CANCEL, FINISH, PATH, begin_recovery, cancel_recovery, request_limits
from idp.web.source import source_of
from idp.web.trail import note, note_refusal

SIGN_IN = (say("Sign in"), "/login")


async def show(request: Request) -> Response:
    """What will happen, and a button; or who helps where people cannot do this themselves."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
    here, user = f"interaction={visit.interaction.id}", _eligible(visit)
    if user is None:
        return see_other(f"/login?{here}")
    delay = provider_of(request).factor_recovery_delay
    if not delay:
        return page(request, _help_desk(f"/login?{here}"))
    return page(request, LostFactorsPage(f"{PATH}?{here}", Person(user.username), delay, f"/login?{here}"))


async def submit(request: Request) -> Response:
    """Begin the wait, and say the same whether it began, waits already, or there is no address to write to."""
    await read_page_form(request)
    provider = provider_of(request)
    async with transaction(provider.pool) as conn:
        user = _eligible(await resume(request, conn))
        source = await source_of(request, conn, user.sub if user else None)
    if user is None or not provider.factor_recovery_delay:
        return see_other(f"{PATH}?{request.url.query}")
    if not await is_within(request, request_limits(user.sub, source)):
        await note_refusal(request, "recovery_held_back", sub=user.sub, error="factor_recovery_throttled")
        return see_other(f"{PATH}/asked")

    async def step(conn: Connection) -> Response:
        found = _eligible(await resume(request, conn))
        if found is not None and found.sub == user.sub:
            await begin_recovery(request, conn, found)
        return see_other(f"{PATH}/asked")

    return await transacted(request, step)


async def asked(request: Request) -> Response:
    """What everybody is told who has asked."""
    text = say(
        "If your account has a confirmed e-mail address, a message is on its way there. It says when your second steps "
        "can be removed, and how to stop that."
    )
    advice = say("Nothing there after a few minutes? Your organisation's help desk can help you.")
    return page(request, DonePage(say("Look into your mailbox"), text, advice, SIGN_IN, icon="mail"))


def may_have_lost_all(visit: Visit) -> bool:
    """Whether the password was proved in this very interaction, and the account wants a second factor still."""
    standing = visit.standing
    begun = any(one.method == "password" for one in visit.interaction.evidence)
    shown = any(one.method == "password" for one in standing.evidence)
    return begun and shown and not standing.account_met


def _eligible(visit: Visit) -> User | None:
    return visit.standing.user if may_have_lost_all(visit) else None


def _help_desk(back: str) -> DonePage:
    text = say("Your organisation's help desk can make sure that it is you, and begin the recovery of your account.")
    return DonePage(say("Ask your help desk"), text, None, (say("Back to the sign-in"), back), icon="alert")


async def show_cancel(request: Request) -> Response:
    """What the link stops, and a button; looking stops nothing, whoever looks."""
    secret = request.query_params.get("link", "")
    async with transaction(provider_of(request).pool) as conn:
        user = await _cancellable(request, conn, secret)
    text = say(
        "Somebody who knows the password of this account says that its second steps are lost, and wants them removed. "
        "Stop this if it was not you, and then change your password."
    )
    content = LinkPage(say("Keep your second steps"), Person(user.username), text, CANCEL, secret, say("Stop this"))
    return page(request, content)


async def cancel(request: Request) -> Response:
    """Stop it, signed in or not."""
    form = await read_page_form(request)

    async def step(conn: Connection) -> Response:
        user = await _cancellable(request, conn, form.get("link", ""))
        if not await cancel_recovery(request, conn, user, cause="link"):
            raise gone(request)
        return see_other(f"{PATH}/cancelled")

    return await transacted(request, step)


async def cancelled(request: Request) -> Response:
    """What was done."""
    text = say("The second steps of your account stay as they are.")
    advice = say("If it was not you who asked, somebody knows your password: sign in and change it.")
    return page(request, DonePage(say("Nothing is removed"), text, advice, SIGN_IN))


async def show_finish(request: Request) -> Response:
    """The form for the password; looking removes nothing, whoever looks."""
    secret = request.query_params.get("link", "")
    async with transaction(provider_of(request).pool) as conn:
        _, user = await _ripe(request, conn, secret)
    return page(request, RemoveFactorsPage(FINISH, Person(user.username), secret))


async def finish(request: Request) -> Response:
    """Judge the password within the limits on guessing, and remove the second factors: all of it or nothing.

    No transaction is open while the password is judged; so the last one looks again at what the first one has seen.
    """
    form, provider = await read_page_form(request), provider_of(request)
    secret = form.get("link", "")
    async with transaction(provider.pool) as conn:
        _, user = await _ripe(request, conn, secret)
        attempt = await _attempt(request, conn, user, form)
    outcome = await prove("password", attempt)

    async def step(conn: Connection) -> Response:
        if isinstance(outcome, Refusal):
            await _note_refusal(request, conn, user, outcome)
            fault = Fault.of("password_wrong", "password")
            return page(request, RemoveFactorsPage(FINISH, Person(user.username), secret, fault), status=400)
        await lock(conn, user.sub)
        _, found = await _ripe(request, conn, secret)
        if found.password_changed_at != user.password_changed_at:
            raise gone(request)
        if await finish_recovery(conn, sha256(secret), now=moment(request)) is None:
            raise gone(request)
        await clear_factors(request, conn, found)
        return see_other(f"{PATH}/done")

    return await transacted(request, step)


async def done(request: Request) -> Response:
    """What was done, and the way to a new second step: a link by mail gives no session (A-34)."""
    text = say("You were signed out everywhere. Sign in with your password now, and add a new second step at once.")
    onward = (say("Sign in and add one"), "/account/authenticators")
    return page(request, DonePage(say("Your second steps are removed"), text, None, onward))


async def _cancellable(request: Request, conn: Connection, secret: str) -> User:
    """Whose wait the link stops; raises PageError, the same for every link that stops none."""
    waiting = await find_cancellable(conn, sha256(secret), now=moment(request))
    user = await find_user(conn, waiting.sub) if waiting is not None else None
    if user is None:
        raise gone(request)
    return user


async def _ripe(request: Request, conn: Connection, secret: str) -> tuple[FactorRecovery, User]:
    """What the link finishes, and whose it is; raises PageError, the same for every link that finishes nothing.

    The account has to be open, and the address that was told of it at the beginning has to be its own still.
    """
    recovery = await find_ripe(conn, sha256(secret), now=moment(request))
    user = await find_user(conn, recovery.sub) if recovery is not None else None
    address = address_of_link(user) if user is not None else None
    if recovery is None or user is None or address is None or address.canonical != recovery.email_canonical:
        raise gone(request)
    return recovery, user


async def _attempt(request: Request, conn: Connection, user: User, form: dict[str, str]) -> Attempt:
    provider = provider_of(request)
    return Attempt(
        transact=partial(transact, provider.pool),
        source=await source_of(request, conn, user.sub),
        subject=user.sub,
        user=user,
        form={"password": form.get("password", "")},
        challenge=None,
        tools=provider.tools,
        now=moment(request),
    )


async def _note_refusal(request: Request, conn: Connection, user: User, refused: Refusal) -> None:
    await note(
        request,
        conn,
        "recovery_refused",
        actor="anonymous",
        sub=user.sub,
        method="password",
        cause=refused.cause,
        detail=refused.detail[:200],
    )
