"""Whether a new password is on a list of breached ones. No database connection is held meanwhile."""

import contextlib
import logging

from starlette.requests import Request

from idp.authn.breaches import BreachCheckFailed
from idp.store.database import Unavailable
from idp.web.provider import moment, provider_of, transacted
from idp.web.trail import note

_LOG = logging.getLogger(__name__)


async def is_breached(request: Request, password: str) -> bool:
    """Whether the password is known from a breach; False where nobody is asked, or nobody answers.

    A service that fails must not keep people from choosing passwords: they are judged by the built-in list all the
    same. That it failed is kept once a minute.
    """
    provider = provider_of(request)
    if provider.breaches is None:
        return False
    try:
        return await provider.breaches.has(password)
    except BreachCheckFailed as failure:
        _LOG.warning("a new password could not be looked up among breached ones: %s", failure)
        if provider.breach_failures.take(moment(request)):
            with contextlib.suppress(Unavailable):
                cause = str(failure)
                await transacted(
                    request, lambda conn: note(request, conn, "breach_check_failed", actor="system", cause=cause)
                )
        return False
