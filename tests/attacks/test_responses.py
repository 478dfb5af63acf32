"""A-25 to A-27: what answers say of whom they are from, what may be asked for, and parameters that come twice."""

import re
from typing import Any

import pytest

from tests.cluster import (
    BASIC,
    REDIRECT_URIS,
    Cluster,
    answer_of,
    authorization,
    code_grant,
    error_of,
    is_error_page,
)

ANSWERS: dict[str, dict[str, str | None]] = {
    "a code": {},
    "login_required": {"prompt": "none", "max_age": "0"},
    "unsupported_response_type": {"response_type": "token"},
    "invalid_request": {"code_challenge": None},
    "invalid_scope": {"scope": None},
    "request_not_supported": {"request": "x"},
    "request_uri_not_supported": {"request_uri": "https://evil.test/"},
    "registration_not_supported": {"registration": "x"},
    "unmet_authentication_requirements": {"acr_values": "gold"},
    "consent_required": {"prompt": "none", "scope": "openid email"},
}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("mode", ["query", "form_post"])
async def test_A_25_mix_up(cluster: Cluster, name: str, mode: str) -> None:
    """Every answer names its issuer, byte for byte as discovery does (RFC 9207)."""
    metadata = await cluster.metadata()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    browser = await cluster.signed_in()
    async with browser.http:
        answer = await browser.http.get(authorization("web", **ANSWERS[name], response_mode=mode))
    told = answer_of(answer) if mode == "query" else posted(answer.text)
    assert told["iss"] == metadata["issuer"] == cluster.issuer
    assert told["state"] == "af0ifjsldkj"
    assert ("code" in told) if name == "a code" else (told["error"] == name)


def posted(page: str) -> dict[str, str]:
    """The fields of the form that goes to the client."""
    assert f'action="{REDIRECT_URIS["web"]}"' in page
    return dict(re.findall(r'<input type="hidden" name="([^"]+)"\s+value="([^"]*)"', page))


async def test_A_25_what_the_user_decides_names_the_issuer_too(cluster: Cluster) -> None:
    browser = await cluster.signed_in(consent=())
    async with browser.http:
        await browser.get(authorization())
        told = answer_of(await browser.submit(decision="deny"))
    assert (told["error"], told["iss"]) == ("access_denied", cluster.issuer)


@pytest.mark.parametrize(
    "response_type", ["token", "id_token", "code token", "code id_token", "id_token token", "none", "code code", "CODE"]
)
async def test_A_26_retired_response_types(cluster: Cluster, response_type: str) -> None:
    """(ASVS 10.4.4, 10.6.1)"""
    browser = await cluster.signed_in()
    async with browser.http:
        answer = await browser.http.get(authorization(response_type=response_type))
    assert answer_of(answer)["error"] == "unsupported_response_type"
    assert not re.search("token=|code=|#", answer.headers["location"])
    assert (await cluster.metadata())["response_types_supported"] == ["code"]


@pytest.mark.parametrize("response_mode", ["fragment", "query.jwt", "web_message"])
async def test_A_26_no_response_in_a_fragment(cluster: Cluster, response_mode: str) -> None:
    """(ASVS 10.6.1)"""
    browser = await cluster.signed_in()
    async with browser.http:
        answer = await browser.http.get(authorization(response_mode=response_mode))
    assert answer_of(answer)["error"] == "invalid_request"
    assert (await cluster.metadata())["response_modes_supported"] == ["query", "form_post"]


@pytest.mark.parametrize(
    "grant_type",
    ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "authorization_code ", "PASSWORD"],
)
@pytest.mark.parametrize("client_id", ["spa", "web", "m2m"])
async def test_A_26_retired_grants(cluster: Cluster, grant_type: str, client_id: str) -> None:
    """(ASVS 10.4.4)"""
    answer = await cluster.post(
        "/oauth/token", client_id, grant_type=grant_type, username="bob", password="correct horse battery staple"
    )
    assert error_of(answer) == (400, "unsupported_grant_type")
    known = (await cluster.metadata())["grant_types_supported"]
    assert known == ["authorization_code", "refresh_token", "client_credentials"]


async def test_A_26_a_grant_has_to_be_the_clients_own(cluster: Cluster) -> None:
    """(ASVS 10.4.4)"""
    browser = await cluster.signed_in()
    async with browser.http:
        assert is_error_page(await browser.http.get(authorization("m2m", redirect_uri=REDIRECT_URIS["spa"])))
    for grant_type in ("authorization_code", "refresh_token"):
        answer = await cluster.post("/oauth/token", "m2m", grant_type=grant_type, code="x", refresh_token="x")
        assert error_of(answer) == (400, "unauthorized_client")


