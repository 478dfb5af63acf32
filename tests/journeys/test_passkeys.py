"""Passkeys in a real browser: what it makes by itself, what it is told, and an account that has nothing else."""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from playwright.async_api import Page, expect

from tests.browser import Authenticator
from tests.journeys.people import PASSWORD, register

pytestmark = pytest.mark.browser

MAKES_PASSKEYS = """
    // A browser whose password manager makes a passkey after a password; it shows nothing, so nobody is asked.
    PublicKeyCredential.getClientCapabilities = async () => ({ conditionalCreate: true });
    const create = navigator.credentials.create.bind(navigator.credentials);
    navigator.credentials.create = ({ mediation, ...options }) => {
      if (mediation !== "conditional") throw new Error("not by itself");
      return create(options);
    };
"""


async def keep_another(device: Authenticator, credential_id: bytes) -> None:
    """Let the device have a passkey that no server knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    await device.add(
        {
            "credentialId": b64encode(credential_id).decode(),
            "isResidentCredential": True,
            "rpId": "localhost",
            "privateKey": b64encode(private).decode(),
            "userHandle": b64encode(b"somebody").decode(),
            "signCount": 0,
        }
    )


async def add_passkey(page: Page, provider: str, name: str) -> None:
    await page.goto(f"{provider}/account/authenticators/add-passkey")
    await page.fill("#name", name)
    await page.click("button#add-passkey")
    await page.wait_for_url(f"{provider}/account/authenticators")


async def eventually_has(device: Authenticator, page: Page, count: int) -> None:
    for _ in range(50):
        if len(await device.credentials()) == count:
            return
        await page.wait_for_timeout(100)
    raise AssertionError(f"{await device.credentials()} are not {count}")


async def test_a_passkey_that_was_removed_is_forgotten_by_the_device(page: Page, site: tuple[str, str]) -> None:
    """And one that nobody knows, when it is presented (WebAuthn Level 3 §5.1.10)."""
    provider, _ = site
    device = await Authenticator.of(page)
    await register(page, provider)
    await add_passkey(page, provider, "Laptop")
    await eventually_has(device, page, 1)
    await page.locator("a, button", has_text="Remove Laptop").first.click()
    await page.click("button.danger")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await eventually_has(device, page, 0)
    await page.click("#sign-out")
    await keep_another(device, b"a passkey of long ago")
    await page.goto(f"{provider}/login")
    error = page.locator("#error")
    await error.wait_for()
    assert await error.get_attribute("data-error") == "webauthn_unknown"
    await eventually_has(device, page, 0)


async def test_an_account_without_a_password(page: Page, site: tuple[str, str]) -> None:
    provider, _ = site
    device = await Authenticator.of(page)
    await register(page, provider)
    await add_passkey(page, provider, "Laptop")
    await page.goto(f"{provider}/account/password")
    await page.click("#remove-password")
    await page.wait_for_url(f"{provider}/account/authenticators")
    await device.touch(False)
    await page.click("#sign-out")
    await page.goto(f"{provider}/login")
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    await page.click("form[data-method=password] button.main")
    await expect(page.locator("#error")).to_have_attribute("data-error", "wrong_credentials")
    await device.touch(True)
    # The browser's autofill may already have used it: the button is for where it has not.
    await page.wait_for_timeout(1000)
    if await page.locator("#use-passkey").count():
        await page.click("#use-passkey")
    await page.wait_for_url(f"{provider}/account")


async def test_a_passkey_comes_by_itself_after_a_password(page: Page, site: tuple[str, str]) -> None:
    provider, _ = site
    device = await Authenticator.of(page)
    await register(page, provider)
    await page.click("#sign-out")
    await page.add_init_script(MAKES_PASSKEYS)
    await page.goto(f"{provider}/login")
    await page.fill("#username", "alice")
    await page.fill("#password", PASSWORD)
    async with page.expect_response(lambda answer: answer.url == f"{provider}/account/passkey-upgrade") as made:
        await page.click("form[data-method=password] button.main")
    assert (await made.value).status == 204
    await page.goto(f"{provider}/account/authenticators")
    await expect(page.locator("main")).to_contain_text("made by your browser")
    [credential] = await device.credentials()
    told = json.loads(await page.get_attribute("[data-passkeys]", "data-passkeys") or "{}")
    raw = credential["credentialId"].encode()
    assert told["allAcceptedCredentialIds"] == [_base64url(raw)]
    # It signs in alone, and no password needs it.
    await page.click("#sign-out")
    await page.goto(f"{provider}/login")
    await page.wait_for_url(f"{provider}/account")


def _base64url(base64: bytes) -> str:
    return urlsafe_b64encode(b64decode(base64)).rstrip(b"=").decode()
