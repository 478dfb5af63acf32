"""The token endpoint: each client authentication method, and each algorithm of the ID token."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idp.base import jwk
from idp.base.jose import Kind, sign, verify
from idp.base.jwk import ALGORITHMS
from idp.oauth.client_auth.private_key_jwt import ASSERTION_TYPE
from tests.driver import ISSUER, Rig, authorization, exchange, response_of, running

CLIENT_CREDENTIALS = {"grant_type": "client_credentials", "scope": "api"}
KEY = jwk.generate("ES256", rsa_bits=2048)


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        yield found


async def asked(rig: Rig, form: dict[str, str], **more: Any) -> tuple[int, str]:
    """The status and the error (or the token type) of a token request."""
    async with rig.browser().http as http:
        answer = await http.post("/oauth/token", data=form, **more)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json().get("error", answer.json().get("token_type"))


async def test_client_secret_post_and_basic_are_not_the_same(rig: Rig) -> None:
    await rig.add_client("post", token_endpoint_auth_method="client_secret_post")
    body = {**CLIENT_CREDENTIALS, "client_id": "post", "client_secret": rig.secret}
    assert await asked(rig, body) == (200, "Bearer")
    assert await asked(rig, CLIENT_CREDENTIALS, auth=("post", rig.secret)) == (401, "invalid_client")
    assert await asked(rig, {**body, "client_secret": "wrong"}) == (401, "invalid_client")
    assert await asked(rig, body, auth=("post", rig.secret)) == (400, "invalid_request")


async def test_secrets_never_travel_in_the_query(rig: Rig) -> None:
    await rig.add_client("web")
    async with rig.browser().http as http:
        answer = await http.post(
            f"/oauth/token?client_id=web&client_secret={rig.secret}", data=CLIENT_CREDENTIALS, auth=("web", rig.secret)
        )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_public_client_gets_no_token_of_its_own(rig: Rig) -> None:
    await rig.add_client(
        "spa", token_endpoint_auth_method="none", secret_hash=None, grant_types=("authorization_code",)
    )
    assert await asked(rig, {**CLIENT_CREDENTIALS, "client_id": "spa"}) == (400, "unauthorized_client")
    assert await asked(rig, {**CLIENT_CREDENTIALS, "client_id": "nobody"}) == (401, "invalid_client")
    assert await asked(rig, {"grant_type": "password", "client_id": "spa"}) == (400, "unsupported_grant_type")


def assertion(rig: Rig, **changes: object) -> dict[str, str]:
    """A token request with a client assertion."""
    now = int(rig.clock().timestamp())
    claims = {"iss": "m2m", "sub": "m2m", "aud": ISSUER, "jti": "one", "iat": now, "exp": now + 60}
    signed = sign({**claims, **changes}, key=KEY, typ="JWT")
    return {**CLIENT_CREDENTIALS, "client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}


async def test_A_23_a_client_assertion_counts_once(rig: Rig) -> None:
    await rig.add_client(
        "m2m", token_endpoint_auth_method="private_key_jwt", secret_hash=None, jwks={"keys": [KEY.public_jwk]}
    )
    assert await asked(rig, assertion(rig)) == (200, "Bearer")
    assert await asked(rig, assertion(rig)) == (401, "invalid_client")
    assert await asked(rig, assertion(rig, jti="two", aud=f"{ISSUER}/oauth/token")) == (200, "Bearer")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://other.test"},
        {"aud": [ISSUER, "https://other.test"]},
        {"iss": "other"},
        {"sub": "other"},
        {"exp": 4_000_000_000},
        {"exp": 1},
        {"jti": ""},
    ],
)
async def test_A_23_a_wrong_assertion_is_refused(rig: Rig, changes: dict[str, object]) -> None:
    await rig.add_client(
        "m2m", token_endpoint_auth_method="private_key_jwt", secret_hash=None, jwks={"keys": [KEY.public_jwk]}
    )
    assert await asked(rig, assertion(rig, **changes)) == (401, "invalid_client")


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_the_id_token_is_signed_as_the_client_registered(rig: Rig, alg: str) -> None:
    await rig.add_client(id_token_signed_response_alg=alg)
    browser = rig.browser()
    await browser.get(authorization(prompt="create"))
    await browser.register()
    answer = response_of(await browser.submit(decision="allow"))
    tokens = (await exchange(rig, answer["code"])).json()
    kind = Kind(typ=frozenset({"jwt"}), required=frozenset({"nonce"}))
    keys = rig.app.state.provider.keys.ring.verifiers
    for token, audience, kind_of in (
        (tokens["id_token"], "web", kind),
        (tokens["access_token"], ISSUER, Kind(typ=frozenset({"at+jwt"}))),
    ):
        verified = verify(
            token,
            kind_of,
            keys=keys,
            issuer=ISSUER,
            audience=frozenset({audience}),
            now=rig.clock() + timedelta(seconds=1),
        )
        assert verified.header["alg"] == (alg if audience == "web" else "RS256")
