"""The code of an authenticator app."""

from starlette.requests import Request

from idp.store.database import Connection
from idp.web.pages import Person, TotpPage
from idp.web.slip import needed, slip_of
from idp.web.steps.step import Stage, Step


async def draw(_request: Request, _conn: Connection, stage: Stage) -> TotpPage:
    """The page; what was typed is not kept, for it works no more."""
    visit, here = stage.visit, stage.here
    return TotpPage(
        slip_of(visit.standing),
        f"/login?{here}&method=totp",
        Person(needed(visit.standing.user).username),
        (2, 2) if visit.interaction.evidence else None,
        stage.fault,
        f"/login/another-way?{here}",
        f"/login/other-account?{here}",
    )


APPS = ("authenticator app", "authenticator apps")
STEP = Step("totp", "totp", "Authenticator app", "an authenticator app", APPS, draw)
