import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.base import jwk
from idp.model.client import Client
from idp.oauth import registration
from idp.oauth.registration import InvalidMetadata
from tests.base.roca import roca_modulus

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = {"client_name": "Example Bank", "redirect_uris": ["https://bank.example/callback"]}


def register(**members: Any) -> Client:
    return registration.register({**GOOD, **members}, client_id="c1", now=NOW)


def faults(**members: Any) -> dict[str, str]:
    try:
        register(**members)
    except InvalidMetadata as refusal:
        return {fault.member: fault.reason for fault in refusal.faults}
    return {}


def public_key(made_for: jwk.Algorithm = "ES256", **members: Any) -> dict[str, Any]:
    return {**jwk.generate(made_for, rsa_bits=2048).public_jwk, **members}


def test_defaults_are_those_of_rfc_7591() -> None:
    client = register()
    assert client == Client(
        "c1", "Example Bank", "client_secret_basic", NOW, redirect_uris=("https://bank.example/callback",)
    )
    assert client.grant_types == ("authorization_code", "refresh_token")
    assert "openid" in client.scope


def test_a_machine_has_no_scope_unless_given() -> None:
    bare = registration.register({"client_name": "Job", "grant_types": ["client_credentials"]}, client_id="c1", now=NOW)
    assert (bare.scope, bare.redirect_uris) == ((), ())
    assert register(grant_types=["client_credentials"], scope="a b:c a").scope == ("a", "b:c")


@pytest.mark.parametrize(
    "uri",
    [
        "https://bank.example",
        "https://bank.example/cb?tenant=1&mode=a%20b",
        "https://bank.example:8443/cb",
        "https://[2001:db8::1]/cb",
        "http://localhost:8001/callback",
        "http://127.0.0.1/cb",
        "http://[::1]:3000/cb",
        "https://xn--bcher-kva.example/cb",
        # A name that only resembles a response parameter, and one that is encoded twice.
        "https://bank.example/cb?codec=1&State=2&%2563ode=3",
    ],
)
def test_redirect_uris_that_stand(uri: str) -> None:
    assert register(redirect_uris=[uri]).redirect_uris == (uri,)


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("/callback", id="RFC6749-3.1.2-absolute"),
        pytest.param("https://bank.example/cb#here", id="RFC6749-3.1.2-fragment"),
        pytest.param("https://bank.example/cb#", id="RFC6749-3.1.2-empty-fragment"),
        pytest.param("http://bank.example/cb", id="RFC9700-2.6-http"),
        pytest.param("http://localhost.bank.example/cb", id="RFC9700-2.6-http-lookalike"),
        pytest.param("http://127.0.0.2/cb", id="RFC8252-7.3-other-loopback"),
        pytest.param("https://alice@bank.example/cb", id="userinfo"),
        pytest.param("https://bank.example@evil.example/cb", id="userinfo-host"),
        pytest.param("https:///cb", id="no-host"),
        pytest.param("https:bank.example", id="no-authority"),
        pytest.param("https://*.bank.example/cb", id="wildcard"),
        pytest.param("https://bank.example:0/cb", id="port-0"),
        pytest.param("https://bank.example:99999/cb", id="port-large"),
        pytest.param("https://bank.example:/cb", id="port-empty"),
        pytest.param("https://bank.example:8a/cb", id="port-word"),
        pytest.param("https://[::1/cb", id="bracket"),
        pytest.param("HTTPS://bank.example/cb", id="capital-scheme"),
        pytest.param("https://bank.example/a/../cb", id="dot-segments"),
        pytest.param("https://bank.example/a/%2e%2E/cb", id="dot-segments-encoded"),
        pytest.param("https://bank.example/c b", id="space"),
        pytest.param("https://bank.example/cb\n", id="newline"),
        pytest.param("https://bank.example/\x00", id="NUL"),
        pytest.param("https://bank.example\\@evil.example/", id="backslash"),
        pytest.param("https://bank.example/%zz", id="RFC3986-2.1-percent"),
        pytest.param("https://bücher.example/cb", id="RFC3986-ascii"),
        pytest.param("https://bank.example/" + "a" * 2000, id="long"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("data:text/html,x", id="data"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("com.example.app:/cb", id="RFC8252-7.1-confidential"),
        pytest.param("", id="empty"),
        *[
            pytest.param(f"https://bank.example/cb?x=1&{name}=2", id=f"response-parameter-{name}")
            for name in ("code", "state", "iss", "error", "response", "session_state", "%63ode", "st%61te")
        ],
        pytest.param("https://bank.example/cb?code", id="response-parameter-without-value"),
    ],
)
def test_redirect_uris_that_are_refused(uri: str) -> None:
    assert faults(redirect_uris=["https://bank.example/cb", uri]).keys() == {"redirect_uris"}


