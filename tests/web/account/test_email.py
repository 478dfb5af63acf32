"""The address of an account: asked for at registration, confirmed by a link, changed and removed."""

from datetime import timedelta

import httpx2
import pytest

from idp.store.database import transaction
from tests.driver import PASSWORD, Browser, Mail, Rig, code_of, mails
from tests.web.account.people import error_on, sign_in, text_of
from tests.web.recovering import ADDRESS, ask, events, follow, hidden_link, link_for, prove_address, reset_mails

NEW_ADDRESS = "alice@new.test"


async def sign_up(rig: Rig, username: str = "alice", email: str = ADDRESS) -> Browser:
    """A browser in which somebody has just signed up with this address."""
    browser = rig.browser()
    await browser.get("/register")
    await browser.submit(username=username, password=PASSWORD, email=email, phone="")
    return browser


async def of_kind(rig: Rig, kind: str) -> list[Mail]:
    """The mails of this kind, oldest first."""
    return [mail for mail in await mails(rig) if mail.kind == kind]


async def verify_link(rig: Rig) -> str:
    """The newest link that confirms an address."""
    return (await of_kind(rig, "verify_email"))[-1].link


async def address_of(rig: Rig, username: str = "alice") -> tuple[str | None, bool]:
    """The address of an account, and whether it is confirmed."""
    async with transaction(rig.app.state.provider.pool) as conn:
        row = await conn.fetchrow("SELECT email, email_verified FROM users WHERE username = $1", username)
    assert row is not None
    return row["email"], row["email_verified"]


async def request_change(browser: Browser, email: str = NEW_ADDRESS) -> httpx2.Response:
    """The page after another address was given."""
    await browser.get("/account/email")
    return await browser.post("/account/email", {"email": email})


async def test_a_new_account_confirms_its_address_by_the_link(rig: Rig) -> None:
    browser = await sign_up(rig)
    account = await browser.get("/account")
    assert f"{ADDRESS} is not confirmed yet." in text_of(account)
    [mail] = await of_kind(rig, "verify_email")
    assert mail.recipient == ADDRESS
    assert "“alice”" in mail.text
    opened = await browser.get(mail.link)
    assert await address_of(rig) == (ADDRESS, False), "opening a link changes nothing"
    assert "alice" in text_of(opened)
    done = await browser.submit(link=hidden_link(opened))
    assert (done.status_code, done.url.path) == (200, "/confirm-email/done")
    assert await address_of(rig) == (ADDRESS, True)
    assert "not confirmed" not in text_of(await browser.get("/account"))
    assert {"email_link_sent", "email_confirmed"} <= set(await events(rig))


async def test_it_works_in_another_browser_and_signs_nobody_in(rig: Rig) -> None:
    """(A-34)"""
    await sign_up(rig)
    other = rig.browser()
    done = await follow(other, await verify_link(rig))
    assert done.url.path == "/confirm-email/done"
    assert "idp_session" not in other.http.cookies
    assert await address_of(rig) == (ADDRESS, True)


async def test_it_works_once_and_for_a_day(rig: Rig) -> None:
    await sign_up(rig)
    link = await verify_link(rig)
    rig.clock.advance(timedelta(hours=24))
    assert error_on(await rig.browser().get(link)) == "link_gone"
    browser = rig.browser()
    await sign_in(browser)
    await browser.post("/account/email/send-again", {})
    link = await verify_link(rig)
    assert (await follow(rig.browser(), link)).status_code == 200
    assert error_on(await rig.browser().get(link)) == "link_gone"
    assert error_on(await rig.browser().post("/confirm-email", {"link": link.partition("=")[2]})) == "link_gone"


