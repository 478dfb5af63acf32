"""Pages that were left open, gone back to or open twice: they lead back to what was asked for."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.driver import PASSWORD, Rig, authorization, code_of, response_of

AFTER_IT_EXPIRED = timedelta(hours=1, seconds=1)


def is_renewed(answer: httpx2.Response) -> bool:
    """Whether this is the first page of the sign-in, fresh, that says why it is here again."""
    return answer.url.path == "/login" and "This page was open for too long." in answer.text


async def test_a_page_left_open_for_too_long_comes_back_with_what_was_typed_and_asked(rig: Rig) -> None:
    browser = rig.browser()
    await rig.browser().register()
    await browser.get(authorization(state="kept"))
    rig.clock.advance(AFTER_IT_EXPIRED)
    again = await browser.submit(username="alice", password=PASSWORD)
    assert is_renewed(again)
    assert 'value="alice"' in again.text
    assert PASSWORD not in again.text
    await browser.submit(username="alice", password=PASSWORD)
    assert response_of(await browser.submit(decision="allow"))["state"] == "kept"


async def test_reloading_it_does_as_well(rig: Rig) -> None:
    browser = rig.browser()
    opened = await browser.get(authorization())
    rig.clock.advance(AFTER_IT_EXPIRED)
    assert is_renewed(await browser.get(str(opened.url)))


async def test_the_way_to_a_page_of_ours_is_kept(rig: Rig) -> None:
    browser = rig.browser()
    await rig.browser().register()
    await browser.get("/account/sessions")
    rig.clock.advance(AFTER_IT_EXPIRED)
    assert is_renewed(await browser.submit(username="alice", password=PASSWORD))
    assert (await browser.submit(username="alice", password=PASSWORD)).url.path == "/account/sessions"


async def test_nothing_that_was_proved_before_counts_after(rig: Rig) -> None:
    """A-70: the password given to a sign-in that expired is asked for again."""
    owner, browser = rig.browser(), rig.browser()
    await owner.register()
    secret = await owner.add_totp(rig)
    await browser.get(authorization())
    await browser.submit(username="alice", password=PASSWORD)
    rig.clock.advance(AFTER_IT_EXPIRED)
    again = await browser.submit(code=code_of(secret, rig))
    assert is_renewed(again)
    assert 'name="username"' in again.text


async def test_going_back_after_the_answer_says_that_it_is_done(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    consent = await browser.get(authorization())
    answered = response_of(await browser.submit(decision="allow"))
    for back in (await browser.get(str(consent.url)), await browser.post(str(consent.url), {"decision": "allow"})):
        assert back.status_code == 200
        assert "You are already signed in" in back.text
        assert "alice" in back.text
        assert answered["code"] not in back.text


async def test_going_on_from_there_asks_anew_for_the_same(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    consent = await browser.get(authorization(state="s1"))
    first = response_of(await browser.submit(decision="allow"))
    back = await browser.get(str(consent.url))
    onward = httpx2.URL(back.text.partition('class="btn" href="')[2].partition('"')[0].replace("&amp;", "&"))
    assert onward.path == "/oauth/authorize"
    second = response_of(await browser.get(str(onward)))
    assert second["state"] == first["state"] == "s1"
    assert second["code"] != first["code"]


async def test_a_second_tab_goes_on_where_it_is(rig: Rig) -> None:
    """Both tabs end at the app, each with the state of its own request."""
    one = rig.browser()
    await rig.browser().register()
    await one.get(authorization(state="first"))
    waiting = one.page
    assert waiting is not None
    await one.get(authorization(state="second"))
    await one.submit(username="alice", password=PASSWORD)
    assert response_of(await one.submit(decision="allow"))["state"] == "second"
    other = await one.post(str(waiting.url), {"username": "alice", "password": PASSWORD})
    assert response_of(other)["state"] == "first"


async def test_where_nobody_is_signed_in_any_more_it_begins_anew(rig: Rig) -> None:
    browser = rig.browser()
    await browser.register()
    consent = await browser.get(authorization())
    await browser.submit(decision="allow")
    browser.page = None
    await browser.post("/account/sign-out", {})
    assert is_renewed(await browser.get(str(consent.url)))


async def test_A_52_a_stale_page_is_nothing_in_another_browser(rig: Rig) -> None:
    alice, mallory = rig.browser(), rig.browser()
    opened = await mallory.get(authorization(login_hint="mallory"))
    await alice.get(authorization())
    rig.clock.advance(AFTER_IT_EXPIRED)
    refused = await alice.get(str(opened.url))
    assert (refused.status_code, 'data-error="interaction_gone"' in refused.text) == (400, True)


async def test_an_unknown_interaction_is_gone(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get(authorization())
    gone = await browser.get("/login?interaction=abc")
    assert 'data-error="interaction_gone"' in gone.text


async def test_a_request_that_is_not_good_any_more_is_refused_when_it_begins_anew(rig: Rig) -> None:
    """The client was removed meanwhile."""
    browser = rig.browser()
    opened = await browser.get(authorization())
    rig.clock.advance(AFTER_IT_EXPIRED)
    async with rig.app.state.provider.pool.acquire() as conn:
        await conn.execute("UPDATE clients SET disabled_at = now()")
    refused = await browser.get(str(opened.url))
    assert 'data-error="client_unknown"' in refused.text
    assert parse_qs(urlsplit(str(refused.url)).query)["interaction"]
