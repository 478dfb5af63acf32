"""What password managers are told (WebAuthn Level 3 §5.1.10), and by which pages."""

import json
import re
from html import unescape
from typing import Any

import httpx2

from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on, use_passkey
from tests.authn.authenticator import base64url
from tests.driver import PASSWORD, Rig
from tests.web.account.people import sign_in, text_of

WAYS = "/account/authenticators"


def signals_on(page: httpx2.Response) -> dict[str, Any] | None:
    found = re.search(r'data-passkeys="([^"]*)"', page.text)
    return json.loads(unescape(found[1])) if found else None


def unknown_on(page: httpx2.Response) -> str | None:
    found = re.search(r'data-unknown="([^"]*)"', page.text)
    return found and found[1]


async def test_the_owner_s_page_tells_which_passkeys_are_good(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    one, two = (authenticator(rig.issuer, credential_id=b"credential no. %d" % number) for number in (1, 2))
    await add_passkey(browser, one)
    rig.clock.advance(1)
    page = await add_passkey(browser, two)
    handle = one.user_handle
    assert handle is not None
    assert signals_on(page) == {
        "rpId": "localhost",
        "userId": base64url(handle),
        "name": "alice",
        "displayName": "alice",
        "allAcceptedCredentialIds": [base64url(one.credential_id), base64url(two.credential_id)],
    }
    [first, *_] = re.findall(rf"{WAYS}/(\w+)/remove", page.text)
    await browser.get(f"{WAYS}/{first}/remove")
    page = await browser.post(f"{WAYS}/{first}/remove", {})
    told = signals_on(page)
    assert told is not None
    assert told["allAcceptedCredentialIds"] == [base64url(two.credential_id)]


async def test_another_name_is_told_and_is_what_new_passkeys_get(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    await browser.get("/account/profile")
    page = await browser.submit(name="Alice Example")
    assert signals_on(page) is None, "there is no passkey to tell of it"
    await add_passkey(browser, authenticator(rig.issuer))
    await browser.get("/account/profile")
    told = signals_on(await browser.submit(name="Alice Liddell"))
    assert told is not None
    assert (told["name"], told["displayName"]) == ("alice", "Alice Liddell")
    page = await browser.get(f"{WAYS}/add-passkey")
    assert ceremony_on(page).options["user"]["displayName"] == "Alice Liddell"


async def test_a_passkey_that_nobody_knows_may_be_forgotten(rig: Rig) -> None:
    browser, stray = rig.browser(), authenticator(rig.issuer)
    stray.user_handle = b"somebody"
    await browser.get("/login")
    page = await use_passkey(browser, stray)
    assert 'data-error="webauthn_unknown"' in page.text
    assert unknown_on(page) == base64url(stray.credential_id)


async def test_a_passkey_that_is_refused_for_another_reason_may_not(rig: Rig) -> None:
    """Else a page that was open too long would take a good passkey from its owner."""
    owner, device = rig.browser(), authenticator(rig.issuer)
    await owner.register()
    await add_passkey(owner, device)
    browser = rig.browser()
    await browser.get("/login")
    for switches in ({"signature": bytes(70)}, {"user_handle": b"x"}, {"client_data": {"challenge": "aW52ZW50ZWQ"}}):
        page = await use_passkey(browser, device, **switches)
        assert 'data-error="webauthn_unknown"' in page.text
        assert unknown_on(page) is None, switches
    mallory = rig.browser()
    await mallory.register("mallory")
    await add_passkey(mallory, authenticator(rig.issuer, credential_id=b"a credential of mallory's"))
    # As a second step: known, but not this user's.
    again = rig.browser()
    await sign_in(again, username="mallory", password=PASSWORD)
    page = await use_passkey(again, device)
    assert 'data-error="webauthn_unknown"' in page.text
    assert unknown_on(page) is None


async def test_each_passkey_says_what_keeps_it_and_whether_it_stays_there(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    bitwarden, yubikey = (
        bytes.fromhex("d548826e79b4db40a3d811116f7e8349"),
        bytes.fromhex("cb69481e8ff7403993ec0a2729a154a8"),
    )
    kept: tuple[tuple[dict[str, Any], str, str, str], ...] = (
        ({"aaguid": bitwarden}, "Mine", "vault", "Mine Bitwarden · Synced between your devices · added"),
        ({"aaguid": bitwarden}, "", "vault", "Bitwarden Synced between your devices · added"),
        ({"backed_up": False}, "Phone", "phone", "Phone Can be synced, and is on one device so far · added"),
        (
            {"aaguid": yubikey, "backed_up": False, "backup_eligible": False},
            "",
            "securitykey",
            "YubiKey 5 Stays on its device · added",
        ),
        ({"backed_up": False, "backup_eligible": False}, "Here", "laptop", "Here Stays on its device · added"),
    )
    for number, (attributes, name, _, _) in enumerate(kept):
        device = authenticator(rig.issuer, credential_id=b"credential no. %d" % number, **attributes)
        asked = ceremony_on(await browser.get(f"{WAYS}/add-passkey"))
        made = device.make(asked.challenge, user_handle=b"x")
        page = await browser.post(asked.action, {"credential": made, "name": name})
    said = text_of(page)
    for _, _, icon, text in kept:
        assert text in said
        assert f"#{icon}" in page.text
