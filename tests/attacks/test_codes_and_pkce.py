"""A-08 to A-13: the proof key and the code. A-12, the race, is in journeys/test_races.py."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from tests import driver
from tests.cluster import REDIRECT_URIS, Cluster, answer_of, authorization, error_of
from tests.driver import VERIFIER, Rig, running


@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        pytest.param(None, "invalid_request", id="none"),
        pytest.param("", "invalid_request", id="empty"),
        pytest.param("A" * 43, "invalid_grant", id="wrong"),
        pytest.param(VERIFIER[:42], "invalid_grant", id="cut"),
        pytest.param(driver.CHALLENGE, "invalid_grant", id="the challenge itself"),
        pytest.param(VERIFIER + " ", "invalid_grant", id="with a space"),
    ],
)
async def test_A_08_verifier_left_out(cluster: Cluster, verifier: str | None, error: str) -> None:
    """The code is not spent by that, and no token comes of it (ASVS 10.4.6)."""
    browser = await cluster.signed_in()
    async with browser.http:
        code = await cluster.code(browser, "spa")
    assert error_of(await cluster.exchange(code, "spa", code_verifier=verifier)) == (400, error)
    assert await cluster.count("refresh_tokens") == 0
    assert (await cluster.exchange(code, "spa")).status_code == 200


@pytest.mark.parametrize("client_id", ["spa", "web"])
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"code_challenge": None}, id="A-09 no challenge"),
        pytest.param({"code_challenge": None, "code_challenge_method": None}, id="A-09 no PKCE at all"),
        pytest.param({"code_challenge": ""}, id="A-09 an empty challenge"),
        pytest.param({"code_challenge_method": "plain", "code_challenge": VERIFIER}, id="A-10 plain"),
        pytest.param({"code_challenge_method": None, "code_challenge": VERIFIER}, id="A-10 no method, which is plain"),
        pytest.param({"code_challenge_method": "s256"}, id="A-10 another case"),
    ],
)
async def test_A_09_and_A_10_no_downgrade(cluster: Cluster, client_id: str, changes: dict[str, str | None]) -> None:
    """Every client uses S256, confidential ones too; there is no exemption, so no code without a challenge.

    (ASVS 10.4.6; G4)
    """
    browser = await cluster.signed_in()
    async with browser.http:
        answer = await browser.http.get(authorization(client_id, **changes))
    told = answer_of(answer, REDIRECT_URIS[client_id])
    assert (told["error"], told["state"]) == ("invalid_request", "af0ifjsldkj")
    assert "code" not in told
    assert await cluster.count("authorization_codes") == 0
    assert (await cluster.metadata())["code_challenge_methods_supported"] == ["S256"]


async def test_A_11_code_reused(cluster: Cluster) -> None:
    """All that came of it dies, on both servers, and the audit trail tells (ASVS 10.4.2)."""
    browser = await cluster.signed_in()
    async with browser.http:
        code = await cluster.code(browser)
    tokens = (await cluster.exchange(code)).json()
    assert (await cluster.introspect(tokens["access_token"]))["active"] is True
    before = await cluster.last_event()
    assert error_of(await cluster.exchange(code)) == (400, "invalid_grant")
    for _ in cluster.workers:
        assert await cluster.introspect(tokens["access_token"]) == {"active": False}
        assert (await cluster.userinfo(tokens["access_token"])).status_code == 401
    assert error_of(await cluster.refresh(tokens["refresh_token"])) == (400, "invalid_grant")
    told = [event for event in await cluster.events(before) if event.event == "authorization_revoked"]
    assert [(event.sub, event.client_id, event.details["reason"]) for event in told] == [
        ("sub-of-bob", "web", "the code was used again")
    ]


@pytest.mark.parametrize(
    ("bearer", "changes"),
    [
        pytest.param("web", {"code_verifier": "A" * 43}, id="without the verifier"),
        pytest.param("spa", {"redirect_uri": REDIRECT_URIS["web"]}, id="by another client"),
    ],
)
async def test_A_11_who_could_not_have_used_it_ends_nothing(
    cluster: Cluster, bearer: str, changes: dict[str, str | None]
) -> None:
    """Who has read a code on its way signs nobody out with it: only a second valid use counts (ASVS 10.4.2)."""
    browser = await cluster.signed_in()
    async with browser.http:
        code = await cluster.code(browser)
    tokens = (await cluster.exchange(code)).json()
    assert error_of(await cluster.exchange(code, bearer, **changes)) == (400, "invalid_grant")
    assert (await cluster.introspect(tokens["access_token"]))["active"] is True


async def test_A_11_a_race_kills_the_family_too(cluster: Cluster) -> None:
    """What the winner of a race got is dead once the losers have come (A-12, ASVS 10.4.2)."""
    browser = await cluster.signed_in()
    async with browser.http:
        code = await cluster.code(browser)
    answers = await asyncio.gather(*(cluster.exchange(code) for _ in range(10)))
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert await cluster.introspect(won["access_token"]) == {"active": False}
    assert error_of(await cluster.refresh(won["refresh_token"])) == (400, "invalid_grant")


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


@pytest.mark.parametrize(("age", "status"), [(55, 200), (59, 200), (60, 400), (65, 400)])
async def test_A_13_code_age(rig: Rig, age: int, status: int) -> None:
    """A minute at most, in this process because of the clock (ASVS 10.4.3; G1)."""
    browser = rig.browser()
    await browser.get(driver.authorization(prompt="create"))
    await browser.register()
    code = driver.response_of(await browser.submit(decision="allow"))["code"]
    rig.clock.advance(age)
    answer: httpx2.Response = await driver.exchange(rig, code)
    assert answer.status_code == status
    if status == 400:
        assert error_of(answer) == (400, "invalid_grant")
