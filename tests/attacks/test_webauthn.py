"""Passkeys over HTTP: challenges used again, other sites, other people's credentials, counters that go back."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from idp.store.database import transaction
from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on, decoded, use_passkey
from tests.attacks.test_login_flow import enrolled, silent
from tests.authn.authenticator import ES384, Authenticator
from tests.cluster import Cluster, sub_of
from tests.cluster import authorization as begun_at_app
from tests.driver import PASSWORD, Browser, Rig, authorization, claims_of, exchange, response_of, running
from tests.web.recovering import alice, follow, link_for

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
    """By the policy written in idp/authn/methods/webauthn/authentication.py: refused, and seen in the audit trail."""
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


async def unverified(rig: Rig) -> tuple[Browser, Authenticator]:
    """A browser at the sign-in of somebody whose only key was registered without verifying its user."""
    _, device = await owner(rig, user_verified=False)
    return await asked(rig), device


async def levels(rig: Rig, browser: Browser) -> tuple[str, list[str]]:
    """acr and amr of the sign-in that this browser has just finished."""
    page = browser.page
    assert page is not None
    answer = response_of(await browser.submit(decision="allow") if page.url.path == "/consent" else page)
    told = claims_of((await exchange(rig, answer["code"])).json()["id_token"])
    return told["acr"], told["amr"]


async def test_A_77_a_key_that_never_verified_its_user_signs_in_nobody_alone(rig: Rig) -> None:
    """Whoever found the key may have set its PIN: again and again, and nothing is kept of it but the refusals."""
    browser, device = await unverified(rig)
    before = await kept_of(rig)
    for _ in range(2):
        page = await use_passkey(browser, device, user_verified=True)
        assert (page.status_code, 'data-error="webauthn_uv"' in page.text) == (400, True)
        assert "idp_session" not in browser.http.cookies
    assert await kept_of(rig) == before == [(False, None)]
    assert (await silent(browser))["error"] == "login_required"


async def test_A_77_it_counts_after_a_use_behind_the_password(rig: Rig) -> None:
    """As a second step it is one factor, and mfa with the password; from then on it signs in alone."""
    browser, device = await unverified(rig)
    await browser.submit(username="alice", password=PASSWORD)
    await use_passkey(browser, device, user_verified=True)
    assert await levels(rig, browser) == ("phr", ["pwd", "swk", "user", "mfa"])
    other = await asked(rig)
    await use_passkey(other, device, user_verified=True)
    assert await levels(rig, other) == ("phr", ["swk", "user", "mfa"])


async def test_A_77_it_counts_after_a_step_up(rig: Rig) -> None:
    """In a session that the password began, on a page that wants a fresh proof."""
    alice, device = await owner(rig, user_verified=False)
    rig.clock.advance(21 * 60)
    await alice.get("/account/authenticators/add-totp")
    assert (await use_passkey(alice, device, user_verified=True)).url.path == "/account/authenticators/add-totp"
    assert (await use_passkey(await asked(rig), device, user_verified=True)).url.path == "/consent"


async def test_A_77_it_does_not_count_after_a_link_by_mail(rig: Rig) -> None:
    """A mailbox is no factor: in a reset the key is the only one that is shown (A-67)."""
    alice_ = await alice(rig)
    device = authenticator(rig.issuer, user_verified=False)
    await add_passkey(alice_, device)
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    assert (await use_passkey(browser, device, user_verified=True)).url.path == "/recover/new-password"
    ((initialized, last_used_at),) = await kept_of(rig)
    assert (initialized, last_used_at is None) == (False, False)


async def kept_of(rig: Rig) -> list[tuple[Any, ...]]:
    """Whether the user verification of each credential counts, and when it was last used."""
    async with transaction(rig.app.state.provider.pool) as conn:
        rows = await conn.fetch("SELECT uv_initialized, last_used_at FROM webauthn_credentials ORDER BY id")
    return [tuple(row) for row in rows]


# The same over two processes: each request meets the one that has not seen the former.


async def enrolled_at(cluster: Cluster, username: str = "bob", **attributes: Any) -> tuple[Browser, Authenticator]:
    """A browser of this person's with a passkey of its own."""
    device = authenticator(cluster.issuer, credential_id=f"the credential of {username}".encode(), **attributes)
    browser = await cluster.signed_in(username, consent=("web",))
    assert (await add_passkey(browser, device)).url.path == "/account/authenticators"
    return browser, device


