"""Where errors meet the wire: one handler for each family."""

import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.base.digest import Busy
from idp.base.entropy import identifier
from idp.oauth.errors import AuthorizationError, BearerError, InvalidClient, OAuthError, PageError
from idp.store.database import Unavailable
from idp.web.answers import deliver, page
from idp.web.pages import ErrorPage
from idp.web.provider import moment, provider_of

_LOG = logging.getLogger(__name__)

_STOPPED = "To keep you safe, we stopped."
_ASK_AGAIN = "Go back to the app and start again. If it happens again, send its support team these details."
PAGE_WORDS: dict[str, tuple[str, str]] = {
    "redirect_uri_mismatch": (
        "This sign-in link does not work",
        f"The app asked us to send you back to an address that it has not registered. {_STOPPED}",
    ),
    "redirect_uri_missing": (
        "This sign-in link does not work",
        f"The app did not say where to send you back to. {_STOPPED}",
    ),
    "client_unknown": ("We do not know this app", f"We do not know the app that sent you here. {_STOPPED}"),
    "invalid_request": ("This link does not work", "What was sent to us is not complete or not readable."),
    "interaction_gone": ("This sign-in has ended", "Go back to the app and start again."),
    "cross_site": ("This page was sent from another site", f"Only our own pages may do that. {_STOPPED}"),
    "logout_refused": (
        "This sign-out link does not work",
        f"The app asked us to send you to an address that it has not registered. {_STOPPED}",
    ),
    "not_found": ("There is nothing here", "The address may be mistyped, or what was here has gone."),
    "server_busy": ("We cannot do this right now", "Nothing was changed. Try again in a minute."),
    "internal": ("Something went wrong on our side", "Nothing of what you did is lost. Try again in a minute."),
}


def oauth_error(request: Request, error: Exception) -> Response:
    """RFC 6749 §5.2."""
    assert isinstance(error, OAuthError)
    _LOG.info("refused: %s", error)
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, InvalidClient) and request.headers.get("authorization", "").lower().startswith("basic"):
        headers["WWW-Authenticate"] = 'Basic realm="client"'
    body = {"error": error.code, "error_description": error.description}
    return JSONResponse(body, status_code=error.status, headers=headers)


def bearer_error(_request: Request, error: Exception) -> Response:
    """RFC 6750 §3."""
    assert isinstance(error, BearerError)
    parts = {"error": error.code, "error_description": error.description, "scope": error.scope}
    told = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
    body = {"error": error.code, "error_description": error.description} if error.code else {}
    headers = {"WWW-Authenticate": f"Bearer {told}".strip(), "Cache-Control": "no-store"}
    return JSONResponse(body, status_code=error.status, headers=headers)


def authorization_error(request: Request, error: Exception) -> Response:
    """RFC 6749 §4.1.2.1, through the response mode, with ``state`` and ``iss``."""
    assert isinstance(error, AuthorizationError)
    _LOG.info("refused: %s", error)
    parameters = (("error", error.error.code), ("error_description", error.error.description))
    return deliver(request, error.target, parameters)


def page_error(request: Request, error: Exception) -> Response:
    """A page with a fixed wording per cause, never a redirect."""
    assert isinstance(error, PageError)
    return error_page(request, error.cause, status=error.status, detail=error.detail, client_id=error.client_id)


def error_page(request: Request, cause: str, *, status: int, detail: str = "", client_id: str = "") -> Response:
    """The error page of this cause, with a reference that the log has too."""
    reference = identifier(provider_of(request).entropy)[:12]
    _LOG.info("page error %s %s: %r %r", cause, reference, detail, client_id[:64])
    title, text = PAGE_WORDS[cause]
    facts = [("Cause", cause.replace("_", " "))]
    if client_id:
        facts.append(("App", client_id))
    facts.append(("Time", f"{moment(request):%-d %B %Y, %H:%M} UTC"))
    return page(request, ErrorPage(cause, title, text, tuple(facts), reference, _ASK_AGAIN), status=status)


def unavailable(request: Request, error: Exception) -> Response:
    """The database or the password pool cannot serve now: 503, and when to come again (F4)."""
    _LOG.warning("unavailable: %s", error)
    if _wants_page(request):
        response = error_page(request, "server_busy", status=503)
    else:
        body = {"error": "temporarily_unavailable", "error_description": "Try again in a moment."}
        response = JSONResponse(body, status_code=503)
    response.headers["Retry-After"] = "5"
    return response


def http_error(request: Request, error: Exception) -> Response:
    """What the router itself refuses: no such path, or not by this method."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and _wants_page(request):
        return error_page(request, "not_found", status=404)
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)


def unexpected(request: Request, error: Exception) -> Response:
    """The last resort: a page without a word of the fault, which is in the log (ASVS 16.5.1, 16.5.4)."""
    _LOG.error("unexpected error", exc_info=error)
    if _wants_page(request):
        return error_page(request, "internal", status=500)
    return JSONResponse({"error": "server_error"}, status_code=500)


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


HANDLERS = {
    OAuthError: oauth_error,
    BearerError: bearer_error,
    AuthorizationError: authorization_error,
    PageError: page_error,
    Unavailable: unavailable,
    Busy: unavailable,
    HTTPException: http_error,
    Exception: unexpected,
}
