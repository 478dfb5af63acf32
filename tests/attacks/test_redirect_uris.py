"""A-01 to A-07: where an authorization response may go, and to whom its code belongs."""

import pytest

from idp.base.clock import system_clock
from idp.oauth.registration import InvalidMetadata, register
from tests.cluster import (
    REDIRECT_URIS,
    Cluster,
    answer_of,
    authorization,
    error_of,
    is_error_page,
)

UNREGISTERED = "https://rp-x.test/cb"


async def refused_on_our_page(cluster: Cluster, address: str) -> None:
    """The request ends on an error page, leaves a row in the audit trail, and nothing else: not even for one signed in.

    No code is stored, and no interaction in which the user might go on.
    """
    browser, before = await cluster.signed_in(), await cluster.last_event()
    async with browser.http:
        answer = await browser.http.get(address)
    assert is_error_page(answer), (address, answer.status_code, answer.text)
    assert [event.event for event in await cluster.events(before)] == ["request_refused"]
    assert await cluster.count("authorization_codes") == await cluster.count("interactions") == 0


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://rp-a.test.evil.test/cb",
        "https://rp-axtest/cb",
        "https://rp-a.testevil.test/cb",
        "https://rp-a.test/cb/",
        "https://rp-a.test./cb",
        "https://rp-a.test:443/cb",
        "HTTPS://rp-a.test/cb",
        "http://rp-a.test/cb",
        "https://rp-b.test/cb",
    ],
)
async def test_A_01_look_alike_host(cluster: Cluster, redirect_uri: str) -> None:
    """(ASVS 10.4.1)"""
    await refused_on_our_page(cluster, authorization("spa", redirect_uri=redirect_uri))


@pytest.mark.parametrize(
    "redirect_uri",
    ["https://rp-a.test@evil.test/cb", "https://rp-a.test:443@evil.test/cb", "https://x@y@rp-a.test/cb"],
)
async def test_A_02_user_name_in_the_address(cluster: Cluster, redirect_uri: str) -> None:
    """(ASVS 10.4.1)"""
    await refused_on_our_page(cluster, authorization("spa", redirect_uri=redirect_uri))


@pytest.mark.parametrize(
    "path", ["/cb/../x", "/x/..;/cb", "/cb/..%2fx", "/./cb", "/x/../cb", "/CB", "/%63b", "/cb#", "/cb?", "//cb"]
)
async def test_A_03_path_games(cluster: Cluster, path: str) -> None:
    """Equality is on the raw string (ASVS 10.4.1)."""
    await refused_on_our_page(cluster, authorization("spa", redirect_uri=f"https://rp-a.test{path}"))


async def test_A_04_loopback_with_any_port(cluster: Cluster) -> None:
    """From the request to the tokens (ASVS 10.4.1)."""
    redirect_uri = "http://127.0.0.1:51004/cb"
    browser = await cluster.signed_in()
    async with browser.http:
        await browser.get(authorization("native", redirect_uri=redirect_uri))
        code = answer_of(await browser.submit(decision="allow"), redirect_uri)["code"]
    assert error_of(await cluster.exchange(code, "native")) == (400, "invalid_grant"), "another port than was asked for"
    tokens = await cluster.exchange(code, "native", redirect_uri=redirect_uri)
    assert tokens.json()["token_type"] == "Bearer"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:51004/cb?x=1",
        "http://localhost:51004/cb",
        "http://127.0.0.1.evil.test:51004/cb",
        "https://127.0.0.1/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:51004@evil.test/cb",
        "http://127.0.0.1:051004/cb",
        "http://127.0.0.1:00080/cb",
        "http://127.0.0.1:65536/cb",
        "https://127.0.0.1:51004/cb",
        "http://[::1]:51004/cb",
    ],
)
async def test_A_04_loopback_and_nothing_like_it(cluster: Cluster, redirect_uri: str) -> None:
    """(ASVS 10.4.1)"""
    await refused_on_our_page(cluster, authorization("native", redirect_uri=redirect_uri))


FAULTS: dict[str, tuple[dict[str, str | None], str]] = {
    "bogus response_type": ({"response_type": "bogus"}, "unsupported_response_type"),
    "prompt=none": ({"prompt": "none"}, "login_required"),
    "no scope": ({"scope": None}, "invalid_scope"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_A_05_no_error_goes_to_an_unregistered_address(cluster: Cluster, fault: str) -> None:
    changes, _ = FAULTS[fault]
    await refused_on_our_page(cluster, authorization("spa", **changes, redirect_uri=UNREGISTERED))


@pytest.mark.parametrize("redirect_uri", [UNREGISTERED, REDIRECT_URIS["spa"]])
async def test_A_05_no_error_goes_to_the_address_of_an_unknown_client(cluster: Cluster, redirect_uri: str) -> None:
    await refused_on_our_page(cluster, authorization("nobody", redirect_uri=redirect_uri))


@pytest.mark.parametrize("fault", FAULTS)
async def test_A_05_errors_go_to_the_registered_address(cluster: Cluster, fault: str) -> None:
    changes, error = FAULTS[fault]
    async with cluster.http() as http:
        answer = answer_of(await http.get(authorization("spa", **changes)), REDIRECT_URIS["spa"])
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "af0ifjsldkj", cluster.issuer)
    assert "code" not in answer


@pytest.mark.parametrize("planted", ["code=x", "state=x", "iss=https://evil.test", "error=x", "c%6Fde=x"])
def test_A_06_response_parameters_are_not_registered(planted: str) -> None:
    """By the operator, that is: clients cannot register themselves over HTTP yet."""
    metadata = {"client_name": "App", "redirect_uris": [f"https://rp.test/cb?{planted}"]}
    with pytest.raises(InvalidMetadata, match="redirect_uris"):
        register(metadata, client_id="app", now=system_clock())
    assert register(metadata | {"redirect_uris": ["https://rp.test/cb?x=1"]}, client_id="app", now=system_clock())


async def test_A_06_response_parameters_are_not_planted_later(cluster: Cluster) -> None:
    """(ASVS 10.4.1)"""
    planted = "https://rp-a.test/cb?code=evil&state=evil"
    await refused_on_our_page(cluster, authorization("spa", redirect_uri=planted))


@pytest.mark.parametrize(
    ("owner", "bearer", "changes"),
    [
        pytest.param("spa", "web", {"redirect_uri": REDIRECT_URIS["spa"]}, id="another client"),
        pytest.param("web", "web", {"redirect_uri": "https://rp-b.test/cb2"}, id="another registered redirect_uri"),
        pytest.param("web", "web", {"redirect_uri": None}, id="no redirect_uri"),
    ],
)
async def test_A_07_a_code_is_bound(cluster: Cluster, owner: str, bearer: str, changes: dict[str, str | None]) -> None:
    """To its client and redirect URI; what a stranger tries does not hurt the owner (ASVS 10.1.2)."""
    browser = await cluster.signed_in()
    async with browser.http:
        code = await cluster.code(browser, owner)
    assert error_of(await cluster.exchange(code, bearer, **changes)) == (400, "invalid_grant")
    assert await cluster.count("refresh_tokens") == 0
    assert (await cluster.exchange(code, owner)).status_code == 200
