"""What the provider says of itself, derived from the very tuples that it works by, so that it cannot lie.

OpenID Connect Discovery 1.0 §3 and RFC 8414 §2.
"""

from collections.abc import Iterable
from typing import Any

from idp.base.jwk import ALGORITHMS
from idp.model.assurance import ACR_VALUES
from idp.oauth import client_auth, grants
from idp.oauth.claims import CLAIMS_SUPPORTED
from idp.oauth.pkce import CODE_CHALLENGE_METHODS
from idp.oauth.request import RESPONSE_TYPES
from idp.oauth.response_modes import RESPONSE_MODES
from idp.oauth.scope import SCOPE_CLAIMS

PATHS = {
    "authorization_endpoint": "/oauth/authorize",
    "token_endpoint": "/oauth/token",
    "userinfo_endpoint": "/oauth/userinfo",
    "introspection_endpoint": "/oauth/introspect",
    "revocation_endpoint": "/oauth/revoke",
    "end_session_endpoint": "/oauth/logout",
    "jwks_uri": "/.well-known/jwks.json",
}


def metadata(issuer: str, ui_locales: Iterable[str], prompts: Iterable[str]) -> dict[str, Any]:
    """The discovery document of this issuer, whose pages speak these languages and which takes these prompt values."""
    auth_methods = [method.name for method in client_auth.METHODS]
    confidential = [name for name in auth_methods if name != "none"]
    algorithms = list(ALGORITHMS)
    return {
        "issuer": issuer,
        **{name: issuer + path for name, path in PATHS.items()},
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": [grant.name for grant in grants.GRANTS],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "scopes_supported": list(SCOPE_CLAIMS),
        "claims_supported": [*CLAIMS_SUPPORTED, "acr", "amr", "auth_time", "sid"],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "acr_values_supported": list(ACR_VALUES),
        "prompt_values_supported": list(prompts),
        "display_values_supported": ["page"],
        "ui_locales_supported": list(ui_locales),
        "code_challenge_methods_supported": list(CODE_CHALLENGE_METHODS),
        "token_endpoint_auth_methods_supported": auth_methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint_auth_methods_supported": auth_methods,
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "authorization_response_iss_parameter_supported": True,
    }
