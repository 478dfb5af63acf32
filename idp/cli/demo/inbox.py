"""The developer's inbox: what the provider has to say to people, read from its database.

Nothing that an application needs, and there only where `idp dev` gives the address of the database.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.templating import Jinja2Templates

from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey, MasterKeyError, SealBroken, load_or_create
from idp.cli.demo.config import Config
from idp.store.outbox import text_of

TEMPLATES = Jinja2Templates(Path(__file__).parent / "templates")
HOSTS = ("localhost", "127.0.0.1")
MOST = 50
CHANNELS = {"mail": "Mail", "sms": "Text message"}


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as the inbox shows it."""

    channel: str
    recipient: str
    subject: str
    text: str
    created_at: datetime
    state: str


async def inbox(request: Request) -> Response:
    """The newest messages, newest first."""
    if request.url.hostname not in HOSTS:
        # A page elsewhere whose name is made to lead to this machine must not read along.
        return PlainTextResponse("Open this by localhost.", 421)
    context = {"letters": await _letters(request.app.state.config)}
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return TEMPLATES.TemplateResponse(request, "inbox.html", context, headers=headers)


async def _letters(config: Config) -> list[Letter]:
    connection = await asyncpg.connect(config.database_url, timeout=5, command_timeout=5)
    try:
        rows = await connection.fetch(
            """
            SELECT id, channel, recipient, subject, sealed_text, created_at, sent_at, failed_at FROM outbox
            ORDER BY created_at DESC, id
            LIMIT $1
            """,
            MOST,
        )
    finally:
        await connection.close()
    master = _master_key(config) if rows else None
    return [_letter(row, master) for row in rows]


def _master_key(config: Config) -> MasterKey | None:
    try:
        return load_or_create(config.keys_dir, config.master_key, may_create=False, entropy=system_entropy)
    except MasterKeyError:
        return None


def _letter(row: "asyncpg.Record", master: MasterKey | None) -> Letter:
    text, state = "", _state(row)
    if not state:
        try:
            text = text_of(row["id"], row["sealed_text"], master) if master else ""
        except SealBroken:
            master = None
        state = "" if master else "Sealed: the master key of this installation cannot be read here."
    return Letter(CHANNELS[row["channel"]], row["recipient"], row["subject"], text, row["created_at"], state)


def _state(row: "asyncpg.Record") -> str:
    if row["sent_at"]:
        return "Sent. What it said is not kept."
    return "Given up. What it said is not kept." if row["failed_at"] else ""
