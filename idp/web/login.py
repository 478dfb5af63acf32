"""``/login``: who is there, step by step, until the interaction has all that it asks."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.accounts import canonical_login
from idp.authn.freshness import merge
from idp.authn.methods import Attempt, Consequence, Proved, Refusal, prove
from idp.authn.methods.webauthn import CHALLENGE_LIFE
from idp.authn.policy import Enrolment, has_passkey_alone
from idp.authn.throttle import subject_of_name
from idp.base.seal import MasterKey
from idp.base.text import Hour, Phrase, Text, say, say_many
from idp.model.credential import Authenticator
from idp.model.user import User
from idp.store.database import Connection, transact, transaction
from idp.store.interactions import consume_challenge, record_proof
from idp.store.users import UserGone, find_by_login, get_user, lock
from idp.web.answers import allow_form_target, page, see_other
from idp.web.enrolment import defer_enrolment
from idp.web.errors import error_page
from idp.web.flow import Visit, begin, bind, proceed, resume, revisit
from idp.web.forms import read_page_form
from idp.web.notices import notify_user
from idp.web.pages import AnotherWayPage, EnrolPage, Fault, Offer, Person, Way
from idp.web.provider import moment, provider_of, transacted
from idp.web.recover.lost_factor import may_have_lost_all
from idp.web.sent_codes import is_sent, send_first, send_in
from idp.web.slip import needed, slip_of
from idp.web.source import source_of
from idp.web.steps import STEPS, Stage, step_of
from idp.web.trail import note
from idp.web.trust import may_trust, trust_days

Form = dict[str, str]


async def show(request: Request) -> Response:
    """The page of the next step; a visit without an interaction begins one that ends on the account."""
    provider = provider_of(request)

    async def step(conn: Connection) -> Response:
        if "interaction" not in request.query_params:
            interaction, browser = await begin(request, conn)
            return bind(await proceed(request, conn, await revisit(request, conn, interaction)), provider, browser)
        visit = await resume(request, conn)
        if _is_done(visit):
            return await proceed(request, conn, visit)
        return await _page(request, conn, visit)

    return await transacted(request, step)


async def submit(request: Request) -> Response:
    """Judge what was submitted, keep what it proved, and go on.

    Three transactions: one reads who claims what, the limits and the method have their own, and the last keeps the
    outcome. None is open while a password is hashed.
    """
    form = await read_page_form(request)
    method = _method(request, form)

    async def begun(conn: Connection) -> Attempt | Refusal:
        return await _attempt(request, conn, await resume(request, conn), method, form)

    attempt = await transacted(request, begun)
    outcome = attempt if isinstance(attempt, Refusal) else await prove(method, attempt)

    async def kept(conn: Connection) -> tuple[Response, Visit | None]:
        claimed = None if isinstance(attempt, Refusal) else attempt.user
        judged = await _open(conn, outcome, claimed) if isinstance(outcome, Proved) else outcome
        visit = await resume(request, conn)
        if isinstance(judged, Refusal):
            await _note_refusal(request, conn, visit, method, claimed, judged)
            return await _page(request, conn, visit, method=method, refused=judged, form=form), None
        user, proved = judged
        trust = "trust" in form and may_trust(request, visit.standing, proved.evidence.method)
        visit = await _keep(request, conn, visit, user, proved)
        return await proceed(request, conn, visit, trust=trust), visit

    response, onward = await transacted(request, kept)
    if onward is not None:
        await send_first(request, onward)
    return response


async def later(request: Request) -> Response:
    """Go on without what the organisation asks the user to add, as long as that may wait."""
    await read_page_form(request)

    async def step(conn: Connection) -> Response:
        visit = await resume(request, conn)
        if not await defer_enrolment(request, conn, visit.standing):
            return see_other(f"/login?interaction={visit.interaction.id}")
        return await proceed(request, conn, await revisit(request, conn, visit.interaction))

    return await transacted(request, step)


def _method(request: Request, form: Form) -> str:
    if "credential" in form:
        return "webauthn"
    return request.query_params.get("method", "password").partition(":")[0]


async def _attempt(request: Request, conn: Connection, visit: Visit, method: str, form: Form) -> Attempt | Refusal:
    """One attempt. Whose it is, is the server's to say once the first step is done (A-31)."""
    provider, now = provider_of(request), moment(request)
    standing, user, challenge, subject = visit.standing, None, None, ""
    if method == "password":
        subject, user = await _named(conn, form.get("username", ""), provider.tools.master_key)
    elif standing.evidence:
        user = standing.user
    elif method != "webauthn":
        return Refusal("form_expired", "a second step without a first")
    if method == "webauthn":
        challenge = await consume_challenge(conn, visit.interaction.id, now=now, life=CHALLENGE_LIFE)
    source = await source_of(request, conn, user.sub if user else None)
    if user is not None and (method != "password" or source.device is not None):
        subject = user.sub
    return Attempt(
        transact=partial(transact, provider.pool),
        source=source,
        subject=subject,
        user=user,
        form=form,
        challenge=challenge,
        tools=provider.tools,
        now=now,
        flow=visit.interaction.id,
        shown=standing.evidence,
    )


