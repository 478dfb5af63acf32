"""Passkeys over HTTP: challenges used again, other sites, other people's credentials, counters that go back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on, decoded, use_passkey
from tests.attacks.test_login_flow import enrolled, silent
from tests.authn.authenticator import ES384, Authenticator
from tests.cluster import Cluster
from tests.cluster import authorization as begun_at_app
from tests.driver import PASSWORD, Browser, Rig, authorization, claims_of, exchange, response_of, running

EVIL = "https://evil.test"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


async def owner(rig: Rig, username: str = "alice", **attributes: Any) -> tuple[Browser, Authenticator]:
    """A browser signed in with a passkey of its own."""
    browser, device = rig.browser(), authenticator(rig.issuer, **attributes)
    await browser.register(username)
    assert (await add_passkey(browser, device)).url.path == "/account/authenticators"
    return browser, device


async def asked(rig: Rig) -> Browser:
    """A browser at the sign-in page of a request."""
    browser = rig.browser()
    await browser.get(authorization())
    return browser


async def test_a_passkey_signs_in_alone(rig: Rig) -> None:
    """What all refusals below are measured against (ASVS 6.3.3, 6.5.7)."""
    _, device = await owner(rig)
    browser = await asked(rig)
    await use_passkey(browser, device)
    answer = response_of(await browser.submit(decision="allow"))
    told = claims_of((await exchange(rig, answer["code"])).json()["id_token"])
    assert (told["acr"], told["amr"]) == ("phr", ["swk", "user", "mfa"])


async def test_A_43_an_assertion_counts_once_and_while_it_is_young(rig: Rig) -> None:
    """Again, in another flow, for an invented challenge, after 11 minutes; the challenge is the server's (G15)."""
    _, device = await owner(rig)
    browser = await asked(rig)
    assert browser.page is not None
    ceremony = ceremony_on(browser.page)
    assertion = device.use(ceremony.challenge)
    assert (await browser.post(ceremony.action, {"credential": assertion})).url.path == "/consent"
    # Once more in the same flow, and in one of another browser.
    again = await browser.http.post(ceremony.action, data={"credential": assertion})
    other = await asked(rig)
    assert other.page is not None
    elsewhere = await other.http.post(ceremony_on(other.page).action, data={"credential": assertion})
    assert [again.status_code, elsewhere.status_code] == [400, 400]
    assert "idp_session" not in other.http.cookies
    # That attempt has used the challenge up, whatever it was worth.
    late = device.use(ceremony_on(other.page).challenge)
    assert (await other.http.post(ceremony.action.partition("?")[0], data={"credential": late})).status_code == 403
    assert (await other.http.post(ceremony_on(other.page).action, data={"credential": late})).status_code == 400
    # Its own invention, sent in every place where a server could look for it.
    invented = await asked(rig)
    page = await use_passkey(invented, device, client_data={"challenge": "aW52ZW50ZWQgaW52ZW50ZWQ"})
    assert 'data-error="webauthn_unknown"' in page.text
    assert invented.page is not None
    made = device.use(b"invented challenge of 32 bytes!!")
    page = await invented.post(
        ceremony_on(invented.page).action,
        {"credential": made, "challenge": "aW52ZW50ZWQgY2hhbGxlbmdlIG9mIDMyIGJ5dGVzISE"},
    )
    assert page.status_code == 400
    for minutes, right in ((9, True), (11, False)):
        waiting = await asked(rig)
        rig.clock.advance(minutes * 60)
        page = await use_passkey(waiting, device)
        assert (page.url.path == "/consent") is right
        assert right or 'data-error="webauthn_timeout"' in page.text


async def test_A_43_and_6_7_2_challenges_never_repeat(rig: Rig) -> None:
    """G15: 32 bytes each, a new one whenever the page is drawn (ASVS 6.7.2)."""
    seen = set()
    for _ in range(20):
        browser = await asked(rig)
        for _ in range(3):
            assert browser.page is not None
            challenge = ceremony_on(browser.page).challenge
            assert len(challenge) == 32
            assert challenge not in seen
            seen.add(challenge)
            await browser.get(str(browser.page.url))


async def test_A_43_not_on_the_other_process_either(cluster: Cluster) -> None:
    """The same assertion to each server in turn, while the flow that it answered goes on (G2)."""
    device = authenticator(cluster.issuer)
    bob = await cluster.signed_in("bob", consent=())
    await add_passkey(bob, device)
    browser = cluster.browser()
    page = await browser.get(begun_at_app())
    form = {"credential": device.use(ceremony_on(page).challenge)}
    cookies = {"cookie": f"idp_browser={browser.http.cookies['idp_browser']}"}
    statuses = []
    for worker in cluster.workers * 2:
        async with cluster.http(worker) as http:
            target = f"/login?{page.url.query.decode()}"
            statuses.append((await http.post(target, data=form, headers=cookies)).status_code)
    assert statuses == [303, 400, 400, 400]
    for one in (bob, browser):
        await one.http.aclose()


FOREIGN: tuple[dict[str, Any], ...] = (
    {"origin": EVIL},
    {"origin": "https://localhost.evil.test"},
    {"origin": "https://localhost:8000"},
    {"origin": "http://localhost:8000.evil.test"},
    {"origin": "http://localhost"},
    {"origin": "null"},
    {"rp_id": "evil.test"},
    {"rp_id": "localhost.evil.test"},
    {"type": "webauthn.create"},
    {"type": "payment.get"},
    {"user_verified": False},
    {"user_present": False},
    {"client_data": {"crossOrigin": True}},
    {"client_data": {"topOrigin": EVIL}},
    {"signature": bytes(70)},
    {"user_handle": None},
    {"user_handle": b"somebody else"},
    {"raw_id": b"an id that nobody has registered"},
)


