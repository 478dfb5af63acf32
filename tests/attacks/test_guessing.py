"""Guessing codes and passwords: one after the other and all at once, from everywhere, and to shut somebody out."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from functools import partial
from html import unescape
from pathlib import Path

import httpx2
import pytest

from idp.authn import throttle
from idp.authn.accounts import parse_email
from idp.authn.throttle import FREE, GUESS_WAITS, MOST_MISSES, PER_NETWORK, STRANGERS_PER_ACCOUNT, WINDOW, Guessing
from idp.base.clock import system_clock
from idp.base.digest import sha256
from idp.model.attempt import Source
from idp.model.factor_recovery import FactorRecovery
from idp.settings import SettingsError, load_settings
from idp.store.attempts import remove_tallies
from idp.store.database import transact, transaction
from idp.store.factor_recoveries import create_recovery
from idp.store.mail_links import create_link
from idp.store.users import get_user
from idp.web.mail_link import new_link
from tests.attacks.passkeys import add_passkey, authenticator, use_passkey
from tests.attacks.test_login_flow import enrolled, halfway, only, silent
from tests.cluster import Cluster, sub_of, totp_code
from tests.driver import PASSWORD, Browser, Rig, authorization, code_of, running
from tests.web.account.people import make_codes

WRONG = "not the right password at all"
UNHASHED = "x" * 600
"""A guess that costs no hash, being longer than any password, and counts like every other."""


MANY = 300


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


def cause_on(page: httpx2.Response) -> str:
    """Why the form was refused."""
    found = re.search(r'data-error="(\w+)"', page.text)
    return found[1] if found else ""


async def attempt(rig: Rig, username: str, password: str, *, address: str = "127.0.0.1") -> httpx2.Response:
    """A new browser at this address tries this name and password."""
    browser = rig.browser(address=address)
    await browser.get("/login")
    return await browser.submit(username=username, password=password)


async def guess_all(rig: Rig, names: Sequence[str], *, address: str = "127.0.0.1") -> None:
    """One browser tries a wrong password for each of these names."""
    browser = rig.browser(address=address)
    page = await browser.get("/login")
    for name in names:
        answer = await browser.http.post(str(page.url), data={"username": name, "password": UNHASHED})
        assert (answer.status_code, cause_on(answer)) == (400, "wrong_credentials")


async def counted(rig: Rig, *events: str) -> list[int]:
    """How many of these events the audit trail has."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return [await conn.fetchval("SELECT count(*) FROM audit_events WHERE event = $1", event) for event in events]


async def notices(rig: Rig) -> list[str]:
    """The kinds of the notices that wait in the outbox, the oldest first."""
    async with transaction(rig.app.state.provider.pool) as conn:
        return [row["kind"] for row in await conn.fetch("SELECT kind FROM outbox ORDER BY created_at, kind")]


async def missed_before(rig: Rig, subject: str, misses: int, *, factor: str = "totp") -> None:
    """So many misses of the past, each from another network and long enough after the one before."""
    pool = rig.app.state.provider.pool
    for number in range(misses):
        source = Source(f"198.18.{number}.0/24")
        limits = throttle.limits_of(Guessing.BEHIND_A_STEP, factor, subject, source, secrets=1)
        assert (await throttle.claim(partial(transact, pool), limits, rig.clock())).granted
        rig.clock.advance(2 * GUESS_WAITS.longest)


async def test_A_37_the_tenth_wrong_code_closes_for_a_while(rig: Rig) -> None:
    """From ten networks, each in a new flow; the right one is refused with the same text (G5, ASVS 6.3.1, 6.3.5)."""
    _, seed = await enrolled(rig)
    sub = await only(rig, "sub", "users")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET email = 'alice@mail.example', email_verified = true")
    texts = set()
    for number in range(FREE):
        browser = await halfway(rig, browser=rig.browser(address=f"198.51.{number}.7"))
        page = await browser.submit(code="000000")
        texts.add(re.sub(r"interaction=\w+", "", page.text))
    assert await notices(rig) == ["sign_in_refused_after_password"]
    browser = await halfway(rig, browser=rig.browser(address="203.0.113.9"))
    page = await browser.submit(code=code_of(seed, rig))
    assert (page.status_code, cause_on(page)) == (400, "code_wrong")
    assert texts == {re.sub(r"interaction=\w+", "", page.text)}
    assert await counted(rig, "sign_in_failed", "sign_in_held_back") == [FREE, 1]
    assert (await silent(browser))["error"] == "login_required"
    # The window over, one more is judged; and somebody with the right to it may open at once.
    rig.clock.advance(WINDOW)
    assert cause_on(await (await halfway(rig)).submit(code="000000")) == "code_wrong"
    assert await counted(rig, "sign_in_failed", "sign_in_held_back") == [FREE + 1, 1]
    assert cause_on(await (await halfway(rig)).submit(code=code_of(seed, rig))) == "code_wrong"
    async with transaction(rig.app.state.provider.pool) as conn:
        await remove_tallies(conn, sub)
    assert (await (await halfway(rig)).submit(code=code_of(seed, rig))).url.path == "/consent"


