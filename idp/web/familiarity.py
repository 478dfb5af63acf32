"""Whether a sign-in comes from where the account is known to come from; if not, its owner is told (ASVS 6.3.5)."""

from collections.abc import Mapping

from starlette.requests import Request

from idp.base.seal import keyed_digest
from idp.model.user import User
from idp.store import known_devices, known_networks
from idp.store.database import Connection
from idp.web import cookies
from idp.web.notices import notify_user
from idp.web.provider import moment, provider_of
from idp.web.source import address_of, network_of


async def note_familiarity(request: Request, conn: Connection, user: User) -> Mapping[str, bool]:
    """Tell the owner of a new browser, or of a new network where the browser is known; answers what was new.

    It is to be called before this browser is remembered. The first sign-in of an account is no news to anybody.
    """
    provider, now = provider_of(request), moment(request)
    device = cookies.read(request, provider, "device")
    had_one = await known_devices.has_any(conn, user.sub, now=now)
    known = device is not None and await known_devices.is_known(conn, device, user.sub, now=now)
    network = network_digest(request, user)
    been_here = await known_networks.is_known(conn, user.sub, network, now=now)
    await known_networks.remember_network(conn, user.sub, network, now=now)
    new = "new_device" if had_one and not known else "new_network" if known and not been_here else None
    if new is None:
        return {}
    if provider.sign_in_notices:
        await notify_user(request, conn, user, new)
    return {new: True}


def network_digest(request: Request, user: User) -> bytes:
    """What is kept of the network of this request: two accounts of one household have nothing in common by it."""
    master, network = provider_of(request).tools.master_key, network_of(address_of(request))
    return keyed_digest(master, f"{user.sub} {network}", context="known networks")