EVIL: dict[str, str] = {
    "client_id": "spa",
    "redirect_uri": "https://evil.test/cb",
    "scope": "openid api",
    "code_challenge": "A" * 43,
    "state": "other",
    "response_type": "token",
    "prompt": "none",
    "nonce": "",
}


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("first", [True, False])
async def test_A_27_doubled_parameters_at_authorize(cluster: Cluster, name: str, first: bool) -> None:
    """Of two nobody knows which was meant, so neither is followed, not even to a redirect (RFC 6749 §3.1)."""
    address = authorization(prompt="login", nonce="n")
    path, _, query = address.partition("?")
    more = f"{name}={EVIL[name]}"
    browser = await cluster.signed_in()
    async with browser.http:
        answer = await browser.http.get(f"{path}?{more}&{query}" if first else f"{address}&{more}")
        assert is_error_page(answer), answer.text
        sent: dict[str, Any] = {"content": f"{query}&{more}", "headers": FORM}
        assert is_error_page(await browser.http.post(path, **sent))
    assert await cluster.count("authorization_codes") == await cluster.count("interactions") == 0


FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("code=x", id="code"),
        pytest.param("code_verifier=x", id="code_verifier"),
        pytest.param("redirect_uri=https://evil.test/", id="redirect_uri"),
        pytest.param("grant_type=refresh_token", id="grant_type"),
        pytest.param("client_id=web&client_id=spa", id="client_id"),
        pytest.param("x=1&x=2", id="one that is not known"),
        pytest.param("c%6Fde=x", id="encoded otherwise"),
    ],
)
async def test_A_27_doubled_parameters_at_the_token_endpoint(cluster: Cluster, more: str) -> None:
    """Refused, and the code is not spent by it (RFC 6749 §3.2)."""
    browser = await cluster.signed_in()
    async with browser.http:
        code = await cluster.code(browser)
    pairs = "&".join(f"{name}={value}" for name, value in code_grant(code).items())
    async with cluster.http() as http:
        answer = await http.post("/oauth/token", content=f"{pairs}&{more}", headers=FORM | {"authorization": BASIC})
        assert error_of(answer) == (400, "invalid_request")
        in_query = await http.post(f"/oauth/token?{more}", content=pairs, headers=FORM | {"authorization": BASIC})
        assert error_of(in_query) == (400, "invalid_request")
    assert (await cluster.exchange(code)).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
async def test_A_27_doubled_parameters_elsewhere(cluster: Cluster, path: str) -> None:
    """One in the query and one in the body among them."""
    token = (await cluster.tokens())["access_token"]
    async with cluster.http() as http:
        for address, body in ((path, f"token=x&token={token}"), (f"{path}?token=x", f"token={token}")):
            answer = await http.post(address, content=body, headers=FORM | {"authorization": BASIC})
            assert error_of(answer) == (400, "invalid_request")
    assert (await cluster.introspect(token))["active"] is True


async def test_A_27_one_token_in_one_place(cluster: Cluster) -> None:
    """Two bearer tokens are none (RFC 6750 §2)."""
    token = (await cluster.tokens())["access_token"]
    bearer = {"authorization": f"Bearer {token}"}
    async with cluster.http() as http:
        both = await http.post("/oauth/userinfo", data={"access_token": token}, headers=bearer)
        twice = await http.get("/oauth/userinfo", headers=[("authorization", f"Bearer {token}")] * 2)
        in_query = await http.get(f"/oauth/userinfo?access_token={token}")
    assert (both.status_code, 'error="invalid_request"' in both.headers["www-authenticate"]) == (400, True)
    assert (twice.status_code, 'error="invalid_request"' in twice.headers["www-authenticate"]) == (400, True)
    assert in_query.status_code == 401


async def test_A_27_one_authorization_header(cluster: Cluster) -> None:
    """Of two nobody knows which was meant (RFC 9110 §5.3)."""
    twice = [("authorization", BASIC), ("authorization", BASIC)]
    for path in ("/oauth/token", "/oauth/introspect", "/oauth/revoke"):
        async with cluster.http() as http:
            answer = await http.post(path, data={"grant_type": "client_credentials", "token": "x"}, headers=twice)
        assert error_of(answer) == (400, "invalid_request")
