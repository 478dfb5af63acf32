"""A-25 to A-27: what answers say of whom they are from, what may be asked for, and parameters that come twice."""

import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from idp.store import clients
from idp.store.database import transaction
from tests.cluster import (
    BASIC,
    REDIRECT_URIS,
    SECRET,
    Cluster,
    answer_of,
    authorization,
    code_grant,
    error_of,
    is_error_page,
)
from tests.driver import PASSWORD

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


async def test_A_25_an_answer_after_pages_of_ours_names_the_issuer_too(cluster: Cluster) -> None:
    """Who gives up, and who cannot reach what is essential, comes back with it; in either mode."""
    essential = '{"id_token":{"acr":{"essential":true,"value":"phr"}}}'
    for mode in ("query", "form_post"):
        browser = cluster.browser()
        async with browser.http:
            await browser.get(authorization(response_mode=mode, claims=essential))
            in_vain = await browser.submit(username="bob", password=PASSWORD)
            page = await browser.get(authorization(response_mode=mode, acr_values="phr"))
            way_out = re.search(r'href="(/login/cancel[^"]+)"', page.text)
            assert way_out is not None
            away = await browser.get(unescape(way_out[1]))
        for answer, error in ((away, "access_denied"), (in_vain, "unmet_authentication_requirements")):
            told = answer_of(answer) if mode == "query" else posted(answer.text)
            assert (told["error"], told["iss"], told["state"]) == (error, cluster.issuer, "af0ifjsldkj")


@pytest.mark.parametrize(
    ("modes", "asked", "told_by"),
    [
        pytest.param(("form_post",), "query", "form_post", id="query, which is not its own"),
        pytest.param(("form_post",), None, "form_post", id="none, which stands for query"),
        pytest.param(("query",), "form_post", "query", id="form_post, which is not its own"),
        pytest.param(("form_post", "query"), "fragment", "form_post", id="one that is nobody's"),
    ],
)
async def test_10_4_12_a_client_uses_its_own_response_modes(
    cluster: Cluster, modes: tuple[str, ...], asked: str | None, told_by: str
) -> None:
    """What is not among them gives no code, and is told by the first of them."""
    async with transaction(cluster.pool) as conn:
        await clients.update(conn, replace(await clients.lock_client(conn, "web"), response_modes=modes))
    browser = await cluster.signed_in()
    async with browser.http:
        refused = await browser.http.get(authorization(response_mode=asked))
        taken = await browser.http.get(authorization(response_mode=modes[0]))
    for answer, mode in ((refused, told_by), (taken, modes[0])):
        told = answer_of(answer) if mode == "query" else posted(answer.text)
        error = None if answer is taken else "invalid_request"
        assert ("code" in told, told.get("error")) == (answer is taken, error)
    assert await cluster.count("authorization_codes") == 1


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


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        *((authorization(prompt="login"), name, value or "other") for name, value in EVIL.items()),
        ("/oauth/authorize?x=1", "x", "1"),
        ("/oauth/logout?state=a", "state", "b"),
        ("/oauth/logout?post_logout_redirect_uri=https://rp-b.test/", "post_logout_redirect_uri", "https://evil.test/"),
    ],
)
async def test_A_27_one_in_the_query_and_one_in_the_body(cluster: Cluster, path: str, name: str, value: str) -> None:
    """Nowhere that takes both is either of them followed (RFC 6749 §3.1)."""
    async with cluster.http() as http:
        answer = await http.post(path, data={name: value})
    assert is_error_page(answer), (answer.status_code, answer.headers.get("location"))


async def test_A_27_a_request_may_be_parted(cluster: Cluster) -> None:
    """What stands once, in the query or in the body, is one request."""
    address = authorization(state=None)
    async with cluster.http() as http:
        led = await http.post(address, data={"state": "af0ifjsldkj"})
    assert (led.status_code, led.headers["location"]) == (303, f"{address}&state=af0ifjsldkj")


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


ORIGINS = ("https://evil.test", "null", "https://rp-a.test.evil.test", "https://xrp-a.test", "http://rp-a.test")


