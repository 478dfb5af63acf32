"""The authorization request: from parameters to a value in which every rule has been checked.

Reading ``CHECKS`` tells the order. Before ``prove_target`` a fault is shown on a page of ours; after it, it goes back
to the client, and only there (RFC 6749 §4.1.2.1; RFC 9700 §4.11).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from idp.base.uri import matches
from idp.model.assurance import ACR_VALUES, rank
from idp.model.client import Client
from idp.oauth import pkce
from idp.oauth.claims import ClaimsRequest, parse_claims
from idp.oauth.errors import (
    AuthorizationError,
    InvalidRequest,
    InvalidScope,
    OAuthError,
    PageError,
    RegistrationNotSupported,
    RequestNotSupported,
    RequestUriNotSupported,
    UnauthorizedClient,
    UnmetAuthenticationRequirements,
    UnsupportedResponseType,
    bare_uri,
)
from idp.oauth.parameters import words
from idp.oauth.response_modes import DEFAULT_RESPONSE_MODE
from idp.oauth.scope import allowed, of_claims

RESPONSE_TYPES = ("code",)
PROMPT_VALUES = ("none", "login", "consent", "select_account", "create")
PARAMETERS = frozenset(
    {
        *("client_id", "redirect_uri", "response_type", "response_mode", "state", "scope", "nonce"),
        *("code_challenge", "code_challenge_method", "prompt", "max_age", "claims", "acr_values", "ui_locales"),
        *("login_hint", "id_token_hint", "request", "request_uri", "registration"),
    }
)
"""All that a request may say; what else is in it is ignored (RFC 6749 §3.1) and kept nowhere."""
HINTED = "hinted_sub"
"""In a request that waits for its user: whom its ID token hint has named. Nobody can send it."""


@dataclass(frozen=True, slots=True)
class RedirectTarget:
    """The proof that a response may go to this address: only ``prove_target`` makes one."""

    client: Client
    redirect_uri: str
    response_mode: str
    state: str | None


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A checked authorization request (RFC 6749 §4.1.1; OpenID Connect Core §3.1.2.1).

    ``prompts`` are the prompt values that are supported here.
    """

    target: RedirectTarget
    scope: tuple[str, ...] = ()
    code_challenge: str = ""
    nonce: str | None = None
    prompt: frozenset[str] = frozenset()
    max_age: int | None = None
    login_hint: str | None = None
    id_token_hint: str | None = None
    hinted_sub: str | None = None
    acr: str | None = None
    acr_is_essential: bool = False
    prompts: tuple[str, ...] = PROMPT_VALUES
    claims: ClaimsRequest = field(default_factory=ClaimsRequest)

    @property
    def client(self) -> Client:
        """Who asks."""
        return self.target.client

    @property
    def is_sure_of_client(self) -> bool:
        """Whether nobody can pose as the client: it proves itself, or the answer goes to an https address of its own.

        A loopback port or a private-use scheme is anybody's on the device (RFC 8252 §8.6; ASVS 10.7.1).
        """
        return not self.client.is_public or self.target.redirect_uri.startswith("https://")

    @property
    def scope_to_approve(self) -> tuple[str, ...]:
        """What the user is asked to allow: the scope, and what would open the claims asked for by name."""
        return tuple(dict.fromkeys((*self.scope, *of_claims(self.claims.names))))


def prove_target(parameters: Mapping[str, str], client: Client) -> RedirectTarget:
    """The proven place for answers to this request; raises PageError where there is none.

    The redirect URI is always demanded and compared as an exact string (RFC 9700 §2.1). A response mode that the client
    does not have is a fault of the request and is told in its first one.
    """
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None:
        raise PageError("redirect_uri_missing", client_id=client.client_id)
    if not any(matches(registered, redirect_uri) for registered in client.redirect_uris):
        raise PageError("redirect_uri_mismatch", client_id=client.client_id, detail=bare_uri(redirect_uri))
    mode = parameters.get("response_mode", DEFAULT_RESPONSE_MODE)
    usable = mode if mode in client.response_modes else client.response_modes[0]
    return RedirectTarget(client, redirect_uri, usable, parameters.get("state"))


Given: TypeAlias = Mapping[str, str]
Check: TypeAlias = Callable[[AuthorizationRequest, Given], AuthorizationRequest]


