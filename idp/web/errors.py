"""Where errors meet the wire: one handler for each family."""

import logging
from dataclasses import replace

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from idp.base.digest import Busy
from idp.base.text import Moment, Phrase, Text, say
from idp.oauth.errors import (
    AccountSelectionRequired,
    AuthorizationError,
    BearerError,
    ConsentRequired,
    InteractionRequired,
    InvalidClient,
    InvalidRequest,
    LoginRequired,
    OAuthError,
    PageError,
)
from idp.store.database import Unavailable
from idp.store.users import UserGone
from idp.web.answers import page, refuse
from idp.web.flow import StaleInteraction
from idp.web.pages import ErrorPage
from idp.web.provider import moment
from idp.web.restart import restart
from idp.web.trail import note_refusal

_LOG = logging.getLogger(__name__)

_STOPPED = say("To keep you safe, we stopped.")
_ASK_AGAIN = say("Go back to the app and start again. If it happens again, send its support team these details.")
PAGE_WORDS: dict[str, tuple[Text, tuple[Text, ...]]] = {
    "redirect_uri_mismatch": (
        say("This sign-in link does not work"),
        (say("The app asked us to send you back to an address that it has not registered."), _STOPPED),
    ),
    "redirect_uri_missing": (
        say("This sign-in link does not work"),
        (say("The app did not say where to send you back to."), _STOPPED),
    ),
    "client_unknown": (
        say("We do not know this app"),
        (say("We do not know the app that sent you here."), _STOPPED),
    ),
    "invalid_request": (
        say("This link does not work"),
        (say("What was sent to us is not complete or not readable."),),
    ),
    "interaction_gone": (
        say("This sign-in has ended"),
        (say("Go back to the app and start again."),),
    ),
    "link_gone": (
        say("This link does not work any more"),
        (say("It was used already, it is too old, or a newer one took its place. Nothing was changed."),),
    ),
    "sign_up_off": (
        say("You cannot create an account here"),
        (say("This service does not let people create accounts themselves."),),
    ),
    "invitation_needed": (
        say("You need an invitation"),
        (say("Only people who were invited can create an account here."),),
    ),
    "invitation_gone": (
        say("This invitation no longer works"),
        (say("It was already used, has expired, or was replaced by a newer one."),),
    ),
    "cross_site": (
        say("This page was sent from another site"),
        (say("Only our own pages may do that."), _STOPPED),
    ),
    "logout_refused": (
        say("This sign-out link does not work"),
        (say("The app asked us to send you to an address that it has not registered."), _STOPPED),
    ),
    "factor_locked": (
        say("This way to sign in is switched off"),
        (
            say("Wrong codes were entered too often, so codes are not accepted any more."),
            say("Your password may be known to somebody else: ask the help desk to unlock your account."),
            say("Then change it."),
        ),
    ),
    "no_second_factor": (
        say("Recovery codes need something to stand in for"),
        (
            say("Add a passkey or an authenticator app first."),
            say("Then make recovery codes, in case that you lose it."),
        ),
    ),
    "not_found": (
        say("There is nothing here"),
        (say("The address may be mistyped, or what was here has gone."),),
    ),
    "server_busy": (
        say("We cannot do this right now"),
        (say("Nothing was changed. Try again in a minute."),),
    ),
    "internal": (
        say("Something went wrong on our side"),
        (say("Nothing of what you did is lost. Try again in a minute."),),
    ),
}

_ADVICE = {
    "link_gone": say(
        "Open the newest mail that we sent you, or ask for a new link on the page where you asked for it."
    ),
    "sign_up_off": say("If you have an account, sign in. If you need one, ask your help desk."),
    "invitation_needed": say(
        "If you have an account, sign in. If you were invited, open the link in the email. If not, ask your help desk."
    ),
    "invitation_gone": say(
        "Open the newest email that invited you. If you have created your account already, sign in. If not, ask your "
        "help desk for a new invitation."
    ),
}

_SIGN_IN = (say("Sign in"), "/login")
_ONWARD = {"sign_up_off": _SIGN_IN, "invitation_needed": _SIGN_IN, "invitation_gone": _SIGN_IN}