async def test_A_44_made_for_another_purpose(rig: Rig) -> None:
    """Another site, another scheme, another ceremony, no user, no signature."""
    _, device = await owner(rig)
    browser = await asked(rig)
    for switches in FOREIGN:
        page = await use_passkey(browser, device, **switches)
        assert page.status_code == 400, switches
        assert 'id="error"' in page.text
        assert "idp_session" not in browser.http.cookies, switches
    assert (await silent(browser))["error"] == "login_required"
    await browser.get(authorization())
    assert (await use_passkey(browser, device)).url.path == "/consent"


async def test_A_45_a_credential_is_its_owners_alone(rig: Rig) -> None:
    """Mallory's in alice's flow, as second factor and as step-up; alice's own is right."""
    alice, device = await owner(rig)
    _, mallorys = await owner(rig, "mallory", credential_id=b"a credential of mallory's")
    browser = rig.browser()
    await browser.get(authorization())
    await browser.submit(username="alice", password=PASSWORD)
    assert browser.page is not None
    assert 'data-ceremony="get"' in browser.page.text
    for switches in ({}, {"user_handle": device.user_handle}, {"raw_id": device.credential_id}):
        page = await use_passkey(browser, mallorys, **switches)
        assert page.status_code == 400
        assert (await silent(browser))["error"] == "login_required"
    assert (await use_passkey(browser, device)).url.path == "/consent"
    rig.clock.advance(21 * 60)
    await alice.get("/account/authenticators/add-totp")
    assert (await use_passkey(alice, mallorys)).status_code == 400
    assert (await use_passkey(alice, device)).url.path == "/account/authenticators/add-totp"


@pytest.mark.parametrize("alg", [ES384, -257])
async def test_A_45_only_what_was_offered_is_taken(rig: Rig, alg: int) -> None:
    """An algorithm that the options do not list; an RSA key too short to be one."""
    browser = rig.browser()
    await browser.register()
    page = await browser.get("/account/authenticators/add-passkey")
    offered = {one["alg"] for one in ceremony_on(page).options["pubKeyCredParams"]}
    assert ES384 not in offered
    refused = await add_passkey(browser, authenticator(rig.issuer, alg=alg, rsa_bits=1024))
    assert refused.status_code == 400
    assert 'data-error="webauthn_failed"' in refused.text
    assert await passkeys(rig) == 0


async def test_A_45_an_id_is_registered_once(rig: Rig) -> None:
    """Mallory registers the id that bob has, with a key of her own: bob's stays bob's."""
    _, bobs = await owner(rig, "bob22")
    mallory = rig.browser()
    await mallory.register("mallory")
    refused = await add_passkey(mallory, authenticator(rig.issuer, credential_id=bobs.credential_id))
    assert refused.status_code == 400
    assert await passkeys(rig) == 1
    browser = await asked(rig)
    assert (await use_passkey(browser, bobs)).url.path == "/consent"
    assert "bob22" in browser.page.text if browser.page else False


async def test_A_45_a_counter_does_not_go_back(rig: Rig) -> None:
    """By the policy written in idp/authn/methods/webauthn.py: refused, and seen in the audit trail."""
    _, device = await owner(rig, counter=1)
    assert (await use_passkey(await asked(rig), device, counter=10)).url.path == "/consent"
    for later in (9, 10, 0):
        browser = await asked(rig)
        assert (await use_passkey(browser, device, counter=later)).status_code == 400
        assert "idp_session" not in browser.http.cookies
    async with transaction(rig.app.state.provider.pool) as conn:
        kept = await conn.fetch("SELECT details FROM audit_events WHERE event = 'sign_in_failed'")
    assert [row["details"]["detail"] for row in kept] == ["the counter did not grow"] * 3
    assert (await use_passkey(await asked(rig), device, counter=11)).url.path == "/consent"


async def test_A_45_enrolling_answers_a_challenge_of_that_session(rig: Rig) -> None:
    """Not one of the sign-in page, not one of somebody else, not one twice (ASVS 6.7.2)."""
    browser, _ = await enrolled(rig)
    device = authenticator(rig.issuer)
    own = ceremony_on(await browser.get("/account/authenticators/add-passkey"))
    sign_in = (await asked(rig)).page
    assert sign_in is not None
    handle = decoded(own.options["user"]["id"])
    foreign = device.make(ceremony_on(sign_in).challenge, user_handle=handle)
    assert (await browser.post(own.action, {"credential": foreign})).status_code == 400
    # The wrong answer has used it up, and so does a right one.
    late = device.make(own.challenge, user_handle=handle)
    assert (await browser.post(own.action, {"credential": late})).status_code == 400
    assert await passkeys(rig) == 0
    own = ceremony_on(await browser.get("/account/authenticators/add-passkey"))
    first = device.make(own.challenge, user_handle=handle)
    assert (await browser.post(own.action, {"credential": first})).url.path == "/account/authenticators"
    another = authenticator(rig.issuer, credential_id=b"another credential than the first")
    second = another.make(own.challenge, user_handle=handle)
    assert (await browser.post(own.action, {"credential": second})).status_code == 400
    assert await passkeys(rig) == 1


async def passkeys(rig: Rig) -> int:
    """How many credentials there are."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM webauthn_credentials"))
