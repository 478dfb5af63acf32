"""Limits on what costs something whoever asks for it: new accounts, mails."""

from collections.abc import Mapping
from functools import partial

from starlette.requests import Request

from idp.authn.throttle import Limit, claim
from idp.model.attempt import Bucket
from idp.store.database import transact
from idp.web.provider import moment, provider_of


async def is_within(request: Request, limits: Mapping[Bucket, Limit]) -> bool:
    """Whether one more is within all of these limits; it is counted by being asked."""
    provider = provider_of(request)
    if not provider.tools.limited:
        return True
    return (await claim(partial(transact, provider.pool), limits, moment(request))).granted
