"""An account as operators see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from idp.authn.methods import authenticators
from idp.cli.output import emit, table
from idp.model.user import User
from idp.settings import Settings
from idp.store.database import Connection


def document(user: User, locked: Sequence[str] = ()) -> dict[str, object]:
    """The account as `describe` has it, and the methods that too many failed attempts have switched off."""
    return {**describe(user), "locked": list(locked)}


def describe(user: User) -> dict[str, object]:
    """The account as JSON values, without any secret."""
    return {
        "sub": user.sub,
        "username": user.username,
        "email": user.email,
        "email_verified": user.email_verified,
        "phone": user.phone,
        "phone_verified": user.phone_verified,
        "password": user.password_hash is not None,
        "created_at": timestamp(user.created_at),
        "updated_at": timestamp(user.updated_at),
        "disabled_at": timestamp(user.disabled_at),
    }


async def locked_of(conn: Connection, user: User) -> tuple[str, ...]:
    """The methods of the user that are switched off."""
    return tuple({one.method: None for one in await authenticators(conn, user) if one.locked})


def print_user(
    user: User, locked: Sequence[str], more: Mapping[str, object] = MappingProxyType({}), *, as_json: bool
) -> None:
    """Print the account, with what ``more`` is known of it."""
    shown = {**document(user, locked), **more}
    rows = [(name, _text(value)) for name, value in shown.items() if value not in (None, [])]
    emit(shown, table(rows), as_json=as_json)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def timestamp(moment: datetime | None) -> str | None:
    """The moment to the second; None where there is none."""
    return None if moment is None else moment.isoformat(timespec="seconds")


def unsent(installation: Settings) -> str:
    """What to add to the news of a mail: that it waits, where nothing sends it."""
    return "" if installation.mail_url else "\nIt waits in the outbox: no mail server is set (IDP_MAIL_URL)."
