"""The code of an authenticator app."""

from starlette.requests import Request

from idp.base.text import Phrase, say, say_many
from idp.store.database import Connection
from idp.web.pages import Person, TotpPage
from idp.web.slip import needed, slip_of
from idp.web.steps.step import Stage, Step


async def draw(_request: Request, _conn: Connection, stage: Stage) -> TotpPage:
    """The page; what was typed is not kept, for it works no more."""
    visit = stage.visit
    return TotpPage(
        slip_of(visit.standing),
        stage.action("totp"),
        Person(needed(visit.standing.user).username),
        (2, 2) if visit.interaction.evidence else None,
        stage.fault,
        stage.other_ways_url,
        stage.not_you_url,
        trust_days=stage.trust_days,
    )


def counted(number: int) -> Phrase:
    """So many of it."""
    return say_many("1 authenticator app", "%(count)s authenticator apps", number)


STEP = Step("totp", "totp", say("Authenticator app"), say("an authenticator app"), counted, draw)
