"""Cross-origin calls of browser-based applications (ASVS 3.4.2, A-69)."""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from idp.store.clients import has_public_origin
from idp.store.database import transaction

_ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]{1,260}")


class CrossOrigin:
    """Opens an endpoint to the pages of registered public clients: the exact origins of their redirect URIs.

    Never with credentials: what these endpoints take is in the request, not in cookies. Everything else of ours has no
    CORS, but for discovery and the published keys, which are open to all (RFC 9700 §2.6: none at authorize).
    """

    def __init__(self, app: ASGIApp, *, methods: str) -> None:
        self._app = app
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight; pass anything else on, and tell the browser who may read the answer."""
        origin = Headers(scope=scope).get("origin")
        told = {"Vary": "Origin"}
        if origin is not None and await self._is_registered(scope, origin):
            told |= {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "WWW-Authenticate"}
        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=self._preflight(told))(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(told)
            await send(message)

        await self._app(scope, receive, dressed)

    def _preflight(self, told: dict[str, str]) -> dict[str, str]:
        if "Access-Control-Allow-Origin" not in told:
            return told
        allowed = {
            "Access-Control-Allow-Methods": self._methods,
            "Access-Control-Allow-Headers": "Authorization, Content-Type",
            "Access-Control-Max-Age": "600",
        }
        return told | allowed

    async def _is_registered(self, scope: Scope, origin: str) -> bool:
        if not _ORIGIN.fullmatch(origin):
            return False
        async with transaction(scope["app"].state.provider.pool) as conn:
            return await has_public_origin(conn, origin)
