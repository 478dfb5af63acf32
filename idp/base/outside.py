"""Fetching what somebody else's metadata names, without being sent to what only this machine can reach (A-58).

The name is resolved here, each address it has is judged, and the connection goes to an address that was judged: a
second answer of the name server (DNS rebinding) is never asked for.
"""

import asyncio
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx2

SECONDS = 5.0
"""For the whole fetch, from the look-up of the name to the last byte."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last 32 bits are an IPv4 address."""


class FetchRefused(Exception):
    """Nothing was fetched; the message says why, for operators."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What may be fetched: ``https`` from public addresses, and for test rigs from this machine, by ``http`` too.

    ``trust`` replaces the certificate authorities of the system.
    """

    allow_loopback: bool = False
    trust: ssl.SSLContext | None = None

    async def fetch(self, url: str, *, largest: int, accept: str) -> bytes:
        """The body of a 200 answer of at most ``largest`` bytes; no redirect is followed. Raises FetchRefused."""
        try:
            async with asyncio.timeout(SECONDS):
                return await self._fetch(url, largest, accept)
        except TimeoutError:
            raise FetchRefused(f"no whole answer within {SECONDS:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise FetchRefused(f"no answer ({type(error).__name__})") from None

    async def _fetch(self, url: str, largest: int, accept: str) -> bytes:
        parts = _checked(url)
        host = parts.hostname or ""
        address = await self._address(host, parts.port or _PORTS[parts.scheme])
        if parts.scheme == "http" and not address.is_loopback:
            raise FetchRefused("only https is fetched")
        named = f"[{address}]" if address.version == 6 else str(address)
        target = parts._replace(netloc=f"{named}:{parts.port or _PORTS[parts.scheme]}", fragment="").geturl()
        headers = {"Host": parts.netloc, "Accept": accept, "Accept-Encoding": "identity", "User-Agent": "idp"}
        # A proxy of the environment would resolve the name for itself.
        async with (
            httpx2.AsyncClient(verify=self.trust or True, trust_env=False, follow_redirects=False) as client,
            # The certificate has to be that of the name, though the connection goes to an address.
            client.stream("GET", target, headers=headers, extensions={"sni_hostname": host}) as response,
        ):
            return await _read(response, largest)

    async def _address(self, host: str, port: int) -> Address:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise FetchRefused("the host has no address") from None
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        # One address among others that is not public is no accident.
        if not addresses or not all(self._may_meet(address) for address in addresses):
            raise FetchRefused("the host is not on the public internet")
        return addresses[0]

    def _may_meet(self, address: Address) -> bool:
        return is_public(address) or (self.allow_loopback and address.is_loopback)


_PORTS = {"https": 443, "http": 80}


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, and so does the IPv4 address that is carried in it."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _TRANSLATED:
            carried = ipaddress.IPv4Address(address.packed[-4:])
        if carried and not is_public(carried):
            return False
        if address.is_site_local:
            return False
        if address.ipv4_mapped:
            return True
    return address.is_global and not address.is_multicast and not address.is_reserved


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # A name in other letters would be looked up by its ASCII form, and asked for by something else.
        is_plain = url.isascii() and parts.scheme in _PORTS and parts.port != 0
        is_usable = is_plain and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_usable = False
    if not is_usable:
        raise FetchRefused("the address is no https:// address")
    return parts


async def _read(response: httpx2.Response, largest: int) -> bytes:
    if response.status_code != 200:
        raise FetchRefused(f"status {response.status_code}")
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > largest:
            raise FetchRefused(f"the answer is longer than {largest} bytes")
    return bytes(body)