@pytest.mark.parametrize(
    ("uri", "stands"),
    [
        ("com.example.app:/cb", True),
        ("com.example.app://cb", True),
        ("myapp:/cb", False),
        ("javascript:alert(1)", False),
        ("com.example.app:/cb?code=1", False),
        ("com.example.app:", False),
        ("com.example.app:///cb", True),
        ("com.example.app://my_host.example:8000/cb", True),
        ("com.example.app://a;sandbox", False),
        ("com.example.app://a;script-src%20*", False),
        ("com.example.app://a,b/cb", False),
        ("com.example.app://*/cb", False),
        ("com.example.app://'unsafe-inline'/cb", False),
        ("com.example.app://alice@host/cb", False),
        ("com.example.app://host:/cb", False),
    ],
)
def test_private_use_schemes_of_public_clients(uri: str, stands: bool) -> None:
    """RFC 8252 §7.1"""
    assert bool(faults(redirect_uris=[uri], token_endpoint_auth_method="none")) is not stands


def test_post_logout_uris_may_not_bring_the_state() -> None:
    assert not faults(post_logout_redirect_uris=["https://bank.example/bye?code=1"])
    for uri in ("https://bank.example/bye?state=1", "javascript:alert(1)", "http://bank.example/"):
        assert faults(post_logout_redirect_uris=[uri]).keys() == {"post_logout_redirect_uris"}


@pytest.mark.parametrize(
    ("members", "guilty"),
    [
        pytest.param({"redirect_uris": []}, {"redirect_uris"}, id="no-redirect-uri"),
        pytest.param({"redirect_uris": "https://bank.example"}, {"redirect_uris"}, id="text-for-list"),
        pytest.param({"redirect_uris": [1]}, {"redirect_uris"}, id="number-in-list"),
        pytest.param({"redirect_uris": [f"https://bank.example/{n}" for n in range(51)]}, {"redirect_uris"}, id="many"),
        pytest.param({"client_name": " "}, {"client_name"}, id="blank-name"),
        pytest.param({"client_name": "a" * 101}, {"client_name"}, id="long-name"),
        pytest.param({"client_name": "Bank\nof"}, {"client_name"}, id="newline-name"),
        pytest.param({"client_name": "Bank\u202efdp"}, {"client_name"}, id="turned-name"),
        pytest.param({"client_name": "Bank\udcff"}, {"client_name"}, id="surrogate-name"),
        pytest.param({"client_name": None}, {"client_name"}, id="null-name"),
        pytest.param({"grant_types": ["password"]}, {"grant_types"}, id="A-26-password"),
        pytest.param({"grant_types": ["implicit"]}, {"grant_types"}, id="A-26-implicit"),
        pytest.param({"grant_types": []}, {"grant_types"}, id="no-grant"),
        pytest.param({"grant_types": ["refresh_token"]}, {"grant_types"}, id="refresh-of-nothing"),
        pytest.param(
            {"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"},
            {"grant_types"},
            id="RFC6749-4.4-public",
        ),
        pytest.param({"response_modes": ["query", "fragment"]}, {"response_modes"}, id="ASVS-10.4.12-fragment"),
        pytest.param({"response_modes": []}, {"response_modes"}, id="no-response-mode"),
        pytest.param({"response_modes": "query"}, {"response_modes"}, id="response-mode-text"),
        pytest.param({"token_endpoint_auth_method": "client_secret_jwt"}, {"token_endpoint_auth_method"}, id="method"),
        pytest.param({"token_endpoint_auth_method": "private_key_jwt"}, {"jwks"}, id="no-keys"),
        pytest.param({"scope": 'openid "x"'}, {"scope"}, id="RFC6749-3.3-quote"),
        pytest.param({"scope": "openid  email"}, {"scope"}, id="RFC6749-3.3-two-spaces"),
        pytest.param({"scope": "openid\temail"}, {"scope"}, id="RFC6749-3.3-tab"),
        pytest.param({"scope": ["openid"]}, {"scope"}, id="scope-list"),
        pytest.param({"scope": 0}, {"scope"}, id="scope-number"),
        pytest.param({"scope": " ".join(f"s{n}" for n in range(101))}, {"scope"}, id="A-64-scopes"),
        pytest.param({"id_token_signed_response_alg": "none"}, {"id_token_signed_response_alg"}, id="alg-none"),
        pytest.param({"id_token_signed_response_alg": "HS256"}, {"id_token_signed_response_alg"}, id="alg-HS256"),
        pytest.param({"min_acr": "aal3"}, {"min_acr"}, id="acr"),
        pytest.param({"logo_uri": "http://bank.example/logo.png"}, {"logo_uri"}, id="http-logo"),
        pytest.param({"policy_uri": "javascript:alert(1)"}, {"policy_uri"}, id="script-policy"),
        pytest.param({"tos_uri": "com.example.app:/tos"}, {"tos_uri"}, id="private-terms"),
        pytest.param(
            {"client_name": "", "scope": "\\", "min_acr": "x", "grant_types": ["password"]},
            {"client_name", "scope", "min_acr", "grant_types"},
            id="all-at-once",
        ),
    ],
)
def test_what_is_refused(members: dict[str, Any], guilty: set[str]) -> None:
    assert faults(**members).keys() == guilty


