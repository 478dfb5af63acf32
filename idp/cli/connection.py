"""One connection of `idp serve`: uvicorn's, with bounds on the head of a request, which uvicorn has none on (F19)."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from idp.web.middleware import CSP, HEADERS, LARGEST_HEAD, LONGEST_QUERY

MOST_BYTES = LARGEST_HEAD + 2 * LONGEST_QUERY
"""Of a head that has no end yet: what the application would refuse anyway, by 414 or 431."""
HEAD_SECONDS = 30.0


class Answered:
    """The application, without the errors that it has answered and logged already.

    Starlette's last resort raises them again, and uvicorn would log them once more and cut the connection, on which a
    proxy may just be sending the next request (ASVS 16.5.4). An answer that has no end is cut all the same.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        is_whole = False

        async def watched(message: Message) -> None:
            nonlocal is_whole
            await send(message)
            is_whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if not is_whole:
                raise


class BoundedConnection(HttpToolsProtocol):
    """Closes a connection whose request line and headers are too large, or not there in time.

    The time runs from the opening of the connection, and later from the first byte of each request.
    """

    head_seconds = HEAD_SECONDS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    # uvicorn's own class narrows the type of the transport in the same way.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, and refuse a head that has grown too large without coming to an end."""
        if self._in_head:
            self._head_bytes += len(data)
            self._start_timer()
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, and no trailer: what comes behind the body no proxy has looked at (RFC 9110 §6.5.1)."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole, and the next one may begin."""
        super().on_message_complete()
        self._in_head = True
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, dressed as every answer is (ASVS 3.4)."""
        lines = ["HTTP/1.1 400 Bad Request", "Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(msg)}"]
        lines += [f"{name}: {value}" for name, value in {**HEADERS, "Content-Security-Policy": CSP}.items()]
        self.transport.write("\r\n".join([*lines, "Connection: close", "", msg]).encode())
        self.transport.close()

    def _start_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
