"""Where a request comes from: its address and network, its browser, and the id by which logs know it."""

from ipaddress import IPv6Address, ip_address, ip_network

from starlette.requests import Request

from idp.base.digest import sha256
from idp.model.attempt import Source
from idp.store.database import Connection
from idp.store.known_devices import is_known
from idp.web import cookies
from idp.web.provider import moment, provider_of

PREFIX = {4: 24, 6: 56}
"""Addresses of so many equal bits are one network: what one household or office can send from."""


def address_of(request: Request) -> str:
    """The address of the client, as the trusted proxies tell it; empty where there is none."""
    return request.client.host[:64] if request.client else ""


def network_of(address: str) -> str:
    """The network of an address; all that are no addresses are one network, and no name of anybody's choice."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed.packed, PREFIX[parsed.version]), strict=False))


def user_agent_of(request: Request) -> str:
    """What the browser says it is, cut to what is kept."""
    agent = request.headers.get("user-agent", "")[:256]
    return "".join(filter(str.isprintable, agent))


def request_id_of(request: Request) -> str:
    """The id of this request in the log and in the audit trail."""
    found: str = getattr(request.state, "request_id", "")
    return found


async def source_of(request: Request, conn: Connection, sub: str | None) -> Source:
    """The source of an attempt at this account: its known browser, or else a stranger's network."""
    network, device = network_of(address_of(request)), cookies.read(request, provider_of(request), "device")
    # Asked for a name that nobody has as well, so that time does not tell.
    known = device is not None and await is_known(conn, device, sub or "", now=moment(request))
    return Source(network, sha256(device).hex() if known and device else None)