async def state_of(cluster: Cluster) -> list[tuple[Any, ...]]:
    """What is remembered of all credentials."""
    async with transaction(cluster.pool) as conn:
        rows = await conn.fetch(
            "SELECT sub, sign_count, backed_up, uv_initialized, last_used_at FROM webauthn_credentials ORDER BY id"
        )
    return [tuple(row) for row in rows]


async def refusals(cluster: Cluster, after: int, event: str = "sign_in_failed") -> list[dict[str, Any]]:
    """What the trail has of refusals behind that place."""
    return [dict(row.details) for row in await cluster.events(after) if row.event == event]


def elsewhere(cluster: Cluster) -> tuple[str, ...]:
    """Origins that are not ours, however near they come."""
    return (
        EVIL,
        f"{cluster.issuer}.evil.test",
        f"{cluster.issuer}@evil.test",
        f"{cluster.issuer}0",
        f"{cluster.issuer}/",
        cluster.issuer.upper(),
        cluster.issuer.replace("http", "https"),
        cluster.issuer.replace("localhost", "127.0.0.1"),
        cluster.issuer.rpartition(":")[0],
        "null",
        "",
    )


FAULTS: tuple[dict[str, Any], ...] = (
    {"rp_id": "evil.test"},
    {"rp_id": "LOCALHOST"},
    {"type": ""},
    {"user_present": False},
    {"client_data": {"crossOrigin": True}},
    {"client_data": {"crossOrigin": 1}},
    {"client_data": {"crossOrigin": None}},
    {"client_data": {"topOrigin": EVIL}},
    {"client_data": {"challenge": ""}},
    {"client_data": {"challenge": "aW52ZW50ZWQgaW52ZW50ZWQgaW52ZW50ZWQgaW52ZW4"}},
    {"backup_eligible": False},
    {"raw_id": b""},
    {"raw_id": b"x" * 1024},
)
"""Wrong with an assertion and with a registration alike (1.6)."""


async def test_A_44_and_1_6_an_assertion_for_another_purpose_over_two_processes(cluster: Cluster) -> None:
    """Alone it signs nobody in; after a password it is no second step; nothing is remembered; each leaves its row."""
    bob, device = await enrolled_at(cluster, counter=5)
    before, last = await state_of(cluster), await cluster.last_event()
    always = (*({"origin": one} for one in elsewhere(cluster)), *FAULTS, {"type": "webauthn.create"})
    always = (*always, {"signature": b""}, {"signature": bytes(70)}, {"user_handle": b"sub-of-mallory"})
    alone = (
        {"user_verified": False},
        {"user_handle": None},
        {"user_handle": b""},
        {"backup_eligible": False, "backed_up": False},
    )
    stranger, known = cluster.browser(), cluster.browser()
    await stranger.get(begun_at_app())
    await known.get(begun_at_app())
    await known.submit(username="bob", password=PASSWORD)
    for browser, faults in ((stranger, (*always, *alone)), (known, always)):
        for switches in faults:
            page = await use_passkey(browser, device, counter=9, **switches)
            assert (page.status_code, "idp_session" in browser.http.cookies) == (400, False), switches
            assert 'id="error"' in page.text
    assert await state_of(cluster) == before
    kept = await refusals(cluster, last)
    assert len(kept) == 2 * len(always) + len(alone)
    assert all(one["cause"] and one["detail"] for one in kept if one["cause"] != "webauthn_uv")
    assert (await use_passkey(stranger, device, counter=9)).status_code == 303
    assert (await use_passkey(known, device, counter=10, user_verified=False)).status_code == 303
    for browser in (bob, stranger, known):
        await browser.http.aclose()


async def test_A_43_late_and_invented_over_two_processes(cluster: Cluster) -> None:
    """After eleven minutes, without a challenge at all, and for one that another kind of ceremony was given."""
    bob, device = await enrolled_at(cluster)
    browser, ages = cluster.browser(), "UPDATE interactions SET challenge_at = challenge_at - interval '{} minutes'"
    page = await browser.get(begun_at_app())
    for minutes, status in ((11, 400), (9, 303)):
        ceremony = ceremony_on(browser.page or page)
        async with transaction(cluster.pool) as conn:
            await conn.execute(ages.format(minutes))
        answer = await browser.post(ceremony.action, {"credential": device.use(ceremony.challenge)})
        assert answer.status_code == status, minutes
    enrolling = ceremony_on(await bob.get("/account/authenticators/add-passkey"))
    other = cluster.browser()
    ceremony = ceremony_on(await other.get(begun_at_app()))
    for form in (
        {"credential": device.use(enrolling.challenge)},
        {"credential": device.use(ceremony.challenge)},
        {"credential": device.use(b""), "challenge": ""},
    ):
        # The first attempt has used the challenge of the page up; these pages do not show the next one.
        assert (await other.http.post(ceremony.action, data=form)).status_code == 400
    assert "idp_session" not in other.http.cookies
    late = ceremony_on(await bob.get("/account/authenticators/add-passkey"))
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE sessions SET challenge_at = challenge_at - interval '11 minutes'")
    another = authenticator(cluster.issuer, credential_id=b"another credential than the first")
    made = another.make(late.challenge, user_handle=sub_of("bob").encode())
    refused = await bob.post(late.action, {"credential": made})
    assert (refused.status_code, 'data-error="webauthn_timeout"' in refused.text) == (400, True)
    assert len(await state_of(cluster)) == 1
    for one in (bob, browser, other):
        await one.http.aclose()


