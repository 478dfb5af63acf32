"""`idp user recover`: an operator starts the recovery of an account, and never sets or sees its password."""

from idp.app import pages_of
from idp.authn.methods import authenticators
from idp.authn.policy import has_passkey_alone
from idp.base.entropy import system_entropy, token
from idp.base.seal import MasterKey
from idp.base.text import say
from idp.cli.master import master_key
from idp.cli.output import database, refuse
from idp.cli.trail import note
from idp.cli.who import get_meant
from idp.model.user import User
from idp.settings import Settings
from idp.store.clock import database_time
from idp.store.database import Connection, transaction
from idp.store.mail_links import create_link
from idp.store.outbox import create_message
from idp.web.language import choose
from idp.web.mail_link import RESET_LIFE, address_of_link, new_link
from idp.web.notices import Writer
from idp.web.reader import account_locale


async def start_recovery(installation: Settings, who: str) -> User:
    """Keep a mail with a link for a new password to the account's proved address; refuses where there is none."""
    async with database(installation) as pool:
        master = await master_key(pool, installation)
        async with transaction(pool) as conn:
            user = await get_meant(conn, who)
            await _write(conn, user, installation, master)
            return user


async def _write(conn: Connection, user: User, installation: Settings, master: MasterKey) -> None:
    address, now, secret = address_of_link(user), await database_time(conn), token(system_entropy)
    if user.disabled_at is not None:
        refuse("this account is disabled: open it with `idp user enable` first")
    if address is None:
        refuse("this account has no confirmed e-mail address, and a link goes nowhere else")
    if has_passkey_alone(await authenticators(conn, user)):
        refuse("this account signs in by a passkey and has no password")
    await create_link(conn, new_link(secret, "reset_password", user, address, now))
    language = choose(*account_locale(user))
    pages = pages_of(installation)
    writer = Writer(pages, installation.issuer, system_entropy, now, say("your organisation's help desk"), language)
    link = f"{installation.issuer}/recover/password?link={secret}"
    message = writer.message(address.shown, user, "reset_password", {"link": link}, life=RESET_LIFE)
    await create_message(conn, message, master, entropy=system_entropy)
    await note(conn, "recovery_started", now, sub=user.sub)