async def test_A_69_over_two_servers(cluster: Cluster) -> None:
    """What a page of an unknown origin asks comes back without a word of permission; `spa` reads its own (ASVS 3.4.2).

    Of confidential clients no page has anything to ask (RFC 9700 §2.6).
    """
    paths = ("/oauth/authorize", "/oauth/token", "/oauth/userinfo", "/oauth/revoke", "/oauth/introspect", "/account")
    async with cluster.http() as http:
        for path in paths:
            for origin in (*ORIGINS, "https://rp-b.test"):
                asked = {"origin": origin, "access-control-request-method": "POST"}
                for method in ("OPTIONS", "POST"):
                    told = (await http.request(method, path, headers=asked)).headers
                    assert not [name for name in told if name.startswith("access-control")], (path, origin, method)
        own = {"origin": "https://rp-a.test", "access-control-request-method": "POST"}
        for path in paths:
            told = (await http.options(path, headers=own)).headers
            is_open = path in {"/oauth/token", "/oauth/userinfo", "/oauth/revoke"}
            assert told.get("access-control-allow-origin") == ("https://rp-a.test" if is_open else None)
            assert "access-control-allow-credentials" not in told


async def test_discovery_lists_what_works(cluster: Cluster) -> None:
    """Each endpoint, response mode, prompt, scope, level, grant and way to authenticate (RFC 9700 §2.6).

    That what is not listed is refused is shown above; algorithms are in web/test_token.py.
    """
    metadata, form = await cluster.metadata(), {"grant_type": "client_credentials"}
    for name in [name for name in metadata if name.endswith("_endpoint") or name == "jwks_uri"]:
        async with cluster.http() as http:
            assert metadata[name].startswith(cluster.issuer)
            answers = [(await http.request(method, metadata[name])).status_code for method in ("GET", "POST")]
        assert 404 not in answers, name
        assert answers != [405, 405], name
    browser = await cluster.signed_in()
    async with browser.http:
        for mode in metadata["response_modes_supported"]:
            answer = await browser.http.get(authorization(response_mode=mode))
            assert (answer_of(answer) if mode == "query" else posted(answer.text))["code"]
        for parameter, listed in (("prompt", "prompt_values_supported"), ("acr_values", "acr_values_supported")):
            for value in metadata[listed]:
                answer = await browser.http.get(authorization(**{parameter: value}))
                assert answer.status_code == 303, (parameter, value)
                assert "error=" not in answer.headers["location"], (parameter, value)
    async with transaction(cluster.pool) as conn:
        web = await clients.lock_client(conn, "web")
        await clients.update(conn, replace(web, scope=tuple(metadata["scopes_supported"])))
    tokens = await wholly_allowed(cluster, " ".join(metadata["scopes_supported"]))
    assert tokens["scope"].split() == metadata["scopes_supported"]
    assert (await cluster.refresh(tokens["refresh_token"])).status_code == 200
    assert (await cluster.post("/oauth/token", "m2m", **form)).status_code == 200
    assert metadata["grant_types_supported"] == ["authorization_code", "refresh_token", "client_credentials"]
    assert (await cluster.tokens(client_id="spa"))["access_token"]
    async with transaction(cluster.pool) as conn:
        web = await clients.lock_client(conn, "web")
        await clients.update(conn, replace(web, token_endpoint_auth_method="client_secret_post", scope=("api",)))
    async with cluster.http() as http:
        sent = {"client_id": "web", "client_secret": SECRET, **form}
        assert (await http.post("/oauth/token", data=sent)).status_code == 200
    ways = {"client_secret_basic", "client_secret_post", "private_key_jwt", "none"}
    assert set(metadata["token_endpoint_auth_methods_supported"]) == ways


async def wholly_allowed(cluster: Cluster, scope: str) -> dict[str, Any]:
    """The tokens of `web` for a user who allows all of this."""
    browser = await cluster.signed_in(consent=())
    async with browser.http:
        await browser.get(authorization(scope=scope))
        code = answer_of(await browser.submit(decision="allow"))["code"]
    return dict((await cluster.exchange(code)).json())