async def test_A_37_a_hundred_wrong_codes_switch_the_factor_off(rig: Rig) -> None:
    """For good, told to its owner, until it is unlocked (G5, ASVS 6.3.1, 6.3.5)."""
    known, seed = await enrolled(rig)
    sub = await only(rig, "sub", "users")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET email = 'alice@mail.example', email_verified = true")
    await missed_before(rig, sub, MOST_MISSES - 1)
    page = await (await halfway(rig)).submit(code="000000")
    assert page.status_code == 403
    assert cause_on(page) == "factor_locked"
    assert "factor_locked" in await notices(rig)
    assert (await counted(rig, "factor_locked")) == [1]
    rig.clock.advance(timedelta(days=400))
    for browser in (rig.browser(), known):
        await browser.get(authorization())
        page = await browser.submit(username="alice", password=PASSWORD)
        assert (page.status_code, cause_on(page)) == (403, "factor_locked")
        assert page.url.query
        answer = await browser.http.post(f"{page.url}&method=totp", data={"code": code_of(seed, rig)})
        assert answer.status_code == 403
        assert (await silent(browser))["error"] == "login_required"
    async with transaction(rig.app.state.provider.pool) as conn:
        assert await remove_tallies(conn, sub) > 0
    assert (await (await halfway(rig)).submit(code=code_of(seed, rig))).url.path == "/consent"


async def at_second_step(cluster: Cluster, *, address: str = "127.0.0.1", worker: str | None = None) -> Browser:
    """A new browser in which alice's password was right."""
    http = cluster.http(worker, address=address)
    http.headers["x-forwarded-for"] = f"203.0.113.{int(address.split('.')[2]) + 1}"
    browser = Browser(http, home=str(http.base_url.netloc, "ascii"))
    await browser.get("/login")
    page = await browser.submit(username="alice", password=PASSWORD)
    assert 'data-method="totp"' in page.text, page.text
    return browser


async def entered(browser: Browser, code: str) -> str:
    """What comes of this code: ``in``, or the cause of the refusal."""
    page = await browser.submit(code=code)
    await browser.http.aclose()
    return "in" if page.url.path == "/account" else cause_on(page)


async def test_A_37_and_A_39_and_A_47_over_two_processes_and_a_restart(cluster: Cluster) -> None:
    """Codes once, limits for all; neither forged addresses nor a restart nor another server changes it.

    ASVS 6.3.1, 6.5.1, 4.1.3.
    """
    code, before = totp_code(), await cluster.last_event()
    assert await entered(await at_second_step(cluster), code) == "in"
    for worker in cluster.workers:
        assert await entered(await at_second_step(cluster, worker=worker), code) in {"code_used", "code_wrong"}
    for number in range(1, FREE - 1):
        browser = await at_second_step(cluster, address=f"127.0.{number}.1")
        assert await entered(browser, "000000") == "code_wrong"
    await cluster.restart()
    assert await entered(await at_second_step(cluster, address="127.0.99.1"), await right(cluster)) == "code_wrong"
    names = [event.event for event in await cluster.events(before)]
    assert (names.count("sign_in_failed"), names.count("sign_in_held_back")) == (FREE, 1)
    addresses = {event.address for event in await cluster.events(before) if event.event == "sign_in_failed"}
    assert addresses <= {f"127.0.{number}.1" for number in range(FREE)}, "as forged by nobody"
    async with transaction(cluster.pool) as conn:
        kinds = [row["kind"] for row in await conn.fetch("SELECT kind FROM outbox")]
    assert kinds == ["sign_in_refused_after_password"]
    await cluster.command("user", "unlock", "alice")
    unlocked = await right(cluster)
    assert await entered(await at_second_step(cluster, address="127.0.98.1"), unlocked) == "in"
    assert await entered(await at_second_step(cluster), unlocked) in {"code_used", "code_wrong"}


