"""`idp user recover --factors` and `--cancel`: an operator begins or stops the removal of lost second factors.

The delay, the notices and the proofs are those of everybody: the operator sets no password and opens nothing.
"""

from idp.app import pages_of
from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.base.text import Moment, say
from idp.cli.master import master_key
from idp.cli.output import database, refuse
from idp.cli.trail import note
from idp.cli.who import get_meant
from idp.model.factor_recovery import FactorRecovery
from idp.model.user import User
from idp.settings import Settings
from idp.store.clock import database_time
from idp.store.database import Connection, transaction
from idp.store.factor_recoveries import cancel_waiting
from idp.store.outbox import create_message
from idp.web.language import choose
from idp.web.mail_link import address_of_link
from idp.web.notices import Writer
from idp.web.reader import account_locale
from idp.web.recover.factor_recovery import USUAL_DELAY, cancel_link, keep_recovery, new_recovery
from idp.web.text_notices import text_of_notice


async def start_factor_recovery(installation: Settings, who: str) -> tuple[User, FactorRecovery]:
    """Begin the wait, and tell the owner by every way there is; refuses where it could never be finished."""
    async with database(installation) as pool:
        master = await master_key(pool, installation)
        async with transaction(pool) as conn:
            user = await get_meant(conn, who)
            return user, await _begin(conn, user, installation, master)


async def stop_factor_recovery(installation: Settings, who: str) -> User:
    """Stop what the account waits for; refuses where it waits for nothing."""
    async with database(installation) as pool:
        master = await master_key(pool, installation)
        async with transaction(pool) as conn:
            user, now = await get_meant(conn, who), await database_time(conn)
            if await cancel_waiting(conn, user.sub, now=now) is None:
                refuse("this account does not wait for the removal of its second factors")
            await note(conn, "factor_recovery_cancelled", now, sub=user.sub, details={"cause": "operator"})
            await _tell(conn, user, installation, master, "factor_recovery_cancelled", {})
            return user


async def _begin(conn: Connection, user: User, installation: Settings, master: MasterKey) -> FactorRecovery:
    address, now = address_of_link(user), await database_time(conn)
    if user.disabled_at is not None:
        refuse("this account is disabled: open it with `idp user enable` first")
    if address is None:
        refuse("this account has no confirmed e-mail address, and a link goes nowhere else")
    if user.password_hash is None:
        refuse("this account has no password, without which the link does nothing: use `idp user recover` first")
    asked = new_recovery(system_entropy, user, address, now, installation.factor_recovery_delay or USUAL_DELAY)
    if not await keep_recovery(conn, asked, master):
        refuse("this account waits for the removal of its second factors already: see `idp user show`")
    details = {"not_before": asked.not_before.isoformat()}
    await note(conn, "factor_recovery_asked", now, sub=user.sub, details=details)
    facts = {"link": cancel_link(installation.issuer, master, asked), "ripe_at": Moment(asked.not_before)}
    await _tell(conn, user, installation, master, "factor_recovery_asked", facts)
    return asked


async def _tell(
    conn: Connection, user: User, installation: Settings, master: MasterKey, kind: str, facts: dict[str, object]
) -> None:
    pages, language = pages_of(installation), choose(*account_locale(user))
    desk = say("your organisation's help desk")
    now = await database_time(conn)
    writer = Writer(pages, installation.issuer, system_entropy, now, desk, language)
    address = address_of_link(user)
    mail = writer.message(address.shown, user, kind, facts) if address is not None else None
    text = text_of_notice(writer, user, kind, facts) if installation.sms_url is not None else None
    for message in (mail, text):
        if message is not None:
            await create_message(conn, message, master, entropy=system_entropy)
