"""The logo of an application, fetched when it is registered."""

import sys

from idp.base.outside import FetchRefused, Outside
from idp.base.picture import PictureError, as_png
from idp.model.client import Client
from idp.store.client_logos import keep_logo
from idp.store.database import Pool, transaction

LARGEST = 200_000
EDGE = 88
"""Twice the size at which it is drawn, for dense screens."""


async def fetch_logo(pool: Pool, client: Client, outside: Outside) -> None:
    """Keep a copy of the picture at the client's ``logo_uri``; where none can be had, say so and leave it at that."""
    if client.logo_uri is None:
        return
    try:
        found = await outside.fetch(client.logo_uri, largest=LARGEST, accept="image/png, image/webp, image/jpeg")
        picture = as_png(found, EDGE)
    except (FetchRefused, PictureError) as error:
        sys.stderr.write(f"The logo is not shown: {error}. Users see the first letter of the name instead.\n")
        return
    async with transaction(pool) as conn:
        await keep_logo(conn, client.client_id, client.logo_uri, picture)