@pytest.mark.parametrize("member", ["logo_uri", "policy_uri", "tos_uri", "redirect_uris", "post_logout_redirect_uris"])
@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "http://169.254.169.254/", "http://10.0.0.5/", "http://user@127.0.0.1/", "//host/"],
)
def test_A_58_no_address_of_the_inner_network_is_registered(member: str, address: str) -> None:
    """Every member that is an address; what is https is judged when it is fetched, by what its name leads to then."""
    assert faults(**{member: [address] if member.endswith("s") else address}).keys() == {member}


def test_pages_may_have_a_fragment() -> None:
    assert register(policy_uri="https://bank.example/legal#privacy").policy_uri
    assert faults(policy_uri="https://bank.example/legal#a#b").keys() == {"policy_uri"}


@pytest.mark.parametrize("alg", jwk.ALGORITHMS)
def test_public_keys_are_kept_without_what_nothing_reads(alg: jwk.Algorithm) -> None:
    key = public_key(alg)
    client = register(
        token_endpoint_auth_method="private_key_jwt", jwks={"keys": [{**key, "x5u": "https://x.example"}]}
    )
    assert client.jwks == {"keys": [key]}


@pytest.mark.parametrize(
    "jwks",
    [
        pytest.param({}, id="no-keys"),
        pytest.param({"keys": []}, id="empty"),
        pytest.param({"keys": ["x"]}, id="text"),
        pytest.param([], id="list"),
        pytest.param({"keys": [json.loads(jwk.generate("ES256", rsa_bits=2048).dump())]}, id="private"),
        pytest.param({"keys": [{"kty": "oct", "k": "AAAA", "kid": "1"}]}, id="RFC8725-symmetric"),
        pytest.param({"keys": [public_key(kid=None)]}, id="no-kid"),
        pytest.param({"keys": [public_key(kid="a\x00")]}, id="NUL-kid"),
        pytest.param({"keys": [public_key(kid="a"), public_key(kid="a")]}, id="one-kid-twice"),
        pytest.param({"keys": [public_key(use="enc")]}, id="use"),
        pytest.param({"keys": [public_key(alg="RS256")]}, id="alg-of-another-type"),
        pytest.param({"keys": [public_key(alg="EdDSA")]}, id="EC-key-for-EdDSA"),
        pytest.param({"keys": [public_key("RS256", crv="P-256")]}, id="RSA-key-with-a-curve"),
        pytest.param({"keys": [public_key(crv="P-384")]}, id="curve"),
        pytest.param({"keys": [public_key(x="AAAA")]}, id="not-on-the-curve"),
        pytest.param({"keys": [public_key("EdDSA", x="AAAA")]}, id="short-point"),
        pytest.param({"keys": [public_key("RS256", n="w" * 171)]}, id="RFC7518-3.3-1024-bits"),
        pytest.param({"keys": [public_key("RS256", e="Aw")]}, id="exponent-3"),
        pytest.param({"keys": [public_key("RS256", n=roca_modulus())]}, id="CVE-2017-15361"),
        pytest.param({"keys": [public_key("RS256", n=7)]}, id="number"),
        pytest.param({"keys": [public_key(kid=str(n)) for n in range(11)]}, id="many"),
    ],
)
def test_keys_that_are_refused(jwks: object) -> None:
    """ASVS 11.2.3."""
    assert faults(token_endpoint_auth_method="private_key_jwt", jwks=jwks).keys() == {"jwks"}


def test_amending_changes_what_is_given_and_judges_the_whole() -> None:
    client = register()
    amended = registration.amend(client, {"min_acr": "mfa", "software_id": "ignored"})
    assert (amended.min_acr, amended.redirect_uris) == ("mfa", client.redirect_uris)
    assert registration.amend(amended, {"min_acr": None}).min_acr is None
    with pytest.raises(InvalidMetadata, match="client_credentials"):
        registration.amend(client, {"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]})


def test_the_description_reads_back_and_tells_no_secret() -> None:
    client = register(min_acr="phr", post_logout_redirect_uris=["https://bank.example/"])
    described = json.loads(json.dumps(registration.describe(client)))
    assert registration.amend(client, described) == client
    assert not [name for name in described if "secret" in name]
    assert described["response_types"] == ["code"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


# The first text that hypothesis draws on a machine is slow, and says nothing of this code.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(registration.READERS)), JSON))
def test_any_document_is_accepted_or_refused(document: dict[str, Any]) -> None:
    with suppress(InvalidMetadata):
        client = registration.register(document, client_id="c1", now=NOW)
        json.dumps(registration.describe(client)).encode()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.text(alphabet="htps:/?#[]@%.-_ab1\\*", max_size=30).map("https:/".__add__))
def test_any_redirect_uri_is_accepted_or_refused(uri: str) -> None:
    faults(redirect_uris=[uri])