async def test_a_registration_without_an_address_writes_to_nobody(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    assert await mails(rig) == []
    assert "not confirmed" not in text_of(await browser.get("/account"))
    again = await browser.post("/account/email/send-again", {})
    assert (again.status_code, again.url.path) == (200, "/account")
    assert await mails(rig) == []


async def test_three_links_in_ten_minutes_to_one_address_whoever_asks(rig: Rig) -> None:
    browser = await sign_up(rig)
    pages = [await browser.post("/account/email/send-again", {}) for _ in range(4)]
    assert {(page.status_code, page.text) for page in pages} == {(200, pages[0].text)}
    assert len(await of_kind(rig, "verify_email")) == 3
    await sign_up(rig, "mallory", ADDRESS.upper())
    assert len(await of_kind(rig, "verify_email")) == 3
    assert "email_link_held_back" in await events(rig)
    rig.clock.advance(timedelta(minutes=10))
    await browser.post("/account/email/send-again", {})
    assert len(await of_kind(rig, "verify_email")) == 4


async def test_A_63_who_claims_her_address_without_end_does_not_keep_its_owner_from_it(rig: Rig) -> None:
    """From one network, that is; from many the mailbox is left in peace after nine."""

    async def claim(number: int, address: str) -> int:
        browser = rig.browser(address=address)
        await browser.get("/register")
        await browser.submit(username=f"mallory{number}", password=PASSWORD, email=ADDRESS, phone="")
        return len(await of_kind(rig, "verify_email"))

    assert [await claim(number, "198.51.100.7") for number in range(5)] == [1, 2, 3, 3, 3]
    assert await claim(5, "203.0.113.9") == 4
    assert [await claim(6 + number, f"192.0.{number}.1") for number in range(8)] == [5, 6, 7, 8, 9, 9, 9, 9]


async def test_A_49_the_owner_of_an_address_is_told_and_the_page_is_the_same(rig: Rig) -> None:
    """The account that claims it looks as if it waited for a confirmation, as with an address of nobody."""
    await sign_up(rig, "owner")
    await prove_address(rig, "owner")
    for name, email in (("mallory", ADDRESS), ("second", "nobody@mail.test")):
        claimer = await sign_up(rig, name, email)
        assert f"{email} is not confirmed yet." in text_of(await claimer.get("/account"))
    [told] = await of_kind(rig, "email_in_use")
    assert (told.recipient, told.text[:12]) == (ADDRESS, "Hello owner,")
    assert "mallory" not in told.text
    assert "?link=" not in told.text
    assert [mail.recipient for mail in await of_kind(rig, "verify_email")] == [ADDRESS, "nobody@mail.test"]


async def test_a_clash_is_answered_calmly(rig: Rig) -> None:
    """Two have asked; the one who confirms second is told, who has the mailbox."""
    await sign_up(rig)
    link = await verify_link(rig)
    await sign_up(rig, "second", "second@mail.test")
    await prove_address(rig, "second", ADDRESS)
    taken = await follow(rig.browser(), link)
    assert taken.status_code == 409
    assert "confirmed for another account already" in text_of(taken)
    assert await address_of(rig, "second") == (ADDRESS, True)
    assert await address_of(rig) == (ADDRESS, False)
    assert error_on(await rig.browser().get(link)) == "link_gone"


async def test_6_3_7_a_change_counts_once_it_is_confirmed_and_both_addresses_are_told(rig: Rig) -> None:
    browser = await sign_up(rig)
    await prove_address(rig)
    sent = await request_change(browser)
    assert f"on its way to {NEW_ADDRESS}" in text_of(sent)
    assert await address_of(rig) == (ADDRESS, True), "not yet"
    [asked] = await of_kind(rig, "email_change_requested")
    assert (asked.recipient, NEW_ADDRESS in asked.text) == (ADDRESS, True)
    assert NEW_ADDRESS in text_of(await browser.get("/account/email"))
    rig.clock.advance(1)
    await browser.post("/account/email/send-again", {})
    link = await verify_link(rig)
    assert (await follow(rig.browser(), link)).status_code == 200
    assert await address_of(rig) == (NEW_ADDRESS, True)
    told = await of_kind(rig, "email_changed")
    assert sorted(mail.recipient for mail in told) == [ADDRESS, NEW_ADDRESS]
    assert {"email_change_requested", "email_confirmed"} <= set(await events(rig))


async def test_a_change_kills_a_reset_link_that_went_to_the_former_address(rig: Rig) -> None:
    browser = await sign_up(rig)
    await prove_address(rig)
    await request_change(browser)
    reset = await link_for(rig)
    await follow(rig.browser(), await verify_link(rig))
    assert error_on(await rig.browser().get(reset)) == "link_gone"
    rig.clock.advance(timedelta(minutes=10))
    await ask(rig)
    assert (await reset_mails(rig))[-1].recipient == NEW_ADDRESS


async def test_A_33_a_change_takes_a_fresh_second_factor(rig: Rig) -> None:
    """From a session whose proof is older than 20 minutes nothing is sent and nothing removed."""
    browser = await sign_up(rig)
    await prove_address(rig)
    seed = await browser.add_totp(rig)
    rig.clock.advance(timedelta(minutes=21))
    before = len(await mails(rig))
    for path, form in (("/account/email", {"email": NEW_ADDRESS}), ("/account/email/remove", {})):
        refused = await browser.post(path, form)
        assert refused.status_code == 403
        assert "Confirm that it is you" in refused.text
    assert (len(await mails(rig)), await address_of(rig)) == (before, (ADDRESS, True))
    await browser.get("/account/email")
    page = await browser.submit(code=code_of(seed, rig))
    assert page.url.path == "/account/email"
    assert (await browser.post("/account/email", {"email": NEW_ADDRESS})).status_code == 200
    assert len(await mails(rig)) > before


@pytest.mark.parametrize("typed", ["", "alice", "a@b@c.test", "x" * 300 + "@mail.test", "a, b@mail.test"])
async def test_what_is_no_address_is_said_beside_the_field(rig: Rig, typed: str) -> None:
    browser = await sign_up(rig)
    refused = await request_change(browser, typed)
    assert (refused.status_code, error_on(refused)) == (400, "email_invalid")
    assert len(await mails(rig)) == 1


async def test_the_same_address_again_sends_nothing(rig: Rig) -> None:
    browser = await sign_up(rig)
    await prove_address(rig)
    assert (await request_change(browser, ADDRESS)).url.path == "/account/email"
    assert len(await of_kind(rig, "verify_email")) == 1


async def test_an_address_is_removed_with_all_links_to_it_and_its_owner_told(rig: Rig) -> None:
    browser = await sign_up(rig)
    verify = await verify_link(rig)
    await prove_address(rig)
    reset = await link_for(rig)
    page = await browser.post("/account/email/remove", {})
    assert page.url.path == "/account/email"
    assert await address_of(rig) == (None, False)
    assert [error_on(await rig.browser().get(link)) for link in (verify, reset)] == ["link_gone"] * 2
    [told] = await of_kind(rig, "email_removed")
    assert (told.recipient, ADDRESS in told.text) == (ADDRESS, True)
    await ask(rig)
    assert len(await reset_mails(rig)) == 1


async def test_nobody_who_is_not_signed_in_gets_there(rig: Rig) -> None:
    """(A-29)"""
    await sign_up(rig)
    stranger = rig.browser()
    assert (await stranger.get("/account/email")).url.path == "/login"
    for path in ("/account/email", "/account/email/send-again", "/account/email/remove"):
        assert (await stranger.post(path, {"email": NEW_ADDRESS})).url.path == "/login"
    assert len(await mails(rig)) == 1
