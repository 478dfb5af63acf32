"""``/oauth/userinfo``: what a token opens, and nothing more."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests.driver import Browser, Rig, authorization, exchange, response_of, running


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


async def ask(rig: Rig, scope: str) -> httpx2.Response:
    """The answer to a token of this scope, of a user who has an address and a number."""
    browser: Browser = rig.browser()
    await browser.get("/register")
    filled = {"email": "alice@mail.example", "phone": "+44 7700 900123"}
    await browser.submit(username="alice", password="correct horse battery staple", **filled)
    await browser.get(authorization(scope=scope))
    tokens = (await exchange(rig, response_of(await browser.submit(decision="allow"))["code"])).json()
    async with rig.browser().http as http:
        return await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})


async def test_10_3_2_a_token_without_openid_opens_nothing(rig: Rig) -> None:
    answer = await ask(rig, "profile email")
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    assert set(answer.json()) <= {"error", "error_description"}


@pytest.mark.parametrize(
    ("scope", "told", "kept"),
    [
        ("openid", {"sub"}, {"preferred_username", "email", "phone_number"}),
        ("openid profile", {"preferred_username"}, {"email", "phone_number"}),
        ("openid email", {"email", "email_verified"}, {"preferred_username", "phone_number"}),
        ("openid phone", {"phone_number", "phone_number_verified"}, {"preferred_username", "email"}),
    ],
)
async def test_10_3_2_and_15_3_1_claims_follow_the_scope(rig: Rig, scope: str, told: set[str], kept: set[str]) -> None:
    names = set((await ask(rig, scope)).json())
    assert told <= names
    assert not kept & names
