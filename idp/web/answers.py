"""Answers: pages, redirects and deliveries, with the headers that each needs."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from idp.oauth.errors import AuthorizationError
from idp.oauth.request import AuthorizationRequest, RedirectTarget
from idp.oauth.response_modes import RESPONSE_MODES, Parameters, Redirect
from idp.web.pages import FormPostPage, Page
from idp.web.provider import provider_of
from idp.web.reader import here, language_of, remember_choice


def page(request: Request, content: Page, *, status: int = 200) -> Response:
    """The page as HTML, in the language of who reads it."""
    language = language_of(request)
    html = provider_of(request).pages.render(content, language, here=here(request))
    response = HTMLResponse(html, status_code=status, headers={"Content-Language": language.tag})
    remember_choice(request, response)
    return response


def public_document(request: Request, content: bytes, *, etag: str, max_age: int) -> Response:
    """JSON that is the same for everybody, on every site, or 304 to one who has it already (RFC 9110 §13.1.2)."""
    headers = {
        "Cache-Control": f"public, max-age={max_age}",
        "ETag": etag,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    if _has_already(request.headers.getlist("If-None-Match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/json", headers=headers)


def _has_already(conditions: list[str], etag: str) -> bool:
    """Whether the caller's copy is the present one: weak comparison, a list, or ``*`` (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for line in conditions for tag in line.split(",")]
    return etag in tags or tags == ["*"]


def see_other(location: str) -> RedirectResponse:
    """Go on there by GET, whatever the method was (RFC 9700 §4.12)."""
    return RedirectResponse(location, status_code=303)


def allow_form_target(request: Request, authorization: AuthorizationRequest | None) -> None:
    """Let forms on this page end at the client: browsers hold redirects after a post to ``form-action`` too."""
    if authorization is not None:
        request.state.form_target = authorization.target.redirect_uri


def refuse(request: Request, error: AuthorizationError) -> Response:
    """The error through its request's response mode, with ``state`` and ``iss`` (RFC 6749 §4.1.2.1)."""
    parameters = (("error", error.error.code), ("error_description", error.error.description))
    return deliver(request, error.target, parameters)


def deliver(request: Request, target: RedirectTarget, parameters: Parameters) -> Response:
    """The authorization response through its response mode, with ``state`` and ``iss`` (RFC 9207 §2)."""
    common = (*(() if target.state is None else (("state", target.state),)), ("iss", provider_of(request).issuer))
    delivery = RESPONSE_MODES[target.response_mode](target.redirect_uri, (*parameters, *common))
    if isinstance(delivery, Redirect):
        return see_other(delivery.location)
    request.state.form_target = delivery.action
    return page(request, FormPostPage(delivery.action, delivery.fields))
