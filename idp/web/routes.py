"""The table of endpoints and pages."""

from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from idp.web import (
    account,
    authorize,
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
from idp.web.pages import STATIC


class _Versioned(StaticFiles):
    """Static files under addresses that change with their content."""

    async def get_response(self, path: str, scope: Scope):  # type: ignore[no-untyped-def]
        """The file, to be kept for a year where its address names its version."""
        response = await super().get_response(path, scope)
        versioned = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if versioned else "no-cache"
        return response


ROUTES: tuple[BaseRoute, ...] = (
    Route("/.well-known/openid-configuration", discovery.discovery),
    Route("/.well-known/oauth-authorization-server", discovery.discovery),
    Route("/.well-known/jwks.json", jwks.jwks),
    Route("/oauth/authorize", authorize.authorize, methods=["GET", "POST"]),
    Route("/oauth/token", token.token, methods=["POST"]),
    Route("/oauth/userinfo", userinfo.userinfo, methods=["GET", "POST"]),
    Route("/oauth/introspect", introspect.introspect, methods=["POST"]),
    Route("/oauth/revoke", introspect.revoke, methods=["POST"]),
    Route("/oauth/logout", logout.logout, methods=["GET", "POST"]),
    Route("/login", login.show, methods=["GET"]),
    Route("/login", login.submit, methods=["POST"]),
    Route("/login/another-way", login.another_way, methods=["GET"]),
    Route("/login/another-way", login.choose_way, methods=["POST"]),
    Route("/login/other-account", login.other_account, methods=["GET"]),
    Route("/login/cancel", login.cancel, methods=["GET"]),
    Route("/login/choose", login.choose, methods=["GET"]),
    Route("/login/choose", login.chosen, methods=["POST"]),
    Route("/register", register.show, methods=["GET"]),
    Route("/register", register.submit, methods=["POST"]),
    Route("/consent", consent.show, methods=["GET"]),
    Route("/consent", consent.submit, methods=["POST"]),
    Route("/logout", logout.sign_out, methods=["POST"]),
    Route("/account/sign-out", logout.sign_out, methods=["POST"]),
    Route("/signed-out", logout.signed_out, methods=["GET"]),
    Route("/account", account.overview, methods=["GET"]),
    Route("/account/confirm", account.confirm, methods=["POST"]),
    Route("/account/authenticators", account.ways, methods=["GET"]),
    Route("/account/authenticators/add-totp", account.add_totp, methods=["GET"]),
    Route("/account/authenticators/add-totp", account.confirm_totp, methods=["POST"]),
    Route("/account/authenticators/add-passkey", account.add_passkey, methods=["GET"]),
    Route("/account/authenticators/add-passkey", account.register_passkey, methods=["POST"]),
    Route("/account/authenticators/{id}/rename", account.rename, methods=["GET", "POST"]),
    Route("/account/authenticators/{id}/remove", account.remove, methods=["GET", "POST"]),
    Route("/health/live", health.live),
    Route("/health/ready", health.ready),
    Mount("/static", _Versioned(directory=STATIC)),
)