async def right(cluster: Cluster) -> str:
    """A code that would be accepted: that of this moment, as if the app had not been used yet."""
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE totp_credentials SET last_step = NULL")
    return totp_code()


AT_ONCE = 200
FLOWS = 20
COOKIE = {"cookie": f"idp_browser={'b' * 43}"}


async def flows(cluster: Cluster, form: dict[str, str]) -> list[str]:
    """The addresses of so many flows of one browser in which this form was sent, if there is anything in it."""
    async with cluster.http() as http:
        location = (await http.get("/login", headers=COOKIE)).headers["location"]
        if form:
            await http.post(location, data=form, headers=COOKIE)
    async with transaction(cluster.pool) as conn:
        rows = await conn.fetch(
            """
            INSERT INTO interactions (id, browser_hash, return_to, fresh, sub, evidence, created_at, expires_at)
            SELECT id || number, browser_hash, return_to, fresh, sub, evidence, created_at, expires_at
            FROM interactions, generate_series(1, $2) AS number WHERE id = $1
            RETURNING id
            """,
            location.partition("interaction=")[2],
            FLOWS,
        )
    return [f"/login?interaction={row['id']}" for row in rows]


@pytest.mark.parametrize("factor", ["totp", "password"])
async def test_A_38_two_hundred_guesses_at_once(cluster: Cluster, factor: str) -> None:
    """In twenty flows, by two processes: ten are judged, and the right one afterwards is not (G5, ASVS 6.3.1).

    Some may find both servers too busy to look at them, which is no answer to a guess.
    """
    is_code = factor == "totp"
    targets = await flows(cluster, {"username": "alice", "password": PASSWORD} if is_code else {})
    targets = [f"{target}&method={factor}" for target in targets]
    before = await cluster.last_event()
    wrong = {"code": "000000"} if is_code else {"username": "bob", "password": WRONG}
    async with (
        cluster.http(cluster.workers[0], faults=True) as one,
        cluster.http(cluster.workers[1], faults=True) as other,
    ):

        async def guess(number: int, form: dict[str, str]) -> httpx2.Response:
            return await (one, other)[number % 2].post(targets[number % FLOWS], data=form, headers=COOKIE)

        answers = await asyncio.gather(*(guess(number, wrong) for number in range(AT_ONCE)))
        correct = {"code": totp_code()} if is_code else {"username": "bob", "password": PASSWORD}
        last = await guess(AT_ONCE, correct)
    # Each is in the audit trail as a failed sign-in, which no allowance bounds: nothing to start anew for.
    cluster.refusals = 0
    refused = [answer for answer in answers if answer.status_code == 400]
    assert {answer.status_code for answer in answers} <= {400, 503}
    assert len(refused) > 2 * FREE
    assert {cause_on(answer) for answer in (*refused, last)} == {"code_wrong" if is_code else "wrong_credentials"}
    names = [event.event for event in await cluster.events(before)]
    assert names.count("sign_in_failed") <= FREE
    assert names.count("sign_in_held_back") >= len(refused) + 1 - FREE
    assert await misses(cluster, factor) == FREE


SENT_LINK = "x" * 43
DOORS = ("/account/password", "/recover/factor/finish", "/recover/step")


async def door(cluster: Cluster, path: str) -> tuple[Browser, str, dict[str, str], dict[str, str]]:
    """A browser before this door, the address of its form, a wrong guess at it, and the right one."""
    if path == "/account/password":
        new = {"password": "an entirely different sentence"}
        return (
            await cluster.signed_in(),
            path,
            {"current_password": WRONG, **new},
            {"current_password": PASSWORD, **new},
        )
    browser, now = cluster.browser(), system_clock()
    async with transaction(cluster.pool) as conn:
        if path == "/recover/factor/finish":
            asked = FactorRecovery(
                "r", sub_of("alice"), "alice@example.test", "waiting", now - timedelta(days=3), now, now + timedelta(1)
            )
            await create_recovery(conn, asked, cancel_hash=b"", finish_hash=sha256(SENT_LINK))
            fields = {"link": SENT_LINK}
            return browser, path, {**fields, "password": WRONG}, {**fields, "password": PASSWORD}
        address = parse_email("alice@example.test")
        assert address is not None
        user = await get_user(conn, sub_of("alice"))
        await create_link(conn, new_link(SENT_LINK, "reset_password", user, address, now))
    await browser.get("/recover/password?link=" + SENT_LINK)
    step = await browser.submit(link=SENT_LINK)
    return browser, f"{path}?{step.url.query.decode()}&method=totp", {"code": "000000"}, {"code": totp_code()}