async def test_A_45_and_1_6_a_registration_for_another_purpose_over_two_processes(cluster: Cluster) -> None:
    """Nothing of it is kept but its row in the trail, with whose session it was (A-44)."""
    bob, last = await cluster.signed_in("bob"), await cluster.last_event()
    device = authenticator(cluster.issuer)
    faults = (
        *({"origin": one} for one in elsewhere(cluster)),
        *FAULTS,
        {"type": "webauthn.get"},
        {"fmt": "packed", "signature": b"\x30\x06" + bytes(6)},
        {"fmt": "fido-u2f"},
        {"fmt": "unheard of"},
        {"statement": {"alg": -7}},
        {"public_key": b"\xa0"},
    )
    for switches in faults:
        page = await add_passkey(bob, device, **switches)
        assert (page.status_code, 'data-error="webauthn_failed"' in page.text) == (400, True), switches
    # PS256 is one that the library knows, and would take if it were told to.
    ps256 = authenticator(cluster.issuer, alg=-257)
    ps256.alg = -37
    weak = authenticator(cluster.issuer, alg=-257, rsa_bits=1024)
    for odd in (authenticator(cluster.issuer, alg=ES384), weak, ps256):
        assert (await add_passkey(bob, odd)).status_code == 400
    for long in (b"x" * 1024, b""):
        assert (await add_passkey(bob, authenticator(cluster.issuer, credential_id=long))).status_code == 400
    assert await state_of(cluster) == []
    events = [row for row in await cluster.events(last) if row.event == "authenticator_refused"]
    assert len(events) == len(faults) + 5
    assert {(row.sub, row.session_id is not None, row.details["method"]) for row in events} == {
        (sub_of("bob"), True, "webauthn")
    }
    assert (await add_passkey(bob, device)).url.path == "/account/authenticators"
    await bob.http.aclose()


async def test_A_45_whose_it_is_over_two_processes(cluster: Cluster) -> None:
    """Mallory's credential in bob's flow, bob's id with mallory's key, and a counter that goes back: whose is told."""
    bob, bobs = await enrolled_at(cluster, counter=1)
    mallory, mallorys = await enrolled_at(cluster, "mallory")
    copied = authenticator(cluster.issuer, credential_id=bobs.credential_id)
    assert (await add_passkey(mallory, copied)).status_code == 400
    last, flow = await cluster.last_event(), cluster.browser()
    await flow.get(begun_at_app())
    await flow.submit(username="bob", password=PASSWORD)
    for device, switches in (
        (mallorys, {}),
        (mallorys, {"user_handle": bobs.user_handle}),
        (mallorys, {"raw_id": bobs.credential_id}),
        (copied, {"user_handle": bobs.user_handle}),
    ):
        assert (await use_passkey(flow, device, **switches)).status_code == 400
    assert (await use_passkey(flow, bobs, counter=10)).status_code == 303
    for counter in (9, 10, 0):
        stranger = cluster.browser()
        await stranger.get(begun_at_app())
        assert (await use_passkey(stranger, bobs, counter=counter)).status_code == 400
        assert "idp_session" not in stranger.http.cookies
        await stranger.http.aclose()
    events = [row for row in await cluster.events(last) if row.event == "sign_in_failed"]
    assert [row.sub for row in events] == [sub_of("bob")] * 7
    cloned = [row for row in events if row.details["detail"] == "the counter did not grow"]
    async with transaction(cluster.pool) as conn:
        credential = await conn.fetchval("SELECT id FROM webauthn_credentials WHERE sub = $1", sub_of("bob"))
    assert [row.details["credential"] for row in cloned] == [credential] * 3
    for one in (bob, mallory, flow):
        await one.http.aclose()


async def passkeys(rig: Rig) -> int:
    """How many credentials there are."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return int(await conn.fetchval("SELECT count(*) FROM webauthn_credentials"))
