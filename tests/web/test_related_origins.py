"""Related origins: where else our passkeys may be used (WebAuthn Level 3 §5.11)."""

from pathlib import Path

from tests.attacks.passkeys import add_passkey, authenticator, use_passkey
from tests.driver import ISSUER, Rig, running

RELATED = "https://id.example.de"


async def test_without_a_setting_there_is_none(rig: Rig) -> None:
    async with rig.browser().http as http:
        assert (await http.get("/.well-known/webauthn")).status_code == 404


async def test_they_are_published_and_passkeys_are_taken_from_there_and_from_nowhere_else(
    database: str, tmp_path: Path
) -> None:
    """A-44: exact, as listed."""
    async with running(database, tmp_path, IDP_RELATED_ORIGINS=RELATED) as rig:
        async with rig.browser().http as http:
            answer = await http.get("/.well-known/webauthn")
        assert answer.json() == {"origins": [ISSUER, RELATED]}
        assert answer.headers["content-type"] == "application/json"
        browser, device = rig.browser(), authenticator(rig.issuer)
        await browser.register()
        refused = await add_passkey(browser, device, origin="https://id.example.de.evil.test")
        assert refused.status_code == 400
        assert (await add_passkey(browser, device, origin=RELATED)).url.path == "/account/authenticators"
        for origin, path in (
            ("https://evil.test", "/login"),
            ("http://id.example.de", "/login"),
            (RELATED, "/account"),
        ):
            stranger = rig.browser()
            await stranger.get("/login")
            assert (await use_passkey(stranger, device, origin=origin)).url.path == path, origin
