"""People who were invited: the link that went to them."""

from idp.authn.accounts import parse_email
from idp.base.entropy import system_entropy, token
from idp.store.database import transaction
from idp.store.invitations import create_invitation
from idp.web.invitation import invitation_link, new_invitation
from tests.driver import PASSWORD, Rig

ADDRESS = "alice@mail.test"
FORM = {"username": "alice", "password": PASSWORD, "phone": ""}


async def invite(rig: Rig, address: str = ADDRESS) -> str:
    """The link of a new invitation for this address, kept as `idp user invite` keeps it."""
    parsed, secret = parse_email(address), token(system_entropy)
    assert parsed is not None
    async with transaction(rig.app.state.provider.pool) as conn:
        await create_invitation(conn, new_invitation(secret, parsed, rig.clock()))
    return invitation_link(rig.issuer, secret)