# Asking under prompt=none is how an app finds out: these answers are no refusals of anything.
_ORDINARY = (LoginRequired, ConsentRequired, InteractionRequired, AccountSelectionRequired)


async def oauth_error(request: Request, error: Exception) -> Response:
    """RFC 6749 §5.2."""
    assert isinstance(error, OAuthError)
    _LOG.info("refused: %s", error)
    client_id = getattr(request.state, "client_id", None)
    await note_refusal(
        request, "request_refused", actor="client", client_id=client_id, error=error.code, detail=error.detail
    )
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, InvalidClient) and request.headers.get("authorization", "").lower().startswith("basic"):
        headers["WWW-Authenticate"] = 'Basic realm="client"'
    body = {"error": error.code, "error_description": error.description}
    return JSONResponse(body, status_code=error.status, headers=headers)


async def bearer_error(request: Request, error: Exception) -> Response:
    """RFC 6750 §3."""
    assert isinstance(error, BearerError)
    if error.code:
        await note_refusal(request, "token_refused", actor="client", error=error.code, detail=error.description)
    parts = {"error": error.code, "error_description": error.description, "scope": error.scope}
    told = ", ".join(f'{name}="{value}"' for name, value in parts.items() if value)
    body = {"error": error.code, "error_description": error.description} if error.code else {}
    headers = {"WWW-Authenticate": f"Bearer {told}".strip(), "Cache-Control": "no-store"}
    return JSONResponse(body, status_code=error.status, headers=headers)


async def authorization_error(request: Request, error: Exception) -> Response:
    """RFC 6749 §4.1.2.1, through the response mode, with ``state`` and ``iss``."""
    assert isinstance(error, AuthorizationError)
    _LOG.info("refused: %s", error)
    if not isinstance(error.error, _ORDINARY):
        client_id, code = error.target.client.client_id, error.error.code
        await note_refusal(request, "request_refused", client_id=client_id, error=code, detail=error.error.detail)
    return refuse(request, error)


async def page_error(request: Request, error: Exception) -> Response:
    """A page with a fixed wording per cause, never a redirect."""
    assert isinstance(error, PageError)
    client_id = error.client_id or None
    await note_refusal(request, "request_refused", client_id=client_id, error=error.cause, detail=error.detail)
    return error_page(request, error.cause, status=error.status, detail=error.detail, client_id=error.client_id)


def error_page(
    request: Request,
    cause: str,
    *,
    status: int,
    detail: str = "",
    client_id: str = "",
    onward: tuple[Phrase, str] | None = None,
) -> Response:
    """The error page of this cause, with a reference that the log has too."""
    reference: str = request.state.request_id
    _LOG.info("page error %s %s: %r %r", cause, reference, detail, client_id[:64])
    title, text = PAGE_WORDS[cause]
    facts: list[tuple[Phrase, Phrase]] = [(say("Cause"), cause)]
    if client_id:
        facts.append((say("App"), client_id))
    facts.append((say("Time"), Moment(moment(request))))
    content = ErrorPage(cause, title, text, tuple(facts), reference, _ADVICE.get(cause, _ASK_AGAIN))
    onward = onward or _ONWARD.get(cause)
    return page(request, content if onward is None else replace(content, onward=onward), status=status)


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


async def user_gone(request: Request, error: Exception) -> Response:
    """The account was removed while somebody was at work in it: there is nothing left to go on with."""
    assert isinstance(error, UserGone)
    if not _wants_page(request):
        return await oauth_error(request, InvalidRequest("The account is not there any more.", detail=str(error)))
    return error_page(request, "interaction_gone", status=403, detail=str(error))


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


HANDLERS: dict[type[Exception], ExceptionHandler] = {
    OAuthError: oauth_error,
    BearerError: bearer_error,
    AuthorizationError: authorization_error,
    PageError: page_error,
    StaleInteraction: restart,
    Unavailable: unavailable,
    Busy: unavailable,
    UserGone: user_gone,
    HTTPException: http_error,
    Exception: unexpected,
}
