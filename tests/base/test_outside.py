"""A-58: what is fetched from addresses that others name, over real connections to a server that counts them."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from idp.base import outside
from idp.base.outside import FetchRefused, Outside, is_public

RIG = Outside(allow_loopback=True)


@dataclass
class Server:
    """A server with one answer, and the heads of the requests that came."""

    answer: bytes
    then_waits: float = 0.0
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    met: int = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and perhaps never come to an end."""
        self.met += 1
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        try:
            writer.write(self.answer)
            await writer.drain()
            await asyncio.sleep(self.then_waits)
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: bytes, tls: ssl.SSLContext | None = None, then_waits: float = 0) -> AsyncIterator[Server]:
    server = Server(answer, then_waits)
    listening = await asyncio.start_server(server.meet, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n".encode() + body


async def fetch(url: str, by: Outside = RIG) -> bytes:
    return await by.fetch(url, largest=1000, accept="image/*")


async def test_A_58_a_public_fetcher_never_meets_this_machine() -> None:
    async with serving(answer(b"secret")) as server:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"):  # noqa: S104
            for scheme in ("http", "https"):
                with pytest.raises(FetchRefused):
                    await fetch(f"{scheme}://{host}:{server.port}/", Outside())
        assert server.met == 0


@pytest.mark.parametrize("others_first", [True, False])
async def test_A_58_one_inner_address_among_others_is_enough(
    monkeypatch: pytest.MonkeyPatch, others_first: bool
) -> None:
    """Nobody's own choice among the addresses of a name leads inside."""
    async with serving(answer(b"secret")) as server:
        names = Names(["1.1.1.1", "127.0.0.1"] if others_first else ["127.0.0.1", "1.1.1.1"], monkeypatch)
        with pytest.raises(FetchRefused, match="public internet"):
            await fetch(f"https://rebind.test:{server.port}/", Outside())
        assert (server.met, names.asked) == (0, ["rebind.test"])


async def test_A_58_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second answer of the name server, which could be another, is not asked for (DNS rebinding)."""
    async with serving(answer(b"fine")) as server:
        names = Names(["127.0.0.1"], monkeypatch)
        assert await fetch(f"http://rebind.test:{server.port}/") == b"fine"
        assert names.asked.count("rebind.test") == 1
        assert f"host: rebind.test:{server.port}".encode() in server.heads[0].lower()


class Names:
    """A name server that gives every name these addresses, and keeps what it was asked."""

    def __init__(self, addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses, self.asked = addresses, list[str]()
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def getaddrinfo(host: str | bytes, port: int, **options: Any) -> list[Any]:
            name = host.decode() if isinstance(host, bytes) else host
            if name[0].isdigit():
                return await real(name, port, **options)
            self.asked.append(name)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in self.addresses]

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_A_58_a_redirect_is_not_followed() -> None:
    async with serving(answer(b"secret")) as trap:
        there = f"Location: http://127.0.0.1:{trap.port}/\r\n"
        async with serving(answer(b"", "302 Found", there)) as server:
            with pytest.raises(FetchRefused, match="status 302"):
                await fetch(f"http://127.0.0.1:{server.port}/")
        assert (server.met, trap.met) == (1, 0)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "https://10.0.0.5/",
        "file:///etc/passwd",
        "https://user@host.example/",
        "https://",
        "https://[::1",
        "https://[::1]/",
        "gopher://a.example/",
        "http://93.184.215.14/",
        "https://127\u30020\u30020\u30021/",
        "https://b\u00fccher.example/",
        "https://host.example\\@127.0.0.1/",
        "https://127.1/",
        "https://[::ffff:7f00:1]/",
    ],
)
async def test_A_58_other_addresses_are_refused_at_once(url: str) -> None:
    with pytest.raises(FetchRefused, match=r"internet|https"):
        await fetch(url, Outside())


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700::1111", True),
        ("::ffff:1.1.1.1", True),
        ("10.0.0.5", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("fec0::1", False),
        ("ff0e::1", False),
        ("::ffff:10.0.0.5", False),
        ("64:ff9b::a00:5", False),
        ("2002:a00:5::1", False),
    ],
)
def test_A_58_what_is_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


async def test_a_body_of_the_bound_is_read_and_one_byte_more_is_not() -> None:
    async with serving(answer(b"x" * 1000)) as server:
        assert await fetch(f"http://127.0.0.1:{server.port}/") == b"x" * 1000
    async with serving(answer(b"x" * 1001)) as server:
        with pytest.raises(FetchRefused, match="longer"):
            await fetch(f"http://127.0.0.1:{server.port}/")


async def test_a_slow_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SECONDS", 0.3)
    async with serving(answer(b"x" * 10)[:-1], then_waits=3) as server:
        with pytest.raises(FetchRefused, match="within"):
            await fetch(f"http://127.0.0.1:{server.port}/")


async def test_the_certificate_has_to_be_that_of_the_name(tmp_path: Path) -> None:
    tls, trust = certified("localhost", tmp_path)
    by = Outside(allow_loopback=True, trust=trust)
    async with serving(answer(b"fine"), tls) as server:
        assert await fetch(f"https://localhost:{server.port}/a?b=c", by) == b"fine"
        assert server.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\n")
        assert f"host: localhost:{server.port}".encode() in server.heads[0].lower()
        with pytest.raises(FetchRefused):
            await fetch(f"https://127.0.0.1:{server.port}/", by)
        with pytest.raises(FetchRefused):
            await fetch(f"https://localhost:{server.port}/")


def certified(name: str, directory: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate of this name, and a context that trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    file.write_bytes(private + public)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cadata=public.decode())
