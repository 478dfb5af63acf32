"""A recovery code, where another authenticator was lost."""

from starlette.requests import Request

from idp.base.text import Phrase, say, say_many
from idp.model.user import User
from idp.store.database import Connection
from idp.store.recovery_codes import find_codes
from idp.web.notices import notify_user
from idp.web.pages import Person, RecoveryPage
from idp.web.slip import needed, slip_of
from idp.web.steps.step import Stage, Step


async def draw(_request: Request, _conn: Connection, stage: Stage) -> RecoveryPage:
    """The page; what was typed is not kept, for it may be a code that works."""
    visit = stage.visit
    return RecoveryPage(
        slip_of(visit.standing),
        stage.action("recovery"),
        Person(needed(visit.standing.user).username),
        (2, 2) if visit.interaction.evidence else None,
        stage.fault,
        stage.other_ways_url,
        stage.not_you_url,
    )


async def tell(request: Request, conn: Connection, user: User) -> None:
    """A notice of the use: whoever has found the codes should not go unnoticed."""
    codes = await find_codes(conn, user.sub)
    await notify_user(request, conn, user, "recovery_code_used", left=codes.left if codes else 0)


def counted(number: int) -> Phrase:
    """So many of it."""
    return say_many("1 recovery code", "%(count)s recovery codes", number)


STEP = Step("recovery", "codes", say("Recovery code"), say("a recovery code"), counted, draw, tell)
