"""The demo application of `idp dev`, as a client of this installation."""

import contextlib
import json
import os
from pathlib import Path

from idp.base.digest import same, sha256
from idp.cli.client import new_client, note_added, note_updated, renew_secret
from idp.oauth import registration
from idp.store import clients
from idp.store.clock import database_time
from idp.store.database import Pool, transaction


async def ensure_demo_client(pool: Pool, data_dir: Path, port: int = 8001) -> tuple[str, str]:
    """The identifier and secret of the demo application on that port; it is registered if it is not yet.

    The secret lies in ``demo-client.json`` in the data directory, for this user's eyes alone; if that file and the
    database do not fit, a new secret takes its place.
    """
    file = data_dir / "demo-client.json"
    client_id, secret = _read(file)
    metadata = {
        "client_name": "Example Bank",
        "redirect_uris": [f"http://localhost:{port}/callback"],
        "post_logout_redirect_uris": [f"http://localhost:{port}/"],
    }
    async with transaction(pool) as conn:
        client = await clients.find_client(conn, client_id)
        if client is None:
            client, secret = new_client(metadata, await database_time(conn))
            await clients.create(conn, client)
            await note_added(conn, client)
        elif not same(sha256(secret), client.secret_hash or b""):
            secret = await renew_secret(conn, client)
        else:
            amended = registration.amend(client, metadata)
            await clients.update(conn, amended)
            await note_updated(conn, client, amended)
        _write(file, client.client_id, secret)
    return client.client_id, secret


def _read(file: Path) -> tuple[str, str]:
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(file.read_text())
        return str(kept["client_id"]), str(kept["client_secret"])
    return "", ""


def _write(file: Path, client_id: str, secret: str) -> None:
    # Written beside and renamed: a reader never finds half of it, and nobody else may read it for a moment.
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        json.dump({"client_id": client_id, "client_secret": secret}, opened)
    fresh.rename(file)
