"""Answers: pages, redirects and deliveries, with the headers that each needs."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from idp.base.uri import origin
from idp.oauth.request import AuthorizationRequest, RedirectTarget
from idp.oauth.response_modes import RESPONSE_MODES, Parameters, Redirect
from idp.web.pages import FormPostPage, Page
from idp.web.provider import provider_of


def page(request: Request, content: Page, *, status: int = 200) -> Response:
    """The page as HTML."""
    return HTMLResponse(provider_of(request).pages.render(content), status_code=status)


def see_other(location: str) -> RedirectResponse:
    """Go on there by GET, whatever the method was (RFC 9700 §4.12)."""
    return RedirectResponse(location, status_code=303)


def allow_form_target(request: Request, authorization: AuthorizationRequest | None) -> None:
    """Let forms on this page end at the client: browsers hold redirects after a post to ``form-action`` too."""
    if authorization is not None:
        request.state.form_target = origin(authorization.target.redirect_uri)


def deliver(request: Request, target: RedirectTarget, parameters: Parameters) -> Response:
    """The authorization response through its response mode, with ``state`` and ``iss`` (RFC 9207 §2)."""
    common = (*(() if target.state is None else (("state", target.state),)), ("iss", provider_of(request).issuer))
    delivery = RESPONSE_MODES[target.response_mode](target.redirect_uri, (*parameters, *common))
    if isinstance(delivery, Redirect):
        return see_other(delivery.location)
    request.state.form_target = origin(delivery.action)
    return page(request, FormPostPage(delivery.action, delivery.fields))
