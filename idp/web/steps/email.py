"""A code by mail."""

from starlette.requests import Request

from idp.authn.methods import email
from idp.store.database import Connection
from idp.web.pages import SentCodePage
from idp.web.slip import needed
from idp.web.steps.sent_code import draw_sent
from idp.web.steps.step import Stage, Step


async def draw(request: Request, conn: Connection, stage: Stage) -> SentCodePage:
    """The page; of the address no more is shown than its owner needs to know it by."""
    address = needed(email.recipient(needed(stage.visit.standing.user)))
    return await draw_sent(request, conn, stage, "email", email.masked(address))


STEP = Step("email", "mail", "Code by mail", "a code by mail", ("mail address", "mail addresses"), draw)
