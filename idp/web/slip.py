"""Who asks, and why: the head of every page of a flow."""

from typing import TypeVar
from urllib.parse import urlsplit

from idp.oauth.errors import PageError
from idp.oauth.request import AuthorizationRequest
from idp.web.pages import Client, Slip, Why
from idp.web.standing import Standing

T = TypeVar("T")


def needed(value: T | None) -> T:
    """The value; where there is none, the step is out of order and the interaction of no use."""
    if value is None:
        raise PageError("interaction_gone")
    return value


def client_of(asked: AuthorizationRequest | None) -> Client | None:
    """The app that asks, and the host to which the user returns."""
    if asked is None:
        return None
    client, host = asked.client, host_of(asked.target.redirect_uri)
    logo = f"/logos/{client.logo_digest}.png" if client.logo_digest else None
    return Client(client.client_name, host, logo, client.policy_uri, client.tos_uri)


def host_of(redirect_uri: str) -> str:
    """Where a redirect URI leads, as people know it: its host, or the scheme of an app on their device."""
    parts = urlsplit(redirect_uri)
    return parts.netloc or f"{parts.scheme}:"


def slip_of(standing: Standing) -> Slip:
    """The slip, with the reason for a step-up once somebody has begun to sign in."""
    short = not standing.outlook.met or standing.reminder
    why = _why(standing) if standing.user is not None and standing.evidence and short else None
    return Slip(client_of(standing.request), why)


def _why(standing: Standing) -> Why | None:
    if standing.reminder and standing.outlook.met and standing.enrolment is not None:
        return Why("organisation", standing.enrolment.acr)
    if not standing.requirement.reasons:
        return None
    reason = standing.requirement.reasons[0]
    if reason.kind in {"group", "installation"}:
        return Why("organisation", reason.acr)
    if reason.kind == "account" or standing.request is None:
        return Why("account", reason.acr)
    return Why("app", reason.acr, standing.request.client.client_name)