def no_request_object(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """Request objects are refused by name, never silently ignored (OpenID Connect Core §3.1.2.6)."""
    if "request" in given:
        raise RequestNotSupported("Request objects are not supported.")
    if "request_uri" in given:
        raise RequestUriNotSupported("Request objects by reference are not supported.")
    if "registration" in given:
        raise RegistrationNotSupported("The registration parameter is not supported.")
    return request


def response_mode(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """The response mode must be one of the client's (OAuth 2.0 Multiple Response Types §2.1; ASVS 10.4.12)."""
    if given.get("response_mode", DEFAULT_RESPONSE_MODE) not in request.client.response_modes:
        raise InvalidRequest("The response_mode is not one that this client is registered for.")
    return request


def response_type(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """Only the code flow exists (RFC 9700 §2.1.2)."""
    wanted = given.get("response_type")
    if wanted is None:
        raise InvalidRequest("The response_type is missing.")
    if wanted not in RESPONSE_TYPES:
        raise UnsupportedResponseType("Only the response_type code is supported.")
    return request


def grant(request: AuthorizationRequest, _given: Given) -> AuthorizationRequest:
    """The client must be registered for the code grant (RFC 6749 §4.1.2.1)."""
    if "authorization_code" not in request.client.grant_types:
        raise UnauthorizedClient("This client is not registered for the authorization_code grant.")
    return request


def proof_key(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """PKCE with S256 is demanded from every client (RFC 7636 §4.4.1; RFC 9700 §2.1.1)."""
    challenge = given.get("code_challenge")
    if challenge is None:
        raise InvalidRequest("A code_challenge is required (PKCE, RFC 7636).")
    # RFC 7636 §4.3: a challenge without a method means plain, which is refused.
    if given.get("code_challenge_method") not in pkce.CODE_CHALLENGE_METHODS:
        raise InvalidRequest("The code_challenge_method must be S256.")
    if not pkce.is_challenge(challenge):
        raise InvalidRequest("The code_challenge is not a base64url SHA-256 value.")
    return replace(request, code_challenge=challenge)


def scope(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """A scope must be asked for; words that the client is not registered for are dropped (RFC 6749 §3.3)."""
    granted = allowed(words(given.get("scope")), request.client.scope)
    if not granted:
        raise InvalidScope("No scope that this client may ask for is in the request.")
    return replace(request, scope=granted)


def nonce(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """The nonce is carried unchanged into the ID token (OpenID Connect Core §3.1.2.1)."""
    return replace(request, nonce=given.get("nonce"))


def prompt(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """``none`` stands alone (OpenID Connect Core §3.1.2.1); unknown values are refused (Prompt Create §4.1)."""
    wanted = frozenset(words(given.get("prompt")))
    if not wanted <= set(request.prompts):
        raise InvalidRequest("The prompt has a value that is not supported.")
    if "none" in wanted and len(wanted) > 1:
        raise InvalidRequest("The prompt value none does not go with others.")
    return replace(request, prompt=wanted)


def max_age(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """A whole number of seconds, from 0 (OpenID Connect Core §3.1.2.1)."""
    text = given.get("max_age")
    if text is None:
        return request
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise InvalidRequest("The max_age is not a number of seconds.")
    return replace(request, max_age=int(text))


def claims(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """The claims request (OpenID Connect Core §5.5), without what the client's own scopes could not open (A-73)."""
    text = given.get("claims")
    return request if text is None else replace(request, claims=parse_claims(text).within(request.client.scope))


def acr(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """The wanted acr, met by any value listed or by a higher one: so the lowest of them is what counts.

    Where none of the values is one of ours, nothing can meet them (OpenID Connect Core §5.5.1.1; RFC 9470 §5).
    """
    wanted = (*words(given.get("acr_values")), *request.claims.acr_values)
    if not wanted:
        return request
    known = [value for value in wanted if value in ACR_VALUES]
    if not known:
        raise UnmetAuthenticationRequirements("None of the acr values is supported here.")
    return replace(request, acr=min(known, key=rank), acr_is_essential=request.claims.essential_acr)


def hints(request: AuthorizationRequest, given: Given) -> AuthorizationRequest:
    """Whom the client expects; the token is verified where keys are at hand (OpenID Connect Core §3.1.2.1)."""
    return replace(
        request,
        login_hint=given.get("login_hint"),
        id_token_hint=given.get("id_token_hint"),
        hinted_sub=given.get(HINTED),
    )


CHECKS: tuple[Check, ...] = (
    no_request_object,
    response_mode,
    response_type,
    grant,
    proof_key,
    scope,
    nonce,
    prompt,
    max_age,
    claims,
    acr,
    hints,
)


def prompt_values(*, sign_up: bool) -> tuple[str, ...]:
    """The prompt values that are supported: ``create`` where people may make an account (Prompt Create §3)."""
    return PROMPT_VALUES if sign_up else tuple(value for value in PROMPT_VALUES if value != "create")


def check(
    parameters: Mapping[str, str], client: Client, *, prompts: tuple[str, ...] = PROMPT_VALUES
) -> AuthorizationRequest:
    """The request in which every check holds; ``prompts`` are the prompt values that are supported.

    Raises PageError where nobody may be redirected to, AuthorizationError for any other fault.
    """
    target = prove_target(parameters, client)
    request = AuthorizationRequest(target, prompts=prompts)
    try:
        for step in CHECKS:
            request = step(request, parameters)
    except OAuthError as error:
        raise AuthorizationError(target, error) from error
    return request


def known(parameters: Mapping[str, str]) -> dict[str, str]:
    """Those of the parameters that mean something here."""
    return {name: value for name, value in parameters.items() if name in PARAMETERS}


def waiting(parameters: Mapping[str, str], hinted_sub: str | None) -> dict[str, str]:
    """The parameters to keep while a user is waited for: a token that was sent with them is not among them (A-75)."""
    kept = {name: value for name, value in parameters.items() if name != "id_token_hint"}
    return kept if hinted_sub is None else {**kept, HINTED: hinted_sub}
