"""Response modes: how an authorization response travels back to the client."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from idp.base.uri import with_parameters


@dataclass(frozen=True, slots=True)
class Redirect:
    """Send the browser to this address."""

    location: str


@dataclass(frozen=True, slots=True)
class FormPost:
    """Let the browser post these fields to this address (OAuth 2.0 Form Post Response Mode §2)."""

    action: str
    fields: tuple[tuple[str, str], ...]


Delivery: TypeAlias = Redirect | FormPost
Parameters: TypeAlias = tuple[tuple[str, str], ...]


def query(redirect_uri: str, parameters: Parameters) -> Delivery:
    """In the query of the redirect URI (OAuth 2.0 Multiple Response Types §2.1)."""
    return Redirect(with_parameters(redirect_uri, parameters))


def form_post(redirect_uri: str, parameters: Parameters) -> Delivery:
    """In the body of a form that the page submits (OAuth 2.0 Form Post Response Mode §2)."""
    return FormPost(redirect_uri, parameters)


RESPONSE_MODES: dict[str, Callable[[str, Parameters], Delivery]] = {"query": query, "form_post": form_post}
DEFAULT_RESPONSE_MODE = "query"