async def _named(conn: Connection, identifier: str, master: MasterKey) -> tuple[str, User | None]:
    """What a stranger's misses are counted under, and the account that is meant, if there is one."""
    canonical = canonical_login(identifier)
    user = None if canonical is None else await find_by_login(conn, canonical)
    return subject_of_name(canonical, master), user


async def _open(conn: Connection, proved: Proved, claimed: User | None) -> tuple[User, Proved] | Refusal:
    """The account and its proof, if it is open and as it was ``claimed``; it is locked from here on.

    What ends sessions (a new password, a reset, shutting the account) finds the one that begins here, or is seen by it.
    A proof of an account that has changed while it was judged is worth nothing (A-76).
    """
    refusal = partial(Refusal, sub=proved.sub, credential=proved.evidence.credential_id)
    try:
        await lock(conn, proved.sub)
    except UserGone:
        return refusal("account_unavailable")
    user = await get_user(conn, proved.sub)
    if user.disabled_at is not None:
        return refusal("account_unavailable")
    if claimed is not None and claimed.generation != user.generation:
        return refusal("form_expired", "the account has changed meanwhile")
    return user, proved


async def _keep(request: Request, conn: Connection, visit: Visit, user: User, proved: Proved) -> Visit:
    """The visit with the new evidence; another user than before starts from nothing."""
    mine = visit.interaction.sub == user.sub
    evidence = merge(visit.interaction.evidence if mine else (), (proved.evidence,))
    interaction = await record_proof(conn, visit.interaction.id, user, evidence)
    kept = await revisit(request, conn, interaction)
    await note(
        request,
        conn,
        "factor_proved",
        sub=user.sub,
        client_id=_client_id(visit),
        method=proved.evidence.method,
        credential=proved.evidence.credential_id,
    )
    tell = step_of(proved.evidence.method).tell
    if tell is not None:
        await tell(request, conn, user)
    return kept


def _client_id(visit: Visit) -> str | None:
    return visit.standing.request.client.client_id if visit.standing.request else None


async def _note_refusal(
    request: Request, conn: Connection, visit: Visit, method: str, user: User | None, refused: Refusal
) -> None:
    """Keep the failure, and tell the user where it means that somebody has their password (ASVS 6.3.5)."""
    event = "sign_in_held_back" if refused.consequence is Consequence.NOT_JUDGED else "sign_in_failed"
    sub = user.sub if user else refused.sub
    told = {"credential": refused.credential} if refused.credential else {}
    await note(
        request,
        conn,
        event,
        actor="anonymous",
        sub=sub,
        client_id=_client_id(visit),
        method=method[:16],
        cause=refused.cause,
        detail=refused.detail[:200],
        **told,
    )
    if user is None or method == "password":
        return
    if refused.consequence is Consequence.SLOWED:
        await notify_user(request, conn, user, "sign_in_refused_after_password")
    if refused.consequence is Consequence.LOCKED:
        await note(request, conn, "factor_locked", actor="system", sub=sub, method=method)
        await notify_user(request, conn, user, "factor_locked", factor=step_of(method).title)


def _is_done(visit: Visit) -> bool:
    standing = visit.standing
    if standing.request is None:
        return standing.is_done
    return standing.need is None or standing.need.prompt not in {"login", "step_up", "enrol", "remind"}


async def _page(
    request: Request,
    conn: Connection,
    visit: Visit,
    *,
    method: str | None = None,
    refused: Refusal | None = None,
    form: Form | None = None,
) -> Response:
    """The page of the chosen or the best way on."""
    standing = visit.standing
    allow_form_target(request, standing.request)
    status = 400 if refused else 200
    fault = Fault.of(refused.cause) if refused else None
    stage = Stage(visit, fault, form or {}, _used(visit), trust_days=trust_days(request, standing))
    if standing.user is not None and not standing.evidence and has_passkey_alone(standing.authenticators):
        return page(request, await step_of("webauthn").draw(request, conn, stage), status=status)
    if not standing.evidence or standing.user is None or method == "password":
        return page(request, await step_of("password").draw(request, conn, stage), status=status)
    if standing.outlook.met:
        return page(request, _remind(request, visit), status=status)
    if not standing.outlook.ways:
        if not standing.account_met and any(one.locked for one in standing.authenticators):
            return error_page(request, "factor_locked", status=403, onward=_to_recovery(request, visit))
        return page(request, _enrol(request, visit), status=status)
    way = _way(request, visit, method)
    return page(request, await step_of(way.method).draw(request, conn, stage), status=status)


