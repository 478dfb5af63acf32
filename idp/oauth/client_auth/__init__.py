"""Client authentication: the visible list of methods, and the one way through it."""

from collections.abc import Mapping

from idp.model.client import Client
from idp.oauth.client_auth import client_secret, none, private_key_jwt
from idp.oauth.client_auth.method import ClientAuthMethod, Presented, Surroundings
from idp.oauth.errors import InvalidClient, InvalidRequest, claimed_id
from idp.store.clients import find_client

__all__ = ["METHODS", "ClientAuthMethod", "Presented", "Surroundings", "authenticate", "present"]

METHODS: tuple[ClientAuthMethod, ...] = (
    client_secret.BASIC,
    client_secret.POST,
    private_key_jwt.METHOD,
    none.METHOD,
)


def present(authorization: str | None, form: Mapping[str, str]) -> tuple[ClientAuthMethod, Presented]:
    """The one method by which this request authenticates its client, with what it presents.

    Raises InvalidRequest for more than one (RFC 6749 §2.3: MUST NOT), InvalidClient for none at all.
    """
    shown = [(method, found) for method in METHODS if (found := method.present(authorization, form)) is not None]
    proving = [each for each in shown if each[0] is not none.METHOD] or shown
    if not proving:
        raise InvalidClient("The client did not authenticate.")
    if len(proving) > 1:
        raise InvalidRequest("More than one client authentication method is used.")
    method, presented = proving[0]
    if form.get("client_id", presented.client_id) != presented.client_id:
        raise InvalidRequest("The client_id is not the authenticated one.")
    return method, presented


async def authenticate(authorization: str | None, form: Mapping[str, str], surroundings: Surroundings) -> Client:
    """The client that this request proves to come from, by exactly the method it is registered for (ASVS 10.4.10).

    Raises InvalidClient or InvalidRequest.
    """
    method, presented = present(authorization, form)
    client = await find_client(surroundings.conn, presented.client_id)
    if client is None or client.disabled_at is not None:
        raise InvalidClient("The client is not known here.", detail=claimed_id(presented.client_id))
    if client.token_endpoint_auth_method != method.name:
        raise InvalidClient("This is not the authentication method that the client is registered for.")
    if not await method.check(client, presented, surroundings):
        raise InvalidClient("The client credentials are not right.", detail=client.client_id)
    return client
