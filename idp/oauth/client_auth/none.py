"""No authentication: a public client names itself (RFC 6749 §2.1 and §3.2.1)."""

from collections.abc import Mapping

from idp.model.client import Client
from idp.oauth.client_auth.method import ClientAuthMethod, Presented, Surroundings


def present(_authorization: str | None, form: Mapping[str, str]) -> Presented | None:
    """The bare ``client_id``."""
    return Presented(form["client_id"]) if "client_id" in form else None


async def check(_client: Client, _presented: Presented, _surroundings: Surroundings) -> bool:
    """Nothing is proved, and nothing more than a public client's rights is given."""
    return True


METHOD = ClientAuthMethod("none", present, check)
