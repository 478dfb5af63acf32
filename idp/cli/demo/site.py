"""The bank's pages: sign in, see what the provider says, send money with a step-up, sign out."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.templating import Jinja2Templates

from idp.cli.demo import api, inbox
from idp.cli.demo.config import Config

HERE = Path(__file__).parent
TEMPLATES = Jinja2Templates(HERE / "templates")
MOST_PEOPLE = 1000

FIRST_CLAIMS = ("name", "preferred_username", "email", "sub", "acr", "amr", "auth_time")

NOTICES = {
    "signed_out": "You are signed out.",
    "transferred": "25.00 went to Harbour Rescue.",
    "cancelled": "Nothing was changed. Sign in when you are ready.",
    "not_confirmed": "You did not confirm that it is you, so nothing was sent.",
    "refused": "That sign-in did not work. Start again from here.",
    "unreachable": "The identity provider does not answer. Try again in a minute.",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in here: the verified claims, and the tokens, which never leave the server."""

    claims: Mapping[str, Any]
    access_token: str = field(repr=False)
    id_token: str = field(repr=False)


def build(config: Config, transport: httpx2.AsyncBaseTransport | None = None) -> Starlette:
    """The application; ``transport`` carries its requests to the provider, None is the network."""
    fetcher = httpx2.AsyncClient(**_http(transport))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with fetcher:
            yield

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/", home),
            Route("/sign-in", sign_in, methods=["POST"]),
            Route("/callback", callback),
            Route("/transfer", transfer, methods=["POST"]),
            Route("/sign-out", sign_out, methods=["POST"]),
            Route("/api/transfer", api.transfer, methods=["POST"]),
            *([Route("/inbox", inbox.inbox)] if config.database_url else []),
            Mount("/static", StaticFiles(directory=HERE / "static")),
        ],
        middleware=[
            # Cookies know no ports: the name must differ from those of other servers on localhost. SameSite=Lax
            # keeps forms on other sites from acting here; a server on https sets https_only too.
            Middleware(SessionMiddleware, secret_key=generate_token(48), session_cookie="demo_session"),
        ],
        exception_handlers={OAuthError: refused, JoseError: refused, httpx2.HTTPError: unreachable},
    )
    app.state.config = config
    app.state.provider = register(config, transport)
    app.state.keys = api.PublishedKeys(config.issuer, fetcher)
    # In memory, for a demonstration: a real application keeps its sessions in its database.
    app.state.people = {}
    return app


def _http(transport: httpx2.AsyncBaseTransport | None) -> dict[str, Any]:
    # Application and provider share one machine here, so no proxy stands between them.
    return {"transport": transport, "trust_env": False, "timeout": 10}


def register(config: Config, transport: httpx2.AsyncBaseTransport | None = None) -> Any:
    """The provider as authlib's client sees it: everything else comes from its discovery document."""
    return OAuth().register(
        "provider",
        client_id=config.client_id,
        client_secret=config.client_secret,
        server_metadata_url=f"{config.issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid profile email",
            "code_challenge_method": "S256",
            **_http(transport),
        },
    )


async def home(request: Request) -> Response:
    """The first page; also where the provider sends people after signing out."""
    if "state" in request.query_params:
        await request.app.state.provider.validate_logout_response(request)
        request.session["notice"] = "signed_out"
        return RedirectResponse("/", 303)
    return page(request, request.session.pop("notice", None))


async def sign_in(request: Request) -> Response:
    """Send the browser to the provider."""
    request.session.pop("rounds", None)
    return await authorize(request)


async def callback(request: Request) -> Response:
    """Take the provider's answer: exchange the code, verify the ID token, go on with what was waiting."""
    await check_sender(request)
    before, person = signed_in(request), await fetch_person(request)
    remember(request, person)
    rounds = request.session.pop("rounds", None)
    if rounds is None:
        return RedirectResponse("/", 303)
    if before is None or before.claims["sub"] != person.claims["sub"]:
        # Somebody else came back: what the first one had begun is not theirs to finish.
        raise OAuthError("login_required")
    return await send_money(request, person, rounds)


async def transfer(request: Request) -> Response:
    """The button: send money, by way of the provider if the API wants a stronger sign-in."""
    person = signed_in(request)
    if person is None:
        return RedirectResponse("/", 303)
    # Two trips to the provider at most: one for a token that has run out, one for the step-up.
    return await send_money(request, person, rounds=2)


async def sign_out(request: Request) -> Response:
    """End the session here, then at the provider (RP-Initiated Logout 1.0)."""
    person = signed_in(request)
    request.app.state.people.pop(request.session.get("id"), None)
    request.session.clear()
    if person is None:
        return RedirectResponse("/", 303)
    redirect: Response = await request.app.state.provider.logout_redirect(
        request, post_logout_redirect_uri=request.app.state.config.home, id_token_hint=person.id_token
    )
    return redirect


