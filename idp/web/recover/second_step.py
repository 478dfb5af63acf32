"""``/recover/step``: the second factor of the account, asked for before its password is reset (A-67)."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.freshness import merge
from idp.authn.methods import Attempt, Consequence, Proved, Refusal, prove
from idp.authn.methods.webauthn import CHALLENGE_LIFE
from idp.store.database import Connection, transact, transaction
from idp.store.interactions import consume_challenge, record_proof
from idp.store.users import lock
from idp.web.answers import page, see_other
from idp.web.errors import error_page
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import AnotherWayPage, Fault, Person, Slip, Way
from idp.web.provider import moment, provider_of, transacted
from idp.web.recover.factor_recovery import cancel_if_shown
from idp.web.recover.recovery import Recovery, get_recovery
from idp.web.sent_codes import is_sent, send_in
from idp.web.source import source_of
from idp.web.steps import STEPS, Stage, step_of
from idp.web.trail import note

STEP = "/recover/step"
NEW_PASSWORD = "/recover/new-password"

Form = dict[str, str]


async def show(request: Request) -> Response:
    """The page of the chosen or the best way."""
    async with transaction(provider_of(request).pool) as conn:
        recovery = await get_recovery(request, conn)
        if recovery.is_proved:
            return see_other(f"{NEW_PASSWORD}?{recovery.here}")
        return await step_page(request, conn, recovery)


async def submit(request: Request) -> Response:
    """Judge the proof within the limits on guessing, keep it, and go on to the new password."""
    form = await read_page_form(request)
    method = "webauthn" if "credential" in form else _wanted(request)

    async def begun(conn: Connection) -> tuple[Recovery, Attempt]:
        recovery = await get_recovery(request, conn)
        return recovery, await _attempt(request, conn, recovery, method, form)

    recovery, attempt = await transacted(request, begun)
    allowed = method in {one.method for one in recovery.ways}
    outcome = await prove(method, attempt) if allowed else Refusal("method_unknown")

    async def step(conn: Connection) -> Response:
        await lock(conn, recovery.user.sub)
        if isinstance(outcome, Refusal):
            await _note_refusal(request, conn, recovery, method, outcome)
            return await step_page(request, conn, recovery, method=method, refused=outcome, form=form)
        # What was shown is worth nothing if the account has changed meanwhile.
        await _keep(request, conn, await get_recovery(request, conn), outcome)
        return see_other(f"{NEW_PASSWORD}?{recovery.here}")

    return await transacted(request, step)


async def _attempt(request: Request, conn: Connection, recovery: Recovery, method: str, form: Form) -> Attempt:
    """One attempt at the account that the link has named, whatever the form says (A-31)."""
    provider, now, user = provider_of(request), moment(request), recovery.user
    challenge = None
    if method == "webauthn":
        challenge = await consume_challenge(conn, recovery.interaction.id, now=now, life=CHALLENGE_LIFE)
    return Attempt(
        transact=partial(transact, provider.pool),
        source=await source_of(request, conn, user.sub),
        subject=user.sub,
        user=user,
        form=form,
        challenge=challenge,
        tools=provider.tools,
        now=now,
        flow=recovery.interaction.id,
        by_mail=True,
    )


async def _keep(request: Request, conn: Connection, recovery: Recovery, proved: Proved) -> None:
    user, shown = recovery.user, proved.evidence
    await record_proof(conn, recovery.interaction.id, user, merge(recovery.interaction.evidence, (shown,)))
    await note(request, conn, "factor_proved", sub=user.sub, method=shown.method, credential=shown.credential_id)
    await cancel_if_shown(request, conn, user, (shown,))
    if (tell := step_of(shown.method).tell) is not None:
        await tell(request, conn, user)


async def _note_refusal(request: Request, conn: Connection, recovery: Recovery, method: str, refused: Refusal) -> None:
    """Keep the failure, and tell the owner where it means that somebody else reads their mail."""
    user = recovery.user
    await note(
        request,
        conn,
        "recovery_refused",
        actor="anonymous",
        sub=user.sub,
        method=method[:16],
        cause=refused.cause,
        detail=refused.detail[:200],
    )
    if refused.consequence in {Consequence.SLOWED, Consequence.LOCKED}:
        # What is locked here is so for resets alone: to sign in, the factor serves as before.
        await notify_user(request, conn, user, "recovery_refused")


async def step_page(
    request: Request,
    conn: Connection,
    recovery: Recovery,
    *,
    method: str | None = None,
    refused: Refusal | None = None,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    """The page of the wanted or the best way, with what was wrong with the last proof."""
    if not recovery.ways:
        return error_page(request, "factor_locked", status=403)
    wanted = method or _wanted(request)
    way = next((one for one in recovery.ways if one.method == wanted), recovery.ways[0])
    fault = Fault.of(refused.cause) if refused else None
    stage = Stage(recovery.visit, fault, form or {}, path=STEP)
    return page(request, await step_of(way.method).draw(request, conn, stage), status=400 if refused else status)


async def another_way(request: Request) -> Response:
    """All second factors of the account; none of them leads around the step."""
    async with transaction(provider_of(request).pool) as conn:
        recovery = await get_recovery(request, conn)
    first = {way.method: way for way in reversed(recovery.ways)}
    steps = [(step_of(method), way.name) for method, way in reversed(first.items())]
    ways = tuple(Way(step.method, None, step.title, name, step.icon) for step, name in steps)
    content = AnotherWayPage(Slip(), f"{STEP}/another-way?{recovery.here}", Person(recovery.user.username), ways)
    return page(request, content)


async def choose_way(request: Request) -> Response:
    """Go on with the chosen method."""
    form = await read_page_form(request)
    async with transaction(provider_of(request).pool) as conn:
        recovery = await get_recovery(request, conn)
    method = form.get("method", "").partition(":")[0]
    known = method in {step.method for step in STEPS}
    return see_other(f"{STEP}?{recovery.here}" + (f"&method={method}" if known else ""))


async def send_code(request: Request) -> Response:
    """Send a code for this step, in place of a former one."""
    await read_page_form(request)
    method = _wanted(request)
    async with transaction(provider_of(request).pool) as conn:
        recovery = await get_recovery(request, conn)
    await send_in(request, recovery.visit, method, again=True)
    return see_other(f"{STEP}?{recovery.here}" + (f"&method={method}" if is_sent(method) else ""))


def _wanted(request: Request) -> str:
    return request.query_params.get("method", "").partition(":")[0]
