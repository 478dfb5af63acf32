"""In which language a page is: what was chosen here, else the request's wish, the account's, the browser's."""

import re

import httpx2
import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from idp.web.reader import heed_request
from idp.web.reader import language_of as spoken
from tests.driver import PASSWORD, Browser, Rig, authorization


def language_of(page: httpx2.Response) -> str:
    """The language of a page, by its own word and by the header's."""
    found = re.search(r'<html lang="(\w+)" dir="(\w+)">', page.text)
    assert found is not None, page.text
    assert found[1] == page.headers["content-language"]
    assert found[2] == ("rtl" if found[1] == "ar" else "ltr")
    return found[1]


@pytest.fixture
async def browser(rig: Rig) -> Browser:
    """A browser whose user reads French."""
    browser = rig.browser()
    browser.http.headers["accept-language"] = "fr-CA,fr;q=0.9,en;q=0.5"
    return browser


async def test_the_browser_says_what_its_user_reads(browser: Browser) -> None:
    assert language_of(await browser.get("/login")) == "fr"
    assert language_of(await browser.get("/oauth/authorize?client_id=nobody")) == "fr"


async def test_a_request_says_it_better_and_for_all_its_pages(browser: Browser) -> None:
    """OpenID Connect Core §3.1.2.1, ``ui_locales``."""
    page = await browser.get(authorization(ui_locales="tlh de-CH es"))
    assert language_of(page) == "de"
    assert language_of(await browser.submit(username="alice", password="wrong, whatever it is")) == "de"
    assert language_of(await browser.get("/login")) == "fr"


async def test_an_error_of_the_request_is_in_its_language_too(browser: Browser) -> None:
    wrong = await browser.get(authorization(ui_locales="ja", redirect_uri="https://evil.test/cb"))
    assert (wrong.status_code, language_of(wrong)) == (400, "ja")


async def test_the_account_has_a_language(rig: Rig, browser: Browser) -> None:
    await browser.register()
    await browser.get("/account/profile")
    await browser.submit(locale="pt-BR", zoneinfo="", name="", given_name="", family_name="", nickname="")
    assert language_of(await browser.get("/account")) == "pt"
    other = rig.browser()
    await other.get(authorization())
    assert language_of(await other.submit(username="alice", password=PASSWORD)) == "pt"
    again = await other.get(authorization(ui_locales="zh", prompt="consent"))
    assert language_of(again) == "zh"


async def test_what_was_chosen_by_a_link_wins_and_stays_in_this_browser(rig: Rig, browser: Browser) -> None:
    page = await browser.get(authorization(ui_locales="de"))
    links = re.findall(r'href="(/login\?[^"]+)"\s+lang="(\w+)"', page.text)
    assert [tag for _, tag in links] == ["en", "ar", "de", "es", "fr", "ja", "pt", "zh"]
    chosen = await browser.get(next(url for url, tag in links if tag == "ar").replace("&amp;", "&"))
    assert language_of(chosen) == "ar"
    assert "Example Bank" in chosen.text, "the link keeps the interaction"
    assert language_of(await browser.get(authorization(ui_locales="de"))) == "ar"
    assert language_of(await browser.get("/register")) == "ar"
    assert language_of(await rig.browser().get("/register")) == "en"


async def test_no_link_leads_to_where_there_is_no_page(rig: Rig, browser: Browser) -> None:
    """The answer to a form has links to other languages only where its address opens by itself."""
    await browser.register()
    rig.clock.advance(21 * 60)
    for path, opens in (("/account/recovery-codes", True), ("/account/email/remove", False)):
        asked = await browser.post(path, {})
        assert (asked.status_code, "ui_locales=de" in asked.text) == (403, opens)


async def test_a_request_chooses_for_nobody(browser: Browser) -> None:
    """What an app wishes for is not kept."""
    await browser.get("/oauth/authorize?client_id=nobody&ui_locales=de")
    assert language_of(await browser.get("/login")) == "fr"


@pytest.mark.parametrize("tag", ["xx", "", "e" * 5000, "../de", "de\r\nX: y"])
async def test_what_is_no_language_changes_nothing(browser: Browser, tag: str) -> None:
    page = await browser.get(str(httpx2.URL("/login", params={"ui_locales": tag})))
    assert language_of(page) == "fr"
    assert "set-cookie" not in page.headers or "language" not in page.headers["set-cookie"]


async def test_discovery_names_the_languages(rig: Rig) -> None:
    document = (await rig.browser().get("/.well-known/openid-configuration")).json()
    assert document["ui_locales_supported"] == ["en", "ar", "de", "es", "fr", "ja", "pt", "zh"]


class Counting(Request):
    """A request that counts how often its headers are asked for."""

    asked = 0

    @property
    def headers(self) -> Headers:
        self.asked += 1
        return super().headers


async def test_the_language_is_found_once_a_request(rig: Rig) -> None:
    """And again only where the request turns out to wish for another; of many wishes the first few are heard."""
    headers = [(b"accept-language", b"fr")]
    scope = {"type": "http", "method": "GET", "path": "/login", "query_string": b"", "headers": headers, "app": rig.app}
    request = Counting(scope)
    assert spoken(request).tag == "fr"
    asked = request.asked
    assert asked
    assert spoken(request).tag == "fr"
    assert request.asked == asked
    heed_request(request, {"ui_locales": "tlh de"})
    assert spoken(request).tag == "de"
    heed_request(request, {"ui_locales": "tlh " * 10_000 + "de"})
    assert spoken(request).tag == "fr"
