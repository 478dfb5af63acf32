"""ID tokens that come back as hints: verified, and kept out of every address of ours (RFC 9700 §4.12, A-75).

What another site posts comes without our cookies (SameSite=Lax), so it is asked again by GET. An address rests in
histories and logs: the hint crosses over to it as a handle, which nobody can read and which is good for a minute, here.
"""

import base64
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from idp.base.jose import Kind, Token, verify
from idp.base.seal import MasterKey, SealBroken, derived, seal, unseal
from idp.base.uri import with_parameters
from idp.oauth.errors import InvalidRequest
from idp.web.answers import see_other
from idp.web.forms import read_parameters
from idp.web.provider import Provider, moment, provider_of

HINT, HANDLE = "id_token_hint", "hint_handle"
HANDLE_LIFE = timedelta(minutes=1)
LONGEST_HINT = 5_000
"""In characters: so that its handle is a value that we take; none of our ID tokens is half as long."""

ID_TOKEN_HINT = Kind(typ=frozenset({"jwt"}), required=frozenset({"iss", "sub", "aud"}), expired=True)


def verify_hint(provider: Provider, hint: str, *, audience: frozenset[str] | None, now: datetime) -> Token:
    """The ID token, ours and unchanged; one that has expired still counts (OpenID Connect Core §3.1.2.1).

    ``audience`` None leaves for the caller to judge for which client it is. Raises InvalidToken.
    """
    return verify(
        hint,
        ID_TOKEN_HINT,
        keys=provider.keys.ring.hint_verifiers,
        issuer=provider.issuer,
        audience=audience,
        now=now,
    )


async def read_hinted(request: Request) -> dict[str, str]:
    """The parameters as ``read_parameters`` has them, with the ID token of which a GET brings a handle.

    A handle that does not open, or not any more, is a hint that does not verify. Raises InvalidRequest.
    """
    given = await read_parameters(request)
    handle = given.pop(HANDLE, None)
    if handle is None or request.method == "POST":
        return given
    if HINT in given:
        # It stands for the parameter, which is included twice by that (RFC 6749 §3.1, A-27).
        raise InvalidRequest("A parameter is included more than once.", detail=HINT)
    return {**given, HINT: _opened(request, handle)}


def ask_again(request: Request, path: str, given: dict[str, str]) -> Response:
    """Lead to the same request by GET, with a handle in the place of an ID token."""
    kept = [(name, value) for name, value in given.items() if name != HINT]
    handle = [(HANDLE, _handle(request, given[HINT]))] if HINT in given else []
    return see_other(with_parameters(path, [*kept, *handle]))


def _handle(request: Request, hint: str) -> str:
    if len(hint) > LONGEST_HINT:
        return "too-long"
    provider = provider_of(request)
    ends = int((moment(request) + HANDLE_LIFE).timestamp())
    envelope = seal(
        _key(provider), f"{ends} {hint}".encode("utf-8", "replace"), context=HANDLE, entropy=provider.entropy
    )
    return base64.urlsafe_b64encode(envelope).rstrip(b"=").decode()


def _opened(request: Request, handle: str) -> str:
    """The ID token; what is none where the handle does not open or is too old."""
    try:
        envelope = base64.b64decode(handle + "=" * (-len(handle) % 4), altchars=b"-_", validate=True)
        ends, _, hint = unseal(_key(provider_of(request)), envelope, context=HANDLE).decode().partition(" ")
    except (SealBroken, ValueError):
        return "sealed elsewhere"
    return hint if moment(request).timestamp() < int(ends) else "sealed too long ago"


def _key(provider: Provider) -> MasterKey:
    # Anybody can have as much sealed as they like: not under the key that seals what has to stay secret for years.
    return derived(provider.tools.master_key, HANDLE)
