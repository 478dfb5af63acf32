"""A-63: somebody has mails sent to an address or an account without end; and its owner is kept out by none of it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from idp.authn.throttle import MAILS_A_DAY
from tests.driver import PASSWORD, Browser, Rig, code_of, mails, running
from tests.texting import newest_code, with_password
from tests.web.account.people import sign_in
from tests.web.losing import ask as ask_for_removal
from tests.web.recovering import ADDRESS, NEW, alice, ask, follow, reset_mails, secret_of

HALF_HOUR = timedelta(minutes=30)
DOZEN = 12


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


@pytest.fixture
async def mailing(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """One where codes go by mail."""
    async with running(database, tmp_path, IDP_EMAIL_CODES="on") as found:
        await found.add_client()
        yield found


async def of_kind(rig: Rig, kind: str) -> int:
    return len([mail for mail in await mails(rig) if mail.kind == kind])


async def flood(rig: Rig, hours: int, *, names: tuple[str, ...] = ("alice", ADDRESS)) -> int:
    """How many links went to alice while strangers asked for one every half hour, each time from another network."""
    before, stranger = len(await reset_mails(rig)), rig.browser()
    for number in range(2 * hours):
        stranger = rig.browser(address=f"198.51.{number}.7")
        for name in names:
            await stranger.post("http://localhost:8000/recover", {"username": name})
        rig.clock.advance(HALF_HOUR)
    return len(await reset_mails(rig)) - before


async def asked_at_home(browser: Browser) -> None:
    """Ask for a new password in this browser."""
    await browser.get("/recover")
    await browser.submit(username="alice")


async def test_A_63_links_for_a_new_password_are_a_dozen_a_day(rig: Rig) -> None:
    """Whatever network they are asked from, by name and by address."""
    await alice(rig)
    assert 6 <= await flood(rig, 24) <= DOZEN
    assert await flood(rig, 24) <= DOZEN / 2


async def test_A_63_a_flood_keeps_no_owner_from_a_reset(rig: Rig) -> None:
    """The browser that knows her has links of its own; and each of the strangers' is in her mailbox for an hour."""
    owner = await alice(rig)
    await flood(rig, 3)
    before = len(await reset_mails(rig))
    await ask(rig)
    assert len(await reset_mails(rig)) == before
    await asked_at_home(owner)
    assert len(await reset_mails(rig)) == before + 1
    rig.clock.advance(timedelta(hours=4))
    await ask(rig, address="203.0.113.9")
    assert len(await reset_mails(rig)) == before + 2
    rig.clock.advance(timedelta(minutes=59))
    elsewhere = rig.browser()
    page = await follow(elsewhere, (await reset_mails(rig))[-1].link)
    assert page.url.path == "/recover/new-password"
    assert (await elsewhere.submit(password=NEW)).url.path == "/recover/done"
    for _ in range(4):
        await ask(rig)
    assert len(await reset_mails(rig)) == before + 2 + 3, "a reset begins the count anew"


async def test_A_63_a_sign_in_begins_the_count_anew(rig: Rig) -> None:
    owner = await alice(rig)
    await flood(rig, 3)
    before = len(await reset_mails(rig))
    await owner.post("/account/sign-out", {})
    await sign_in(owner)
    await ask(rig)
    assert len(await reset_mails(rig)) == before + 1


async def test_A_63_removals_asked_for_with_a_stolen_password_leave_the_owners_browser_its_own(rig: Rig) -> None:
    owner = await alice(rig)
    secret = await owner.add_totp(rig)
    await owner.post("/account/sign-out", {})
    for _ in range(4):
        await ask_for_removal(rig)
        rig.clock.advance(30)
        stop = [mail for mail in await mails(rig) if mail.kind == "factor_recovery_asked"][-1].link
        await rig.browser().post("http://localhost:8000/recover/factor/cancel", {"link": secret_of(stop)})
    assert await of_kind(rig, "factor_recovery_asked") == 3
    await ask_for_removal(rig, owner)
    assert await of_kind(rig, "factor_recovery_asked") == 4
    await sign_in(owner)
    assert (await owner.submit(code=code_of(secret, rig))).url.path == "/account"


async def test_A_63_codes_by_mail_to_somebody_whose_password_is_known(mailing: Rig) -> None:
    """From one network a dozen a day, from all together two; the owner's browser and another network go on."""
    rig = mailing
    owner = await alice(rig)
    await owner.post("/account/sign-out", {})

    async def sent_by(browser: Browser) -> int:
        before = await of_kind(rig, "sign_in_code")
        await with_password(browser, "alice")
        return await of_kind(rig, "sign_in_code") - before

    sent = 0
    for _ in range(24):
        sent += await sent_by(rig.browser(address="198.51.100.7"))
        rig.clock.advance(2 * HALF_HOUR)
    assert 6 <= sent <= DOZEN
    await sent_by(rig.browser(address="198.51.100.7"))
    assert await sent_by(rig.browser(address="198.51.100.7")) == 0
    elsewhere = rig.browser(address="203.0.113.9")
    assert (await sent_by(elsewhere), await sent_by(owner)) == (1, 1)
    assert (await owner.submit(code=await newest_code(rig, "mail"))).url.path == "/account"
    assert await sent_by(rig.browser(address="198.51.100.7")) == 1, "a sign-in begins the count anew"


async def test_A_63_claims_of_an_address_from_many_networks_end_for_the_day(rig: Rig) -> None:
    for number in range(MAILS_A_DAY + 3):
        browser = rig.browser(address=f"198.51.{number}.7")
        await browser.get("/register")
        form = {"username": f"mallory{number}", "password": PASSWORD, "email": ADDRESS, "phone": ""}
        await browser.submit(**form)
        rig.clock.advance(HALF_HOUR)
    assert await of_kind(rig, "verify_email") == MAILS_A_DAY
    rig.clock.advance(timedelta(days=1))
    owner = rig.browser()
    await owner.get("/register")
    await owner.submit(username="alice", password=PASSWORD, email=ADDRESS, phone="")
    assert await of_kind(rig, "verify_email") == MAILS_A_DAY + 1


async def test_A_63_wrong_codes_after_the_password_are_told_less_and_less_often(rig: Rig) -> None:
    """At once, after an hour, after two more, and then every four (ASVS 6.3.5)."""
    owner = await alice(rig)
    await owner.add_totp(rig)
    seen: list[int] = []
    thief = rig.browser()
    for hour in range(24):
        page = await sign_in(thief)
        url = f"/login?{page.url.query.decode()}&method=totp"
        for _ in range(10):
            await thief.http.post(url, data={"code": "000000"})
        if await of_kind(rig, "sign_in_refused_after_password") > len(seen):
            seen.append(hour)
        rig.clock.advance(timedelta(hours=1))
    assert seen == [0, 1, 3, 7, 11, 15, 19, 23]
