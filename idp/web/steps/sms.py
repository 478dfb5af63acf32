"""A code by text message."""

from starlette.requests import Request

from idp.authn.methods import sms
from idp.base.text import Phrase, say, say_many
from idp.store.database import Connection
from idp.web.pages import SentCodePage
from idp.web.slip import needed
from idp.web.steps.sent_code import draw_sent
from idp.web.steps.step import Stage, Step


async def draw(request: Request, conn: Connection, stage: Stage) -> SentCodePage:
    """The page; of the number no more is shown than its owner needs to know it by."""
    number = needed(sms.recipient(needed(stage.visit.standing.user)))
    return await draw_sent(request, conn, stage, "sms", sms.masked(number))


def counted(number: int) -> Phrase:
    """So many of it."""
    return say_many("1 phone number", "%(count)s phone numbers", number)


STEP = Step("sms", "phone", say("Text message"), say("a text message"), counted, draw)
