"""A provider of a few lines, for the demo's tests: it signs in alice, at once, at the level it is set to."""

import base64
import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx2
from joserfc import jwt
from joserfc.jwk import Key, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

ISSUER = "http://provider.test"
KEY = RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"})


def sign(claims: dict[str, Any], *, typ: str = "at+jwt", key: Key = KEY, **header: Any) -> str:
    """A token with the claims of an access token for alice, others in their place, None leaving one out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": ISSUER, "sub": "alice-sub", "client_id": "bank", "jti": "1", "acr": "mfa"}
    merged = {**usual, "iat": now, "exp": now + 600, **claims}
    kept = {name: value for name, value in merged.items() if value is not None}
    shown = {name: value for name, value in {"alg": "RS256", "kid": "k1", "typ": typ, **header}.items() if value}
    return jwt.encode(shown, kept, key, algorithms=["RS256", "PS256", "HS256"])


@dataclass
class Provider:
    """What the provider does next, and what it has been asked."""

    acr: str = "mfa"
    sub: str = "alice-sub"
    life: int = 600
    error: str | None = None
    iss: str = ISSUER
    keys: list[Key] = field(default_factory=lambda: [KEY])
    cache_control: str = "public, max-age=3600"
    down: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    fetched: int = 0
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def app(self) -> Starlette:
        """The provider's endpoints."""
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.discovery),
                Route("/jwks", self.jwks),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/userinfo", self.userinfo),
            ]
        )

    async def discovery(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.iss,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "userinfo_endpoint": f"{ISSUER}/userinfo",
                "end_session_endpoint": f"{ISSUER}/logout",
                "jwks_uri": f"{ISSUER}/jwks",
                "id_token_signing_alg_values_supported": ["RS256"],
                "authorization_response_iss_parameter_supported": True,
            }
        )

    async def jwks(self, _: Request) -> Response:
        self.fetched += 1
        keys = [key.as_dict(private=False) for key in self.keys]
        return JSONResponse({"keys": keys}, headers={"Cache-Control": self.cache_control})

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        self.asked.append(asked)
        answer = {"state": asked["state"], "iss": self.iss}
        if self.error:
            answer["error"] = self.error
        else:
            answer["code"] = f"code{len(self.asked)}"
            self.codes[answer["code"]] = asked
            self.acr = asked.get("acr_values", self.acr)
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(answer)}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        assert request.headers["authorization"].startswith("Basic ")
        id_claims = {"aud": "bank", "nonce": asked["nonce"], "acr": self.acr, "sub": self.sub, "amr": ["pwd", "otp"]}
        return JSONResponse(
            {
                "access_token": sign({"acr": self.acr, "sub": self.sub, "exp": int(time.time()) + self.life}),
                "token_type": "Bearer",
                "expires_in": 600,
                "id_token": sign({**id_claims, "auth_time": 1_770_000_000}, typ="JWT"),
            }
        )

    async def userinfo(self, _: Request) -> Response:
        return JSONResponse({"sub": self.sub, "preferred_username": "alice", "acr": "phrh"})


@dataclass
class Network(httpx2.AsyncBaseTransport):
    """Carries each request to the application of its host; a provider that is down refuses the connection."""

    provider: Provider
    hosts: dict[str, Starlette] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if host == "provider.test" and self.provider.down:
            raise httpx2.ConnectError("refused", request=request)
        return await httpx2.ASGITransport(self.hosts[host]).handle_async_request(request)
