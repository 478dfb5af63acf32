"""The bank's API: it believes an access token by the provider's published keys alone, without asking the provider.

RFC 9068 §4 says what to check; RFC 9470 §3 how to ask for a stronger sign-in.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
LEVELS = ("1fa", "mfa", "phr", "phrh")
WANTED = "phr"
LEEWAY = 30


class InvalidToken(Exception):
    """The token proves nothing: wrong, expired, or meant for something else."""


class PublishedKeys:
    """The provider's signing keys, fetched when first needed and kept as long as ``Cache-Control`` allows."""

    PAUSE = 30
    """Seconds between two fetches at the least, however many unknown ``kid`` values strangers send."""

    def __init__(self, issuer: str, http: httpx2.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer, self._http, self._clock = issuer, http, clock
        self._keys: dict[str, Key] = {}
        self._fetched_at = self._fresh_until = float("-inf")
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> Key | None:
        """The key of that id; None if the provider publishes no such key. Raises httpx2.HTTPError."""
        async with self._lock:
            stale = self._clock() >= self._fresh_until
            rested = self._clock() >= self._fetched_at + self.PAUSE
            if rested and (stale or kid not in self._keys):
                await self._fetch()
            return self._keys.get(kid)

    async def _fetch(self) -> None:
        self._fetched_at = self._clock()
        discovery = await self._get(f"{self._issuer}/.well-known/openid-configuration")
        if discovery.json().get("issuer") != self._issuer:
            raise httpx2.RequestError("The discovery document names another issuer.")
        response = await self._get(discovery.json()["jwks_uri"])
        keys = (JWKRegistry.import_key(key) for key in response.json()["keys"])
        self._keys = {key.kid: key for key in keys if key.kid}
        self._fresh_until = self._clock() + _max_age(response)

    async def _get(self, url: str) -> httpx2.Response:
        response = await self._http.get(url)
        return response.raise_for_status()


def _max_age(response: httpx2.Response) -> int:
    found = re.search(r"\bmax-age=(\d+)", response.headers.get("cache-control", ""))
    return int(found[1]) if found else 300


async def validate(token: str, keys: PublishedKeys, *, issuer: str, audience: str) -> Mapping[str, Any]:
    """The claims of an access token (RFC 9068 §4); raises InvalidToken."""
    try:
        header = jws.extract_compact(token.encode()).headers()
        if str(header.get("typ")).lower().removeprefix("application/") != "at+jwt":
            # An ID token is signed by the same keys and must not open an API (RFC 9068 §4).
            raise InvalidToken("not an access token")
        key = await keys.find(str(header.get("kid")))
        if key is None:
            raise InvalidToken("no such key")
        claims = jwt.decode(token, key, algorithms=ALGORITHMS).claims
        _registry(issuer, audience).validate(claims)
    except (JoseError, ValueError) as fault:
        raise InvalidToken(type(fault).__name__) from fault
    return claims


def _registry(issuer: str, audience: str) -> jwt.JWTClaimsRegistry:
    required: jwt.ClaimsOption = {"essential": True}
    return jwt.JWTClaimsRegistry(
        leeway=LEEWAY,
        iss={"essential": True, "value": issuer},
        aud={"essential": True, "value": audience},
        exp=required,
        iat=required,
        sub=required,
        client_id=required,
        jti=required,
    )


def reaches(acr: object, wanted: str) -> bool:
    """Whether a sign-in of this level is strong enough."""
    return acr in LEVELS and LEVELS.index(str(acr)) >= LEVELS.index(wanted)


async def transfer(request: Request) -> Response:
    """Move money for the one whose token this is, if they signed in so strongly that nobody can have phished them."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return _challenge()
    config = request.app.state.config
    try:
        # This provider names itself as the audience when an application asks for no particular resource.
        claims = await validate(token.strip(), request.app.state.keys, issuer=config.issuer, audience=config.issuer)
    except InvalidToken:
        return _challenge(error="invalid_token", error_description="The access token is not valid")
    if not reaches(claims.get("acr"), WANTED):
        return _challenge(
            error="insufficient_user_authentication",
            error_description="A different authentication level is required",
            acr_values=WANTED,
        )
    return JSONResponse({"transferred": "25.00", "to": "Harbour Rescue", "by": claims["sub"]})


def _challenge(**parameters: str) -> Response:
    described = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    return Response(status_code=401, headers={"WWW-Authenticate": f"Bearer {described}".strip()})
