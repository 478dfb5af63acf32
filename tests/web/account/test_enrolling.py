"""The pages that add an authenticator keep what was typed when it was refused."""

import re

from tests.attacks.passkeys import authenticator, ceremony_on, decoded
from tests.driver import Rig


async def test_the_name_typed_for_an_app_outlives_a_wrong_code(rig: Rig) -> None:
    """Nothing is lost by a mistake: the key stays the same as well."""
    browser = rig.browser()
    await browser.register()
    shown = await browser.get("/account/authenticators/add-totp")
    refused = await browser.submit(code="000000", name='Work "phone"')
    assert refused.status_code == 400
    assert 'value="Work &#34;phone&#34;"' in refused.text
    key = r"secret=([A-Z2-7]{32})"
    assert set(re.findall(key, refused.text)) == set(re.findall(key, shown.text)) != set()


async def test_the_name_typed_for_a_passkey_outlives_its_refusal(rig: Rig) -> None:
    """The browser may be asked once more, and the name is still there."""
    browser = rig.browser()
    await browser.register()
    await browser.get("/account/authenticators/add-passkey")
    refused = await browser.submit(credential="{}", name="Blue key")
    assert refused.status_code == 400
    assert 'value="Blue key"' in refused.text


async def test_a_passkey_that_the_browser_makes_by_itself_takes_no_challenge_of_the_page(rig: Rig) -> None:
    """The account asks for one behind the back of the owner, who may be on the way to the page that adds one."""
    browser = rig.browser()
    await browser.register()
    device = authenticator(rig.issuer)
    asked = ceremony_on(await browser.get("/account/authenticators/add-passkey"))
    assert (await browser.post("/account/passkey-upgrade/options", {})).status_code == 200
    assert (await browser.post("/account/passkey-upgrade", {"credential": "{}"})).status_code == 204
    made = device.make(asked.challenge, user_handle=decoded(asked.options["user"]["id"]))
    assert (await browser.post(asked.action, {"credential": made, "name": ""})).url.path == "/account/authenticators"
