"""`idp user invite`: an operator has a link sent by which somebody makes their own account."""

from idp.app import pages_of
from idp.authn.accounts import Email
from idp.base.entropy import system_entropy, token
from idp.base.seal import MasterKey
from idp.base.text import Moment, say
from idp.cli.master import master_key
from idp.cli.output import database, refuse
from idp.cli.trail import note
from idp.model.invitation import Invitation
from idp.settings import Settings
from idp.store.clock import database_time
from idp.store.database import Connection, transact
from idp.store.invitations import create_invitation
from idp.store.outbox import create_message
from idp.store.users import find_by_proved_email
from idp.web.invitation import INVITATION_LIFE, invitation_link, new_invitation
from idp.web.language import choose
from idp.web.notices import Writer


async def invite(installation: Settings, address: Email) -> Invitation:
    """Keep an invitation for the address with the mail that brings it; refuses where an account has proved it."""
    async with database(installation) as pool:
        master = await master_key(pool, installation)
        return await transact(pool, lambda conn: _write(conn, address, installation, master))


async def _write(conn: Connection, address: Email, installation: Settings, master: MasterKey) -> Invitation:
    if await find_by_proved_email(conn, address.canonical) is not None:
        refuse("this e-mail address belongs to an account already")
    now, secret = await database_time(conn), token(system_entropy)
    invitation = new_invitation(secret, address, now)
    await create_invitation(conn, invitation)
    where = say("your organisation's help desk")
    writer = Writer(pages_of(installation), installation.issuer, system_entropy, now, where, choose())
    facts = {
        "email": address.shown,
        "link": invitation_link(installation.issuer, secret),
        "ends_at": Moment(invitation.expires_at),
    }
    message = writer.message(address.shown, None, "invitation", facts, life=INVITATION_LIFE)
    await create_message(conn, message, master, entropy=system_entropy)
    await note(conn, "user_invited", now, details={"email": address.shown})
    return invitation
