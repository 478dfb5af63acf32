"""Passkeys over plain HTTP: a software authenticator answers what the pages of a browser ask for."""

import json
import re
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.authn.authenticator import Authenticator
from tests.driver import Browser


@dataclass(frozen=True)
class Ceremony:
    """What a page asks an authenticator for: where the answer goes, the challenge, and all options."""

    action: str
    challenge: bytes
    options: dict[str, Any] = field(repr=False)


def ceremony_on(page: httpx2.Response) -> Ceremony:
    """The ceremony that this page offers."""
    form = re.search(r'<form[^>]*?action="([^"]+)"[^>]*?data-options="([^"]+)"', page.text)
    assert form, page.text
    options = json.loads(unescape(form[2]))
    return Ceremony(str(page.url.join(unescape(form[1]))), decoded(options["challenge"]), options)


def decoded(text: str) -> bytes:
    """The bytes of a base64url string."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def authenticator(issuer: str, **attributes: Any) -> Authenticator:
    """A new authenticator that knows this issuer."""
    return Authenticator(rp_id=urlsplit(issuer).hostname or "", origin=issuer, **attributes)


async def add_passkey(browser: Browser, device: Authenticator, **switches: Any) -> httpx2.Response:
    """Enrol this authenticator in the account of the browser's session."""
    asked = ceremony_on(await browser.get("/account/authenticators/add-passkey"))
    handle = decoded(asked.options["user"]["id"])
    made = device.make(asked.challenge, **{"user_handle": handle, **switches})
    return await browser.post(asked.action, {"credential": made, "name": ""})


async def use_passkey(browser: Browser, device: Authenticator, **switches: Any) -> httpx2.Response:
    """Answer the ceremony of the page at which the browser is."""
    assert browser.page is not None
    asked = ceremony_on(browser.page)
    return await browser.post(asked.action, {"credential": device.use(asked.challenge, **switches)})
