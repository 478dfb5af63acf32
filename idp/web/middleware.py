"""The edge: what holds for every request before any route, and for every answer, errors included (ASVS 3.4)."""

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from idp.base.entropy import Entropy, identifier
from idp.base.uri import csp_source, is_loopback
from idp.oauth.parameters import has_control

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

LONGEST_QUERY = 16 * 1024
LARGEST_HEAD = 32 * 1024
"""Of all header names and values together."""
BODY_SECONDS = 30.0
"""How long a body may take to arrive (F19)."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # no-referrer would make Chromium send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
HSTS = {"Strict-Transport-Security": "max-age=31536000; includeSubDomains"}
"""A year, with the subdomains (ASVS 3.4.1)."""


def edge(
    app: ASGIApp, *, issuer: str, entropy: Entropy, proxies: Iterable[Network], body_seconds: float = BODY_SECONDS
) -> ASGIApp:
    """The application inside of everything below, the last line being the first to see a request."""
    app = HeadAsGet(app)
    app = Bounds(app, body_seconds=body_seconds)
    app = KnownHost(app, issuer=issuer)
    app = SecureHeaders(app, secure=issuer.startswith("https://"))
    app = RequestId(app, entropy=entropy)
    return ClientAddress(app, proxies=proxies)


class ClientAddress:
    """Finds the client behind the trusted proxies: the right-most address of X-Forwarded-For that is no proxy's.

    From a peer that is no proxy of ours the header is not read, and what is no address in it ends the search at the
    proxy that sent it: nobody gets to choose who they are (A-47). Scheme and host are never taken from a proxy.
    """

    def __init__(self, app: ASGIApp, *, proxies: Iterable[Network]) -> None:
        self._app = app
        self._proxies = tuple(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with the address of its client."""
        if scope["type"] == "http" and scope.get("client") and self._proxies:
            scope["client"] = self._client(scope)
        await self._app(scope, receive, send)

    def _client(self, scope: Scope) -> tuple[str, int]:
        peer: tuple[str, int] = scope["client"]
        address = _address(peer[0])
        if address is None or not self._is_proxy(address):
            return peer
        forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
        for entry in reversed(forwarded.decode("latin-1").split(",")):
            before = _address(entry)
            if before is None:
                break
            address = before
            if not self._is_proxy(address):
                break
        return str(address), 0

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


_ENTRY = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::[0-9]{1,5})?|([0-9.]{7,15}):[0-9]{1,5}|([0-9A-Fa-f:.]{2,45})")


def _address(text: str) -> Address | None:
    """The address, with or without a port; an IPv6 zone, which anybody could invent, makes it none."""
    matched = _ENTRY.fullmatch(text.strip())
    if matched is None:
        return None
    try:
        address = ip_address(matched[1] or matched[2] or matched[3])
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


class RequestId:
    """Gives each request an id of our own for logs, error pages and the audit trail; one that comes in counts not."""

    def __init__(self, app: ASGIApp, *, entropy: Entropy) -> None:
        self._app = app
        self._entropy = entropy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, with its id in ``scope["state"]`` and in the answer."""
        if scope["type"] == "http":
            request_id = scope.setdefault("state", {})["request_id"] = identifier(self._entropy)[:12]
            send = partial(_sent_with, send, {"X-Request-Id": request_id})
            with bound_contextvars(request=request_id):
                await self._app(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _sent_with(send: Send, added: dict[str, str], message: Message) -> None:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, value in added.items():
            headers.setdefault(name, value)
    await send(message)


class SecureHeaders:
    """Adds the security headers to every answer, and ``no-store`` where nothing else was said.

    ``form_target`` of the request's state is the URI to which a form may lead beside this server.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        # A plain http://localhost is not to be upgraded.
        self._headers = HEADERS | (HSTS if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and dress its answer."""

        async def dressed(message: Message) -> None:
            target = csp_source(scope.get("state", {}).get("form_target", ""))
            policy = {"Content-Security-Policy": f"{CSP} {target}" if target else CSP}
            await _sent_with(send, self._headers | policy, message)

        await self._app(scope, receive, dressed if scope["type"] == "http" else send)


class KnownHost:
    """Answers 421 to any Host but the issuer's, before anything else looks at the request (A-46).

    Probes ask for ``/health/`` by address, so there the host does not matter. Where the issuer is on a loopback host,
    any loopback host and port will do: that is development, perhaps with several servers. A page of another site whose
    name leads here (DNS rebinding) is refused there too.
    """

    def __init__(self, app: ASGIApp, *, issuer: str) -> None:
        self._app = app
        parts = urlsplit(issuer)
        self._accepts_loopback = is_loopback_host(parts.netloc)
        usual = {"https": ":443", "http": ":80"}[parts.scheme]
        host = parts.netloc.lower().removesuffix(usual)
        self._hosts = {host, host + usual}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what was sent to this server."""
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self._app(scope, receive, send)
            return
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            # RFC 9112 §3.2: none or several MUST be answered with 400.
            await PlainTextResponse("One Host header is needed.", 400)(scope, receive, send)
        elif hosts[0] not in self._hosts and not (self._accepts_loopback and is_loopback_host(hosts[0])):
            await PlainTextResponse("This host is not served here.", 421)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]{1,5})?")


def is_loopback_host(host: str) -> bool:
    """Whether a Host header names this very machine."""
    matched = _HOST.fullmatch(host)
    name = matched and (matched[1] or matched[2])
    if not name or is_loopback(name):
        return bool(name)
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


class Bounds:
    """Refuses what no honest request has: a huge query or head, a control character in the path, an endless body.

    The size of the body is Starlette's ``max_body_size``; parameters are bounded in ``oauth/parameters.single``.
    """

    def __init__(self, app: ASGIApp, *, body_seconds: float) -> None:
        self._app = app
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what keeps the bounds; a slow body is met with 408 where it is read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif len(scope["query_string"]) > LONGEST_QUERY or len(scope["path"]) > LONGEST_QUERY:
            await PlainTextResponse("The address is too long.", 414)(scope, receive, send)
        elif has_control(scope["path"]):
            await PlainTextResponse("The address has a control character.", 400)(scope, receive, send)
        elif sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEAD:
            await PlainTextResponse("The headers are too large.", 431)(scope, receive, send)
        else:
            await self._app(scope, _Body(receive, self._body_seconds), send)


class _Body:
    """Receives a body until the deadline, which runs from the first read on and ends with the body."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._deadline: float | None = None
        self._is_whole = False

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        self._is_whole = not message.get("more_body", False)
        return message


class HeadAsGet:
    """Serves HEAD as the GET that it stands for (RFC 9110 §9.3.2), without the content: no handler meets it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as a GET if it is a HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def bare(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, bare)
