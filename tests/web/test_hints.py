"""No address of ours carries an ID token: what is posted is asked again by GET, with a handle in its place."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from idp.web.hints import HANDLE, HANDLE_LIFE, LONGEST_HINT
from tests.driver import Rig, authorization, response_of
from tests.web.test_logout import TARGET, is_signed_in, signed_in

SECOND = timedelta(seconds=1)


async def posted(rig: Rig, path: str, **fields: str) -> httpx2.Response:
    """The answer to a form of another site, which comes without our cookies."""
    async with rig.browser().http as http:
        headers = {"Origin": "https://rp.test", "Sec-Fetch-Site": "cross-site"}
        return await http.post(path, data=fields, headers=headers)


def asking(**changes: str) -> dict[str, str]:
    """An authorization request as the fields of a form."""
    return {name: value for name, [value] in parse_qs(urlsplit(authorization(**changes)).query).items()}


def is_asked(page: httpx2.Response) -> bool:
    """Whether the page asks whether to sign out."""
    return page.status_code == 200 and 'id="sign-out"' in page.text


async def test_no_address_of_ours_has_the_token(rig: Rig) -> None:
    """At both endpoints; and each does by its handle what it does by the token, on either process (RFC 9700 §4.12)."""
    browser, tokens = await signed_in(rig)
    hint = tokens["id_token"]
    asked = {"id_token_hint": hint, "post_logout_redirect_uri": TARGET, "state": "x", "password": "s3cret"}
    authorize = await posted(rig, "/oauth/authorize", **asking(prompt="none", id_token_hint=hint))
    logout = await posted(rig, "/oauth/logout", **asked)
    for again in (authorize, logout):
        assert again.status_code == 303
        assert "set-cookie" not in again.headers
        assert [part for part in ("id_token_hint", *hint.split(".")) if part in again.headers["location"]] == []
    names = set(parse_qs(urlsplit(logout.headers["location"]).query))
    assert names == {"post_logout_redirect_uri", "state", HANDLE}
    for _ in rig.apps:
        assert response_of(await browser.http.get(authorize.headers["location"]))["code"]
    gone = await browser.http.get(logout.headers["location"])
    assert (gone.status_code, gone.headers["location"]) == (303, f"{TARGET}?state=x")
    assert not await is_signed_in(browser)


async def test_a_handle_is_good_for_a_minute(rig: Rig) -> None:
    """And after it a hint that proves nothing."""
    browser, tokens = await signed_in(rig)
    fields = asking(prompt="none", id_token_hint=tokens["id_token"])
    authorize = (await posted(rig, "/oauth/authorize", **fields)).headers["location"]
    logout = (await posted(rig, "/oauth/logout", id_token_hint=tokens["id_token"])).headers["location"]
    rig.clock.advance(HANDLE_LIFE - SECOND)
    assert response_of(await browser.http.get(authorize))["code"]
    rig.clock.advance(SECOND)
    assert response_of(await browser.http.get(authorize))["error"] == "invalid_request"
    assert is_asked(await browser.http.get(logout))
    assert await is_signed_in(browser)


async def test_A_27_the_handle_stands_for_the_parameter(rig: Rig) -> None:
    """Both together are one parameter twice; and what is posted as a handle is not taken over: none lives on."""
    browser, tokens = await signed_in(rig)
    hint = tokens["id_token"]
    handle = (await posted(rig, "/oauth/logout", id_token_hint=hint)).headers["location"].partition("=")[2]
    for path in ("/oauth/logout?", authorization() + "&"):
        twice = await browser.http.get(f"{path}id_token_hint={hint}&{HANDLE}={handle}")
        assert (twice.status_code, 'data-error="invalid_request"' in twice.text) == (400, True)
    for fields in ({HANDLE: handle}, {HANDLE: hint}):
        again = await posted(rig, "/oauth/logout", **fields)
        assert (again.status_code, again.headers["location"]) == (303, "/oauth/logout")
    assert (await posted(rig, f"/oauth/logout?id_token_hint={hint}", id_token_hint=hint)).status_code == 400
    assert await is_signed_in(browser)


async def test_A_56_what_is_no_handle_proves_nothing(rig: Rig) -> None:
    browser, tokens = await signed_in(rig)
    for handle in ("x", "-" * 60, "%C3%A9", "A" * 4096, "too-long", "..", "=" * 5, tokens["id_token"]):
        assert is_asked(await browser.http.get(f"/oauth/logout?{HANDLE}={handle}")), handle
        refused = response_of(await browser.http.get(f"{authorization(prompt='none')}&{HANDLE}={handle}"))
        assert refused["error"] == "invalid_request", handle
    assert await is_signed_in(browser)


@pytest.mark.parametrize("size", [LONGEST_HINT, LONGEST_HINT + 1, 8192])
async def test_a_hint_of_any_size_has_its_answer(rig: Rig, size: int) -> None:
    """None that we take makes an address that we do not."""
    browser, tokens = await signed_in(rig)
    again = await posted(rig, "/oauth/logout", id_token_hint="x" * size)
    assert is_asked(await browser.http.get(again.headers["location"]))
    assert len(tokens["id_token"]) < LONGEST_HINT / 4
