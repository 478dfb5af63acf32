"""A code by mail."""

from starlette.requests import Request

from idp.authn.methods import email
from idp.base.text import Phrase, say, say_many
from idp.store.database import Connection
from idp.web.pages import SentCodePage
from idp.web.slip import needed
from idp.web.steps.sent_code import draw_sent
from idp.web.steps.step import Stage, Step


async def draw(request: Request, conn: Connection, stage: Stage) -> SentCodePage:
    """The page; of the address no more is shown than its owner needs to know it by."""
    address = needed(email.recipient(needed(stage.visit.standing.user)))
    return await draw_sent(request, conn, stage, "email", email.masked(address))


def counted(number: int) -> Phrase:
    """So many of it."""
    return say_many("1 mail address", "%(count)s mail addresses", number)


STEP = Step("email", "mail", say("Code by mail"), say("a code by mail"), counted, draw)
