"""The errors of the protocol, one class per wire code.

``description`` goes over the wire and keeps to the characters of RFC 6749 §5.2 (no quote, no backslash, ASCII);
``detail`` is for the log alone. Four families meet four handlers in ``web/errors.py``.
"""

from typing import TYPE_CHECKING, ClassVar

from idp.model.authorization import Authorization

if TYPE_CHECKING:
    from idp.oauth.request import RedirectTarget


LONGEST_CLIENT_ID = 26
"""Of those that we give (`base.entropy.identifier`)."""


def _line(text: str) -> str:
    """One line of ASCII, whatever was sent: nobody writes lines of their own into a log (ASVS 16.4.1)."""
    return text.encode("unicode_escape").decode()


def claimed_id(client_id: str) -> str:
    """What a client calls itself, as a log may have it: what is longer than our ids may be a secret (A-75)."""
    return _line(client_id if len(client_id) <= LONGEST_CLIENT_ID else f"{client_id[:6]}...")


def bare_uri(uri: str) -> str:
    """An address that was sent, as a log may have it: without its parameters, and only if it is one at all (A-75)."""
    return uri.partition("?")[0].partition("#")[0][:200] if ":" in uri else f"no address, {len(uri)} characters"


class OAuthError(Exception):
    """An error with a code of the OAuth or OpenID Connect registry; answered as JSON (RFC 6749 §5.2)."""

    code: ClassVar[str]
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, detail: str = "") -> None:
        self.description = description
        self.detail = _line(detail)
        super().__init__(f"{self.code}: {self.detail or description}")


class InvalidRequest(OAuthError):
    """RFC 6749 §4.1.2.1 and §5.2."""

    code = "invalid_request"


class InvalidClient(OAuthError):
    """RFC 6749 §5.2: client authentication failed; always 401, with a challenge where the client used Basic."""

    code = "invalid_client"
    status = 401


class InvalidGrant(OAuthError):
    """RFC 6749 §5.2; ``ended`` is the authorization that was revoked because of it, for the audit trail."""

    code = "invalid_grant"

    def __init__(self, description: str, *, detail: str = "", ended: Authorization | None = None) -> None:
        super().__init__(description, detail=detail)
        self.ended = ended


class UnauthorizedClient(OAuthError):
    """RFC 6749 §4.1.2.1 and §5.2."""

    code = "unauthorized_client"


class UnsupportedGrantType(OAuthError):
    """RFC 6749 §5.2."""

    code = "unsupported_grant_type"


class UnsupportedResponseType(OAuthError):
    """RFC 6749 §4.1.2.1."""

    code = "unsupported_response_type"


class InvalidScope(OAuthError):
    """RFC 6749 §4.1.2.1 and §5.2."""

    code = "invalid_scope"


class InvalidTarget(OAuthError):
    """RFC 8707 §2."""

    code = "invalid_target"


class AccessDenied(OAuthError):
    """RFC 6749 §4.1.2.1: the user said no."""

    code = "access_denied"


class LoginRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "login_required"


class InteractionRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "interaction_required"


class AccountSelectionRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "account_selection_required"


class ConsentRequired(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "consent_required"


class UnmetAuthenticationRequirements(OAuthError):
    """OpenID Connect Core Error Code unmet_authentication_requirements 1.0; RFC 9470 §5."""

    code = "unmet_authentication_requirements"


class RequestNotSupported(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "request_not_supported"


class RequestUriNotSupported(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "request_uri_not_supported"


class RegistrationNotSupported(OAuthError):
    """OpenID Connect Core §3.1.2.6."""

    code = "registration_not_supported"


class BearerError(Exception):
    """A refusal by a protected resource of ours, answered in ``WWW-Authenticate`` (RFC 6750 §3).

    Without a code the request simply had no token (§3.1: then no error is named).
    """

    def __init__(
        self, code: str | None = None, description: str = "", *, status: int = 401, scope: str | None = None
    ) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.status = status
        self.scope = scope


class AuthorizationError(Exception):
    """An error that goes back to the client through its response mode; needs the proof of where to."""

    def __init__(self, target: "RedirectTarget", error: OAuthError) -> None:
        super().__init__(str(error))
        self.target = target
        self.error = error


class PageError(Exception):
    """An error shown to the user on a page of ours, never a redirect; ``cause`` picks its fixed wording."""

    def __init__(self, cause: str, *, status: int = 400, detail: str = "", client_id: str = "") -> None:
        self.cause = cause
        self.status = status
        self.detail = _line(detail)
        super().__init__(f"{cause}: {self.detail}")
        self.client_id = client_id
