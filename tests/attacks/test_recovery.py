"""A-65, A-66: recovery codes, raced, used, replaced and guessed at."""

import asyncio

from idp.authn.methods import RelyingParty, Tools
from idp.authn.methods.recovery import NewCodes, make_codes
from idp.base.clock import system_clock
from idp.base.digest import PasswordHasher
from idp.base.entropy import system_entropy
from idp.base.seal import MasterKey
from idp.store import recovery_codes
from idp.store.database import transaction
from tests.cluster import Cluster, authorization, sub_of
from tests.driver import PASSWORD, Browser
from tests.web.account.people import error_on, use_code

RACERS = 8
WRONG = "abcd-efgh-ijkl-mn27"


async def new_codes(cluster: Cluster, username: str = "alice") -> NewCodes:
    """A set of this user's, in the place of any other."""
    hasher = PasswordHasher()
    try:
        codes = await make_codes(Tools(hasher, MasterKey(b"m" * 32), system_entropy, RelyingParty("", (), "")))
    finally:
        hasher.close()
    async with transaction(cluster.pool) as conn:
        await recovery_codes.replace_codes(conn, sub_of(username), codes.salt, codes.hashes, system_clock())
    return codes


async def at_second_step(cluster: Cluster, username: str = "alice") -> Browser:
    """A browser, not seen before, after this user's password."""
    browser = cluster.browser()
    await browser.get(authorization())
    page = await browser.submit(username=username, password=PASSWORD)
    assert page.url.path == "/login"
    assert "idp_session" not in browser.http.cookies
    return browser


async def test_A_65_recovery_code_raced(cluster: Cluster) -> None:
    """Eight sign-ins at once with one code, over both servers: one session (ASVS 6.5.1)."""
    for code in (await new_codes(cluster)).shown[:3]:
        before = await cluster.count("sessions")
        browsers = [await at_second_step(cluster) for _ in range(RACERS)]
        for browser in browsers:
            assert browser.page is not None
            await browser.get(f"/login?{browser.page.url.query.decode()}&method=recovery")
        answers = await asyncio.gather(*(browser.submit(code=code) for browser in browsers))
        assert sorted(answer.url.path for answer in answers) == ["/consent"] + ["/login"] * (RACERS - 1)
        assert [error_on(answer) for answer in answers].count("recovery_wrong") == RACERS - 1
        assert await cluster.count("sessions") == before + 1
        assert sum("idp_session" in browser.http.cookies for browser in browsers) == 1
        for browser in browsers:
            await browser.http.aclose()


async def test_A_66_a_used_and_a_replaced_code(cluster: Cluster) -> None:
    """Neither gets in, on either server; one of the new set does (ASVS 6.5.1)."""
    old = await new_codes(cluster)
    first = await at_second_step(cluster)
    assert (await use_code(first, old.shown[0])).url.path == "/consent"
    new = await new_codes(cluster)
    browser = await at_second_step(cluster)
    for code in (old.shown[0], old.shown[0], old.shown[1], old.shown[1]):
        refused = await use_code(browser, code)
        assert (refused.status_code, error_on(refused)) == (400, "recovery_wrong")
    assert "idp_session" not in browser.http.cookies
    assert (await use_code(browser, new.shown[1])).url.path == "/consent"
    assert (await use_code(await at_second_step(cluster), new.shown[1])).status_code == 400
    for one in (first, browser):
        await one.http.aclose()


async def test_A_66_the_right_code_after_ten_wrong_ones(cluster: Cluster) -> None:
    """It is refused with the same words, in a new sign-in too, and the trail tells (G5)."""
    codes, before = await new_codes(cluster), await cluster.last_event()
    browser = await at_second_step(cluster)
    for _ in range(10):
        assert error_on(await use_code(browser, WRONG)) == "recovery_wrong"
    other = await at_second_step(cluster)
    for one in (browser, other):
        refused = await use_code(one, codes.shown[0])
        assert (refused.status_code, error_on(refused)) == (400, "recovery_wrong")
        assert "idp_session" not in one.http.cookies
        await one.http.aclose()
    told = [event.event for event in await cluster.events(before) if event.details.get("method") == "recovery"]
    assert told == ["sign_in_failed"] * 10 + ["sign_in_held_back"] * 2
    async with transaction(cluster.pool) as conn:
        left = await recovery_codes.find_codes(conn, sub_of("alice"))
        assert left is not None
        assert left.left == 10
        # Whoever knew the password is a worry of the owner's (ASVS 6.3.5).
        kinds = [row["kind"] for row in await conn.fetch("SELECT kind FROM outbox")]
    assert kinds == ["sign_in_refused_after_password"]


async def test_A_66_what_the_database_has(cluster: Cluster) -> None:
    """No code, but 32 bytes of Argon2id each, with 16 bytes of salt (ASVS 6.5.2; G9)."""
    codes = await new_codes(cluster)
    async with transaction(cluster.pool) as conn:
        rows = await conn.fetch("SELECT code_hash, salt, recovery_codes::text AS row FROM recovery_codes")
    assert len(rows) == len({bytes(row["code_hash"]) for row in rows}) == 10
    assert {len(row["code_hash"]) for row in rows} == {32}
    assert {bytes(row["salt"]) for row in rows} == {codes.salt}
    text = " ".join(row["row"] for row in rows)
    for code in codes.shown:
        bare = code.replace("-", "")
        assert code not in text
        assert bare not in text
        assert bare.encode().hex() not in text
    hasher = PasswordHasher()
    assert await hasher.derive(codes.shown[3].replace("-", ""), codes.salt) in {bytes(row["code_hash"]) for row in rows}
    hasher.close()


async def test_A_66_a_code_is_nothing_without_the_password(cluster: Cluster) -> None:
    """It neither begins a sign-in nor helps another user's (ASVS 6.3.4)."""
    codes = await new_codes(cluster)
    stranger = cluster.browser()
    page = await stranger.get(authorization())
    refused = await stranger.post(f"/login?{page.url.query.decode()}&method=recovery", {"code": codes.shown[0]})
    assert (refused.status_code, error_on(refused)) == (400, "form_expired")
    await new_codes(cluster, "bob")
    bob = cluster.browser()
    page = await bob.get(authorization(acr_values="mfa"))
    await bob.submit(username="bob", password=PASSWORD)
    refused = await bob.post(f"/login?{page.url.query.decode()}&method=recovery", {"code": codes.shown[0]})
    assert error_on(refused) == "recovery_wrong"
    async with transaction(cluster.pool) as conn:
        left = await recovery_codes.find_codes(conn, sub_of("alice"))
    assert left is not None
    assert left.left == 10
    for one in (stranger, bob):
        await one.http.aclose()
