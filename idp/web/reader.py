"""Who reads a page, and so in which language it is."""

from collections.abc import Mapping
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from idp.model.user import User
from idp.web import cookies
from idp.web.language import MOST_WISHES, Language, choose, find_language, preferred
from idp.web.provider import provider_of

CHOICE_LIFE = timedelta(days=365)


def heed_request(request: Request, parameters: Mapping[str, str] | None) -> None:
    """From now on the pages heed the ``ui_locales`` of an authorization request (OpenID Connect Core §3.1.2.1)."""
    request.state.ui_locales = (parameters or {}).get("ui_locales", "").split(None, MOST_WISHES)[:MOST_WISHES]
    request.state.language = None


def heed_account(request: Request, user: User | None) -> None:
    """From now on the pages heed the language of this account."""
    request.state.account_locale = account_locale(user)
    request.state.language = None


def account_locale(user: User | None) -> tuple[str, ...]:
    """The language that the account's owner has set, if any."""
    locale = user.profile.get("locale") if user is not None else None
    return (locale,) if isinstance(locale, str) else ()


def language_of(request: Request) -> Language:
    """The language to speak: what was chosen here, else the request's, the account's, the browser's, else English.

    It is found once, and anew where the request is found to be of other parameters or another account.
    """
    found: Language | None = getattr(request.state, "language", None)
    if found is None:
        found = request.state.language = _picked(request) or _wished_for(request)
    return found


def _wished_for(request: Request) -> Language:
    return choose(
        cookies.read_short(request, provider_of(request), "language") or "",
        *getattr(request.state, "ui_locales", ()),
        *getattr(request.state, "account_locale", ()),
        *preferred(request.headers.get("accept-language", "")),
    )


def language_for(request: Request, user: User) -> Language:
    """The language in which to write to this user: the account's, else what this request speaks."""
    return choose(*account_locale(user), language_of(request).tag)


def remember_choice(request: Request, response: Response) -> None:
    """Keep the language that was chosen by a link of a page, in this browser."""
    picked = _picked(request)
    if picked is not None:
        cookies.write(response, provider_of(request), "language", picked.tag, life=CHOICE_LIFE)


def here(request: Request) -> str:
    """The address of this page, to which a link adds a language; empty where a link cannot lead to it."""
    if request.method == "POST" and not _opens(request):
        return ""
    kept = [part for part in request.url.query.split("&") if part and not part.startswith("ui_locales=")]
    return f"{request.url.path}?{''.join(f'{part}&' for part in kept)}"


def _opens(request: Request) -> bool:
    """Whether a page can be had at this address, and not only the answer to a form."""
    routes = (route for route in request.app.routes if isinstance(route, Route) and "GET" in (route.methods or ()))
    return any(route.path_regex.match(request.url.path) for route in routes)


def _picked(request: Request) -> Language | None:
    # On the protocol's own endpoints the parameter is the app's wish and nobody's choice.
    if request.url.path.startswith("/oauth/"):
        return None
    return find_language(request.query_params.get("ui_locales", ""))
