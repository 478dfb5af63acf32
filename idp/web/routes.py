"""The table of endpoints and pages."""

from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from idp.web import (
    authorize,
    branding,
    chooser,
    confirm_email,
    consent,
    discovery,
    health,
    introspect,
    jwks,
    login,
    logout,
    register,
    related_origins,
    sent_codes,
    token,
    userinfo,
)
from idp.web.account import (
    activity,
    apps,
    authenticators,
    data,
    delete,
    email,
    overview,
    owner,
    passkey_upgrade,
    password,
    phone,
    profile,
    recovery_codes,
    remove_password,
    sessions,
    totp,
    webauthn,
)
from idp.web.cors import CrossOrigin
from idp.web.pages import STATIC
from idp.web.recover import ask, lost_factor, reset, second_step


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
    Route("/.well-known/webauthn", related_origins.related_origins),
    Route("/oauth/authorize", authorize.authorize, methods=["GET", "POST"]),
    Route("/oauth/token", token.token, methods=["POST", "OPTIONS"], middleware=_cors("POST")),
    Route("/oauth/userinfo", userinfo.userinfo, methods=["GET", "POST", "OPTIONS"], middleware=_cors("GET, POST")),
    Route("/oauth/introspect", introspect.introspect, methods=["POST"]),
    Route("/oauth/revoke", introspect.revoke, methods=["POST", "OPTIONS"], middleware=_cors("POST")),
    Route("/oauth/logout", logout.logout, methods=["GET", "POST"]),
    Route("/login", login.show, methods=["GET"]),
    Route("/login", login.submit, methods=["POST"]),
    Route("/login/later", login.later, methods=["POST"]),
    Route("/login/another-way", login.another_way, methods=["GET"]),
    Route("/login/another-way", login.choose_way, methods=["POST"]),
    Route("/login/send-code", sent_codes.send_again, methods=["POST"]),
    Route("/login/other-account", chooser.other_account, methods=["GET"]),
    Route("/login/cancel", chooser.cancel, methods=["GET"]),
    Route("/login/choose", chooser.choose, methods=["GET"]),
    Route("/login/choose", chooser.chosen, methods=["POST"]),
    Route("/login/forget", chooser.show_forget, methods=["GET"]),
    Route("/login/forget", chooser.forget, methods=["POST"]),
    Route("/register", register.show, methods=["GET"]),
    Route("/register", register.submit, methods=["POST"]),
    Route("/recover", ask.show, methods=["GET"]),
    Route("/recover", ask.submit, methods=["POST"]),
    Route("/recover/sent", ask.sent, methods=["GET"]),
    Route("/recover/password", reset.show_link, methods=["GET"]),
    Route("/recover/password", reset.open_link, methods=["POST"]),
    Route("/recover/step", second_step.show, methods=["GET"]),
    Route("/recover/step", second_step.submit, methods=["POST"]),
    Route("/recover/step/another-way", second_step.another_way, methods=["GET"]),
    Route("/recover/step/another-way", second_step.choose_way, methods=["POST"]),
    Route("/recover/step/send-code", second_step.send_code, methods=["POST"]),
    Route("/recover/new-password", reset.show, methods=["GET"]),
    Route("/recover/new-password", reset.submit, methods=["POST"]),
    Route("/recover/done", reset.done, methods=["GET"]),
    Route("/recover/factor", lost_factor.show, methods=["GET"]),
    Route("/recover/factor", lost_factor.submit, methods=["POST"]),
    Route("/recover/factor/asked", lost_factor.asked, methods=["GET"]),
    Route("/recover/factor/cancel", lost_factor.show_cancel, methods=["GET"]),
    Route("/recover/factor/cancel", lost_factor.cancel, methods=["POST"]),
    Route("/recover/factor/cancelled", lost_factor.cancelled, methods=["GET"]),
    Route("/recover/factor/finish", lost_factor.show_finish, methods=["GET"]),
    Route("/recover/factor/finish", lost_factor.finish, methods=["POST"]),
    Route("/recover/factor/done", lost_factor.done, methods=["GET"]),
    Route("/confirm-email", confirm_email.show, methods=["GET"]),
    Route("/confirm-email", confirm_email.submit, methods=["POST"]),
    Route("/confirm-email/done", confirm_email.done, methods=["GET"]),
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
    Route("/account/authenticators/add-phone", phone.add, methods=["GET"]),
    Route("/account/authenticators/add-phone", phone.submit, methods=["POST"]),
    Route("/account/authenticators/{id}/rename", authenticators.rename, methods=["GET", "POST"]),
    Route("/account/authenticators/{id}/remove", authenticators.remove, methods=["GET", "POST"]),
    Route("/account/passkey-upgrade/options", passkey_upgrade.begin, methods=["POST"]),
    Route("/account/passkey-upgrade", passkey_upgrade.finish, methods=["POST"]),
    Route("/account/recovery-codes", recovery_codes.show, methods=["GET"]),
    Route("/account/recovery-codes", recovery_codes.renew, methods=["POST"]),
    Route("/account/sessions", sessions.show, methods=["GET"]),
    Route("/account/sessions/end-others", sessions.end_others, methods=["POST"]),
    Route("/account/sessions/ask-again", sessions.ask_again, methods=["POST"]),
    Route("/account/sessions/trusted/{id}/ask-again", sessions.ask_again, methods=["POST"]),
    Route("/account/sessions/{id}/end", sessions.end, methods=["POST"]),
    Route("/account/email", email.show, methods=["GET"]),
    Route("/account/email", email.change, methods=["POST"]),
    Route("/account/email/send-again", email.send_again, methods=["POST"]),
    Route("/account/email/remove", email.remove, methods=["POST"]),
    Route("/account/password", password.show, methods=["GET"]),
    Route("/account/password", password.change, methods=["POST"]),
    Route("/account/password/remove", remove_password.remove, methods=["POST"]),
    Route("/account/profile", profile.show, methods=["GET"]),
    Route("/account/profile", profile.change, methods=["POST"]),
    Route("/account/apps", apps.show, methods=["GET"]),
    Route("/account/apps/{client_id}/withdraw", apps.withdraw, methods=["GET", "POST"]),
    Route("/account/activity", activity.show, methods=["GET"]),
    Route("/account/data", data.show, methods=["GET"]),
    Route("/account/data", data.download, methods=["POST"]),
    Route("/account/delete", delete.show, methods=["GET"]),
    Route("/account/delete", delete.delete, methods=["POST"]),
    Route("/goodbye", delete.goodbye, methods=["GET"]),
    Route("/health/live", health.live),
    Route("/health/ready", health.ready),
    Route("/branding.css", branding.css),
    Route("/logos/{digest:str}.png", branding.client_logo),
    Route("/branding/logo", branding.logo),
    Mount("/static", _Versioned(directory=STATIC)),
)
