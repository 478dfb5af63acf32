"""People with telephones: what was texted to them, and an account whose second step is a code by text message."""

import re
from dataclasses import replace
from datetime import timedelta

import httpx2

from idp.base.digest import PasswordHasher
from idp.model.user import User
from idp.store import users
from idp.store.database import transaction
from idp.store.outbox import text_of
from tests.driver import PASSWORD, Browser, Rig

NUMBER = "+447700900123"
SMS = {"IDP_SMS_URL": "outbox:"}


async def add_person(rig: Rig, username: str = "carol", number: str | None = NUMBER, **changes: object) -> User:
    """An account as an operator makes it: a password, and a number that counts as confirmed."""
    provider, now = rig.app.state.provider, rig.clock()
    hasher = PasswordHasher(workers=1)
    try:
        hashed = await hasher.hash(PASSWORD)
    finally:
        hasher.close()
    # Older than anything that is proved in a test.
    changed = now - timedelta(days=1)
    user = User(f"sub-of-{username}", username, changed, changed, password_hash=hashed, password_changed_at=changed)
    user = replace(user, phone=number, phone_verified=number is not None, **changes)  # type: ignore[arg-type]
    async with transaction(provider.pool) as conn:
        return await users.create(conn, user, username_canonical=username, email_canonical=user.email)


async def texts(rig: Rig, channel: str = "sms") -> list[tuple[str, str]]:
    """Whom codes were sent to and what they say, oldest first; what a gateway has taken is not among them."""
    provider = rig.app.state.provider
    async with transaction(provider.pool) as conn:
        rows = await conn.fetch(
            """
            SELECT outbox.id, outbox.recipient, sealed_text FROM outbox
            WHERE channel = $1 AND kind = 'sign_in_code' AND sealed_text IS NOT NULL
            ORDER BY ctid
            """,
            channel,
        )
    return [(row["recipient"], text_of(row["id"], row["sealed_text"], provider.tools.master_key)) for row in rows]


def code_in(text: str) -> str:
    """The code that a message brings."""
    found = re.search(r"\b\d{6}\b", text)
    assert found, text
    return found[0]


async def newest_code(rig: Rig, channel: str = "sms") -> str:
    """The code that was sent last."""
    return code_in((await texts(rig, channel))[-1][1])


async def with_password(browser: Browser, username: str = "carol", url: str = "/login") -> httpx2.Response:
    """The page after the password."""
    await browser.get(url)
    return await browser.submit(username=username, password=PASSWORD)


def wrong(code: str, by: int = 1) -> str:
    """Another code than this."""
    return f"{(int(code) + by) % 1_000_000:06}"


async def another_code(browser: Browser, method: str = "sms") -> httpx2.Response:
    """The page after the button that asks for a new code."""
    assert browser.page is not None
    interaction = str(browser.page.url.params["interaction"])
    return await browser.post(f"/login/send-code?interaction={interaction}&method={method}", {})
