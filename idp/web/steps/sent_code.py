"""What the steps have in common that ask for a code that was sent."""

from dataclasses import replace

from starlette.requests import Request

from idp.authn.policy import shows_more_than_mail
from idp.store.database import Connection
from idp.store.sent_codes import find_recipient
from idp.web.pages import WORDS, Fault, Person, SentCodePage
from idp.web.provider import moment
from idp.web.slip import needed, slip_of
from idp.web.steps.step import Stage


async def draw_sent(request: Request, conn: Connection, stage: Stage, method: str, where: str) -> SentCodePage:
    """The page: for the code where one is under way, else with the button that sends it."""
    visit = stage.visit
    user = needed(visit.standing.user)
    waits = await find_recipient(conn, visit.interaction.id, method, user.sub, now=moment(request)) is not None
    return SentCodePage(
        slip_of(visit.standing),
        stage.action(method),
        Person(user.username),
        (2, 2) if visit.interaction.evidence else None,
        sent_fault(stage.fault),
        stage.other_ways_url,
        stage.not_you_url,
        send_url=stage.send_url(method),
        method=method,
        where=where,
        sent=waits,
        trust_days=stage.trust_days if shows_more_than_mail(method) else None,
    )


def sent_fault(fault: Fault | None) -> Fault | None:
    """The fault in words for a code that comes by itself: there is no next one in an app."""
    return replace(fault, text=WORDS["sent_code_wrong"]) if fault and fault.cause == "code_wrong" else fault