async def authorize(request: Request, **wanted: str) -> Response:
    """Redirect to the provider's authorization endpoint; state, nonce and PKCE verifier wait in the session."""
    state = request.app.state
    redirect: Response = await state.provider.authorize_redirect(request, state.config.redirect_uri, **wanted)
    return redirect


async def check_sender(request: Request) -> None:
    """Refuse an answer that another provider sent (RFC 9207 §2.4)."""
    metadata = await request.app.state.provider.load_server_metadata()
    announced = metadata.get("authorization_response_iss_parameter_supported", False)
    if announced and request.query_params.get("iss") != request.app.state.config.issuer:
        raise OAuthError("mix_up")


async def fetch_person(request: Request) -> Person:
    """Exchange the code and verify what came of it; the claims of userinfo stand behind those of the ID token."""
    config, provider = request.app.state.config, request.app.state.provider
    expected = {
        "iss": {"essential": True, "value": config.issuer},
        "aud": {"essential": True, "value": config.client_id},
    }
    token = await provider.authorize_access_token(request, claims_options=expected)
    about = await provider.userinfo(token=token)
    if about["sub"] != token["userinfo"]["sub"]:
        raise OAuthError("mix_up")  # OpenID Connect Core §5.3.2
    return Person({**about, **token["userinfo"]}, token["access_token"], token["id_token"])


async def send_money(request: Request, person: Person, rounds: int) -> Response:
    """Call the API; where it answers 401, go to the provider for a better token and come back (RFC 9470 §4)."""
    answer = await request.app.state.provider.post(
        f"{request.app.state.config.home}api/transfer",
        token={"access_token": person.access_token, "token_type": "Bearer"},
    )
    if answer.status_code == 401 and rounds:
        request.session["rounds"] = rounds - 1
        return await authorize(request, **step_up(answer.headers.get("WWW-Authenticate", "")))
    request.session["notice"] = "transferred" if answer.status_code == 200 else "not_confirmed"
    return RedirectResponse("/", 303)


def step_up(challenge: str) -> dict[str, str]:
    """What a challenge asks of the next authorization request (RFC 9470 §3); nothing for another challenge."""
    parameters = dict(re.findall(r'([a-z_]+)="?([^",]*)"?', challenge))
    if parameters.get("error") != "insufficient_user_authentication":
        return {}
    return {name: parameters[name] for name in ("acr_values", "max_age") if name in parameters}


def signed_in(request: Request) -> Person | None:
    """Who uses this browser, if they have signed in here."""
    person: Person | None = request.app.state.people.get(request.session.get("id"))
    return person


def remember(request: Request, person: Person) -> None:
    """Sign the person in, under a new session id, so that an id from before is worth nothing."""
    people = request.app.state.people
    people.pop(request.session.get("id"), None)
    while len(people) >= MOST_PEOPLE:
        people.pop(next(iter(people)))
    request.session["id"] = generate_token(32)
    people[request.session["id"]] = person


async def refused(request: Request, fault: Exception) -> Response:
    """The provider said no, or said something that does not verify."""
    waiting = request.session.pop("rounds", None)
    cause = "refused"
    if waiting is not None:
        cause = "not_confirmed"
    elif isinstance(fault, OAuthError) and fault.error == "access_denied":
        cause = "cancelled"
    return page(request, cause, status_code=400)


async def unreachable(request: Request, _: Exception) -> Response:
    """The provider is down; this application is not."""
    return page(request, "unreachable", status_code=503)


def page(request: Request, notice: str | None, status_code: int = 200) -> Response:
    """The one page there is, for whoever is signed in, with a notice on top."""
    config, person = request.app.state.config, signed_in(request)
    context = {"person": person, "claims": readable(person), "notice": notice, "text": NOTICES.get(notice or "")}
    # Chromium holds redirects after a form to form-action: step-up and sign-out lead to the provider.
    policy = f"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' {config.issuer}"
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": f"{policy}; frame-ancestors 'none'; base-uri 'none'",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return TEMPLATES.TemplateResponse(request, "home.html", context, status_code, headers)


def readable(person: Person | None) -> list[tuple[str, str]]:
    """The claims as rows of text, those about the person first: times in UTC, lists as words."""
    claims = {} if person is None else person.claims
    first = [name for name in FIRST_CLAIMS if name in claims]
    rest = sorted(claims.keys() - set(FIRST_CLAIMS))
    return [(name, _text(name, claims[name])) for name in (*first, *rest)]


def _text(name: str, value: object) -> str:
    if name in ("auth_time", "exp", "iat", "nbf", "updated_at") and isinstance(value, int):
        return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)
