"""The table of endpoints and pages."""

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from idp.web import (
    authorize,
    chooser,
    consent,
    discovery,
    health,
    introspect,
    jwks,
    login,
    logout,
    register,
    token,
    userinfo,
)
from idp.web.account import authenticators, overview, owner, password, recovery_codes, sessions, totp, webauthn
from idp.web.cors import CrossOrigin
from idp.web.pages import STATIC


class _Versioned(StaticFiles):
    """Static files under addresses that change with their content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept for a year where its address names its version."""
        response = await super().get_response(path, scope)
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


def _cors(methods: str) -> list[Middleware]:
    return [Middleware(CrossOrigin, methods=methods)]


ROUTES: tuple[BaseRoute, ...] = (
    Route("/.well-known/openid-configuration", discovery.discovery),
    Route("/.well-known/oauth-authorization-server", discovery.discovery),
    Route("/.well-known/jwks.json", jwks.jwks),
    Route("/oauth/authorize", authorize.authorize, methods=["GET", "POST"]),
    Route("/oauth/token", token.token, methods=["POST", "OPTIONS"], middleware=_cors("POST")),
    Route("/oauth/userinfo", userinfo.userinfo, methods=["GET", "POST", "OPTIONS"], middleware=_cors("GET, POST")),
    Route("/oauth/introspect", introspect.introspect, methods=["POST"]),
    Route("/oauth/revoke", introspect.revoke, methods=["POST", "OPTIONS"], middleware=_cors("POST")),
    Route("/oauth/logout", logout.logout, methods=["GET", "POST"]),
    Route("/login", login.show, methods=["GET"]),
    Route("/login", login.submit, methods=["POST"]),
    Route("/login/another-way", login.another_way, methods=["GET"]),
    Route("/login/another-way", login.choose_way, methods=["POST"]),
    Route("/login/other-account", chooser.other_account, methods=["GET"]),
    Route("/login/cancel", chooser.cancel, methods=["GET"]),
    Route("/login/choose", chooser.choose, methods=["GET"]),
    Route("/login/choose", chooser.chosen, methods=["POST"]),
    Route("/register", register.show, methods=["GET"]),
    Route("/register", register.submit, methods=["POST"]),
    Route("/consent", consent.show, methods=["GET"]),
    Route("/consent", consent.submit, methods=["POST"]),
    Route("/logout", logout.sign_out, methods=["POST"]),
    Route("/account/sign-out", logout.sign_out, methods=["POST"]),
    Route("/signed-out", logout.signed_out, methods=["GET"]),
    Route("/account", overview.overview, methods=["GET"]),
    Route("/account/confirm", owner.confirm, methods=["POST"]),
    Route("/account/authenticators", authenticators.ways, methods=["GET"]),
    Route("/account/authenticators/add-totp", totp.add, methods=["GET"]),
    Route("/account/authenticators/add-totp", totp.confirm, methods=["POST"]),
    Route("/account/authenticators/add-passkey", webauthn.add, methods=["GET"]),
    Route("/account/authenticators/add-passkey", webauthn.register, methods=["POST"]),
    Route("/account/authenticators/{id}/rename", authenticators.rename, methods=["GET", "POST"]),
    Route("/account/authenticators/{id}/remove", authenticators.remove, methods=["GET", "POST"]),
    Route("/account/recovery-codes", recovery_codes.show, methods=["GET"]),
    Route("/account/recovery-codes", recovery_codes.renew, methods=["POST"]),
    Route("/account/sessions", sessions.show, methods=["GET"]),
    Route("/account/sessions/end-others", sessions.end_others, methods=["POST"]),
    Route("/account/sessions/{id}/end", sessions.end, methods=["POST"]),
    Route("/account/password", password.show, methods=["GET"]),
    Route("/account/password", password.change, methods=["POST"]),
    Route("/health/live", health.live),
    Route("/health/ready", health.ready),
    Mount("/static", _Versioned(directory=STATIC)),
)
