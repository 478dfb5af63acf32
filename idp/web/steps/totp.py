"""The code of an authenticator app."""

from starlette.requests import Request

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
    )


APPS = ("authenticator app", "authenticator apps")
STEP = Step("totp", "totp", "Authenticator app", "an authenticator app", APPS, draw)