def _to_recovery(request: Request, visit: Visit) -> tuple[Phrase, str] | None:
    """The way to have second steps removed, by mail and after a delay, where this browser has shown the password."""
    if not provider_of(request).factor_recovery_delay or not may_have_lost_all(visit):
        return None
    return say("Lost all second steps?"), f"/recover/factor?interaction={visit.interaction.id}"


def _way(request: Request, visit: Visit, method: str | None) -> Authenticator:
    wanted = method or request.query_params.get("method", "").partition(":")[0]
    ways = visit.standing.outlook.ways
    return next((way for way in ways if way.method == wanted), ways[0])


def _used(visit: Visit) -> Text | None:
    """How the session began, where it is now to show more."""
    if visit.interaction.evidence or not visit.standing.evidence:
        return None
    first = min(visit.standing.evidence, key=lambda one: one.at)
    used = step_of(first.method).used
    return say("You signed in at %(time)s UTC with %(way)s.", time=Hour(first.at), way=used)


def _enrol(request: Request, visit: Visit) -> EnrolPage:
    standing, back = visit.standing, f"return_to=/login%3Finteraction%3D{visit.interaction.id}"
    passkey = Offer.passkey(f"/account/authenticators/add-passkey?{back}")
    totp = Offer.totp(f"/account/authenticators/add-totp?{back}")
    level = standing.enrolment.acr if standing.outlook.met and standing.enrolment else standing.requirement.acr
    offers = (passkey, totp) if level == "mfa" else (passkey,)
    if level == "mfa" and "sms" not in provider_of(request).tools.off:
        offers = (*offers, Offer.phone(f"/account/authenticators/add-phone?{back}"))
    text = say("This page needs a sign-in that your account cannot do yet. Add one of these, then go on.")
    if standing.request is not None:
        text = say(
            "%(client)s needs a sign-in that your account cannot do yet. Add one of these, then go on.",
            client=standing.request.client.client_name,
        )
    if standing.requirement.reasons and standing.requirement.reasons[0].kind in {"group", "installation"}:
        text = say("Your account cannot do this yet. Add one of these, then go on.")
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


def _remind(request: Request, visit: Visit) -> EnrolPage:
    """What the organisation asks for, with the days that are left to add it."""
    enrolment, content = needed(visit.standing.enrolment), _enrol(request, visit)
    due_at = enrolment.due_at or moment(request) + provider_of(request).enrolment_grace
    days = max(1, -((moment(request) - due_at) // timedelta(days=1)))
    text = say_many(
        "Your account cannot do this yet. You have 1 day to add one of these.",
        "Your account cannot do this yet. You have %(count)s days to add one of these.",
        days,
    )
    later_url = f"/login/later?interaction={visit.interaction.id}"
    return replace(content, text=text, title=_title(enrolment), later_url=later_url)


def _title(enrolment: Enrolment) -> Text:
    return say("Add a second step") if enrolment.acr == "mfa" else say("Add a passkey")


async def another_way(request: Request) -> Response:
    """All ways that the account has; those that are not enough are seen and cannot be chosen."""
    async with transaction(provider_of(request).pool) as conn:
        visit = await resume(request, conn)
    standing, here = visit.standing, f"interaction={visit.interaction.id}"
    if standing.user is None or not standing.evidence:
        return see_other(f"/login?{here}")
    ways = tuple(_choice(way, enough=True) for way in _one_each(standing.outlook.ways))
    weak = tuple(_choice(way, enough=False) for way in _one_each(standing.outlook.weak))
    allow_form_target(request, standing.request)
    content = AnotherWayPage(
        slip_of(standing),
        f"/login/another-way?{here}",
        Person(standing.user.username),
        (*ways, *weak),
        not_you_url=f"/login/other-account?{here}",
        cancel_url=f"/login/cancel?{here}",
        lost_url=f"/recover/factor?{here}" if may_have_lost_all(visit) else None,
    )
    return page(request, content)


async def choose_way(request: Request) -> Response:
    """Go on with the chosen method; choosing a code that is sent sends it."""
    form = await read_page_form(request)
    method = form.get("method", "").partition(":")[0]
    interaction = request.query_params.get("interaction", "")
    if method not in {step.method for step in STEPS} or not interaction.isalnum():
        return see_other("/login")
    if is_sent(method):
        async with transaction(provider_of(request).pool) as conn:
            visit = await resume(request, conn)
        await send_in(request, visit, method)
    return see_other(f"/login?interaction={interaction}&method={method}")


def _one_each(ways: tuple[Authenticator, ...]) -> tuple[Authenticator, ...]:
    first: dict[str, Authenticator] = {}
    for way in ways:
        first.setdefault(way.method, way)
    return tuple(first.values())


def _choice(way: Authenticator, *, enough: bool) -> Way:
    step = step_of(way.method)
    return Way(way.method, None, step.title, way.name, step.icon, enough)