@pytest.mark.parametrize("path", DOORS)
async def test_A_38_forty_guesses_at_once_at_every_other_door(cluster: Cluster, path: str) -> None:
    """A password asked for again, the one behind a link, a second step before a reset: ten are judged of each."""
    browser, url, wrong, right = await door(cluster, path)
    before = await cluster.last_event()
    answers = await asyncio.gather(*(browser.http.post(url, data=wrong) for _ in range(40)))
    last = await browser.http.post(url, data=right)
    causes = {cause_on(answer) for answer in (*answers, last)}
    assert causes == {"code_wrong" if path == "/recover/step" else "password_wrong"}
    assert {answer.status_code for answer in (*answers, last)} == {400}
    told = [event for event in await cluster.events(before) if event.sub is not None]
    assert len(told) == 41
    assert await misses(cluster, "totp" if path == "/recover/step" else "password") == FREE
    await browser.http.aclose()


async def test_A_37_a_second_factor_has_one_count_at_all_doors(cluster: Cluster) -> None:
    """Five misses before a reset and five in a sign-in are ten, at whichever of them the next one comes (G5)."""
    browser, url, wrong, _ = await door(cluster, "/recover/step")
    for _ in range(FREE // 2):
        assert cause_on(await browser.http.post(url, data=wrong)) == "code_wrong"
        assert await entered(await at_second_step(cluster), "000000") == "code_wrong"
    assert await misses(cluster, "totp") == FREE
    assert await entered(await at_second_step(cluster, address="127.0.9.1"), totp_code()) == "code_wrong"
    assert cause_on(await browser.http.post(url, data={"code": totp_code()})) == "code_wrong"
    assert await misses(cluster, "totp") == FREE
    await browser.http.aclose()


async def misses(cluster: Cluster, factor: str) -> int:
    """What the database has counted against the one who was guessed at."""
    async with transaction(cluster.pool) as conn:
        found = await conn.fetch(
            "SELECT misses FROM attempts WHERE factor = $1 AND subject <> '' AND source = '' AND misses > 0", factor
        )
    assert len(found) == 1
    return int(found[0]["misses"])


async def test_A_63_nobody_is_shut_out_by_a_stranger(rig: Rig) -> None:
    """Hundreds of wrong passwords for alice from one network, then a hundred more from ten others (ASVS 6.1.1, 6.3.1).

    Her own browser and her passkey do not notice; the right password of a browser that nobody knows is refused from
    there with the text of a wrong one; another account is not touched.
    """
    known, _ = rig.browser(), await rig.browser().register("bob22")
    await known.register()
    device = authenticator(rig.issuer)
    noisy = "198.51.100.7"
    await guess_all(rig, ["alice"] * MANY, address=noisy)
    assert await counted(rig, "sign_in_failed", "sign_in_held_back") == [FREE, MANY - FREE]
    await known.post("/account/sign-out", {})
    known.http = _moved(rig, known, noisy)
    await known.get("/login")
    assert (await known.submit(username="alice", password=PASSWORD)).url.path == "/account"
    refused = await attempt(rig, "alice", PASSWORD, address=noisy)
    assert (refused.status_code, cause_on(refused)) == (400, "wrong_credentials")
    assert (await attempt(rig, "bob22", PASSWORD, address=noisy)).url.path == "/account"
    assert (await attempt(rig, "alice", PASSWORD, address="203.0.113.5")).url.path == "/account"
    await add_passkey(known, device)
    for number in range(STRANGERS_PER_ACCOUNT // FREE):
        await guess_all(rig, ["alice"] * FREE, address=f"198.18.{number}.1")
    assert cause_on(await attempt(rig, "alice", PASSWORD, address="192.0.2.1")) == "wrong_credentials"
    stranger = rig.browser(address=noisy)
    await stranger.get("/login")
    assert (await use_passkey(stranger, device)).url.path == "/account"
    await known.post("/account/sign-out", {})
    await known.get("/login")
    page = await known.submit(username="alice", password=PASSWORD)
    assert 'data-method="webauthn"' in page.text, "the password was right, and her passkey is the second step"


async def test_A_63_a_stranger_does_not_shut_him_out_of_two_servers(cluster: Cluster) -> None:
    """Eighty wrong passwords over HTTP, by all his names: in his own browser he is in at once, as from elsewhere."""
    known = cluster.browser()
    await known.get("/login")
    assert (await known.submit(username="bob", password=PASSWORD)).url.path == "/account"
    await known.post("/account/sign-out", {})
    before = await cluster.last_event()
    async with cluster.http(address="127.0.7.1") as http:
        place = (await http.get("/login")).headers["location"]

        async def guess(name: str) -> httpx2.Response:
            return await http.post(place, data={"username": name, "password": UNHASHED})

        names = ("bob", "Bob", " bob ", "bob@example.test") * 20
        answers = await asyncio.gather(*map(guess, names))
    assert {(answer.status_code, cause_on(answer)) for answer in answers} == {(400, "wrong_credentials")}
    told = [event.event for event in await cluster.events(before)]
    assert told.count("sign_in_failed") == 2 * FREE, "his name and his address have a count each"
    for browser in (known, cluster.browser(address="127.0.8.1")):
        await browser.get("/login")
        assert (await browser.submit(username="bob", password=PASSWORD)).url.path == "/account"
        await browser.http.aclose()


def _moved(rig: Rig, browser: Browser, address: str) -> httpx2.AsyncClient:
    """The same browser, cookies and all, at another address."""
    moved = rig.browser(address=address).http
    moved.cookies = browser.http.cookies
    return moved


async def test_A_47_one_password_for_many_names_is_held_back(rig: Rig) -> None:
    """Spraying from one network: after 300 names the next one is not judged, nor a right one (ASVS 6.3.1)."""
    known = rig.browser(address="203.0.113.5")
    await known.register("bob22")
    pool, network = rig.app.state.provider.pool, Source("198.51.100.0/24")
    for number in range(PER_NETWORK - 5):
        limits = throttle.limits_of(Guessing.OPEN, "password", f"name {number}", network, secrets=1)
        assert (await throttle.claim(partial(transact, pool), limits, rig.clock())).granted
    for host in range(1, 6):
        await guess_all(rig, [f"nobody{host}"], address=f"198.51.100.{host}")
    assert await counted(rig, "sign_in_failed", "sign_in_held_back") == [5, 0]
    for name, password in (("nobody6", UNHASHED), ("bob22", PASSWORD)):
        refused = await attempt(rig, name, password, address="198.51.100.77")
        assert (refused.status_code, cause_on(refused)) == (400, "wrong_credentials")
    assert await counted(rig, "sign_in_failed", "sign_in_held_back") == [5, 2]
    assert (await attempt(rig, "bob22", PASSWORD, address="198.51.101.77")).url.path == "/account"
    # A browser in which he has signed in before is let in from there as well.
    await known.post("/account/sign-out", {})
    known.http = _moved(rig, known, "198.51.100.77")
    await known.get("/login")
    assert (await known.submit(username="bob22", password=PASSWORD)).url.path == "/account"
    rig.clock.advance(WINDOW)
    assert (await attempt(rig, "bob22", PASSWORD, address="198.51.100.77")).url.path == "/account"


async def test_A_37_a_locked_app_leaves_the_recovery_codes_and_what_they_lead_to(rig: Rig) -> None:
    """Whoever lost the app to a guesser signs in by a recovery code, and adds the passkey that an app asks for."""
    known, _ = await enrolled(rig)
    code, *_ = await make_codes(known)
    await missed_before(rig, await only(rig, "sub", "users"), MOST_MISSES)
    browser = rig.browser()
    await browser.get(authorization(acr_values="phr"))
    page = await browser.submit(username="alice", password=PASSWORD)
    assert (page.status_code, cause_on(page)) == (200, "")
    assert 'data-method="recovery"' in page.text, "the account itself comes first"
    page = await browser.submit(code=code)
    assert "One thing is missing" in page.text
    (offered,) = re.findall(r'href="([^"]*add-passkey[^"]*)"', page.text)
    assert (await browser.get(unescape(offered))).url.path == "/account/authenticators/add-passkey"


async def test_A_37_limits_are_lifted_for_test_rigs_alone(database: str, tmp_path: Path) -> None:
    """Never for an issuer that others can reach."""
    async with running(database, tmp_path, IDP_RATE_LIMITS="off") as rig:
        await rig.browser().register()
        await guess_all(rig, ["alice"] * (3 * FREE))
        assert (await attempt(rig, "alice", PASSWORD)).url.path == "/account"
    with pytest.raises(SettingsError, match="IDP_RATE_LIMITS: off is for a loopback issuer alone"):
        load_settings({"IDP_ISSUER": "https://id.example", "IDP_RATE_LIMITS": "off"})
