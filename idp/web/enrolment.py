"""Enrolments that the organisation asks for: until when they wait, and what the trail keeps of that."""

from starlette.requests import Request

from idp.store.database import Connection
from idp.store.groups import begin_grace
from idp.store.sessions import record_deferral
from idp.web.provider import moment, provider_of
from idp.web.standing import Standing
from idp.web.trail import note


async def note_enrolment(request: Request, conn: Connection, standing: Standing) -> None:
    """Begin the time of grace where the account is first told, and note a sign-in that is held up once it is over."""
    enrolment, user, session = standing.enrolment, standing.user, standing.session
    if enrolment is None or user is None or session is None or session.sub != user.sub:
        return
    if enrolment.may_wait and enrolment.due_at is None:
        await begin_grace(conn, user.sub, moment(request) + provider_of(request).enrolment_grace)
    if not enrolment.may_wait:
        await note(request, conn, "enrolment_enforced", sub=user.sub, session_id=session.id, reasons=_reasons(standing))


async def defer_enrolment(request: Request, conn: Connection, standing: Standing) -> bool:
    """Let it wait for the rest of this session, if it still may; answers whether it waits from now on."""
    if not standing.reminder or standing.session is None or not standing.account_met:
        return False
    sub, session_id = standing.session.sub, standing.session.id
    await record_deferral(conn, session_id, moment(request))
    await note(request, conn, "enrolment_deferred", sub=sub, session_id=session_id, reasons=_reasons(standing))
    return True


def _reasons(standing: Standing) -> list[str]:
    reasons = standing.enrolment.reasons if standing.enrolment else ()
    return [f"{reason.kind}: {reason.acr}" for reason in reasons]
