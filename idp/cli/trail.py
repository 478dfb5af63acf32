"""The audit trail as the commands write it: what an operator did, and under which name of this machine."""

import getpass
from collections.abc import Mapping
from datetime import datetime

from idp.model.event import Event
from idp.store.audit_events import record_event
from idp.store.database import Connection


def os_user() -> str:
    """Who runs the command, as the operating system calls them; empty where it has no name for them."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        return ""
    return name.encode("utf-8", "replace").decode()[:64]


async def note(
    conn: Connection,
    event: str,
    now: datetime,
    *,
    sub: str | None = None,
    client_id: str | None = None,
    details: Mapping[str, object] | None = None,
) -> None:
    """Append the operator's act to the audit trail in its own transaction, so that neither is kept alone."""
    by = {"os_user": name} if (name := os_user()) else {}
    kept = {name: value for name, value in {**(details or {}), **by}.items() if value is not None}
    await record_event(conn, Event(event, "operator", now, sub=sub, client_id=client_id, details=kept))
