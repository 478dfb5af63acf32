import base64
import time
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from idp.cli.demo.api import InvalidToken, PublishedKeys, reaches, validate
from idp.cli.demo.config import Config
from idp.cli.demo.site import build
from tests.cli.demo.provider import ISSUER, KEY, Network, Provider, sign

CONFIG = Config(ISSUER, "bank", "secret")
OTHER = RSAKey.generate_key(2048, {"kid": "k2", "alg": "RS256", "use": "sig"})
UNBOUND = RSAKey.import_key({name: value for name, value in KEY.as_dict(private=True).items() if name != "alg"})
AS_SECRET = OctKey.import_key(base64.b64encode(KEY.as_pem(private=False)))
"""The public key taken for a shared secret."""


class Stopwatch:
    """A monotonic clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def published(provider: Provider, clock: Stopwatch) -> PublishedKeys:
    network = Network(provider, {"provider.test": provider.app()})
    return PublishedKeys(ISSUER, httpx2.AsyncClient(transport=network), clock)


async def call(authorization: str | None, provider: Provider | None = None) -> httpx2.Response:
    provider = provider or Provider()
    network = Network(provider, {"provider.test": provider.app()})
    app = build(CONFIG, network)
    headers = {} if authorization is None else {b"Authorization": authorization.encode()}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=CONFIG.home) as client:
        return await client.post("/api/transfer", headers=headers)


async def test_a_strong_sign_in_opens_the_api() -> None:
    for acr in ("phr", "phrh"):
        response = await call("Bearer " + sign({"acr": acr}))
        assert (response.status_code, response.json()["by"]) == (200, "alice-sub")


async def test_a_weak_sign_in_is_told_what_is_missing() -> None:
    """RFC 9470 §3"""
    for acr in ("1fa", "mfa", None, "urn:unknown", 3):
        response = await call("Bearer " + sign({"acr": acr}))
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == (
            'Bearer error="insufficient_user_authentication", '
            'error_description="A different authentication level is required", acr_values="phr"'
        )


async def test_no_token_gets_a_bare_challenge() -> None:
    """RFC 6750 §3.1"""
    for authorization in (None, "", "Basic YTpi"):
        response = await call(authorization)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


STRONG = {"acr": "phr"}
NOW = int(time.time())


@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="rubbish"),
        pytest.param("é.b.c", id="not-ascii"),
        pytest.param(sign(STRONG)[:-4] + "AAAA", id="signature"),
        pytest.param(sign({**STRONG, "aud": "bank"}, typ="JWT"), id="RFC9068-4-id-token"),
        pytest.param(sign({**STRONG, "iss": "http://evil.test"}), id="RFC9068-4-iss"),
        pytest.param(sign({**STRONG, "aud": "other"}), id="RFC9068-4-aud"),
        pytest.param(sign({**STRONG, "aud": None}), id="RFC9068-4-no-aud"),
        pytest.param(sign({**STRONG, "exp": NOW - 60}), id="RFC9068-4-exp"),
        pytest.param(sign({**STRONG, "exp": None}), id="RFC9068-4-no-exp"),
        pytest.param(sign({**STRONG, "sub": None}), id="RFC9068-2.2-no-sub"),
        pytest.param(sign({**STRONG, "iat": NOW + 600}), id="iat-ahead"),
        pytest.param(sign(STRONG, key=OTHER), id="A-19-other-key-same-kid"),
        pytest.param(sign(STRONG, key=OTHER, kid="k2"), id="A-20-unpublished-key"),
        pytest.param(sign(STRONG, kid=None), id="no-kid"),
        pytest.param(sign(STRONG, key=UNBOUND, alg="PS256"), id="RFC8725-3.1-alg-of-the-key"),
        pytest.param(sign(STRONG, key=AS_SECRET, alg="HS256"), id="A-21-HS256"),
        pytest.param("eyJhbGciOiJub25lIiwia2lkIjoiazEiLCJ0eXAiOiJhdCtqd3QifQ.e30.", id="A-21-none"),
    ],
)
async def test_tokens_that_prove_nothing(token: str) -> None:
    response = await call(f"Bearer {token}")
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith('Bearer error="invalid_token"')


async def test_an_unreachable_provider_is_told_apart_from_a_bad_token() -> None:
    assert (await call("Bearer " + sign(STRONG), Provider(down=True))).status_code == 503


async def test_keys_are_kept_for_max_age_and_no_longer() -> None:
    provider, clock = Provider(), Stopwatch()
    keys = published(provider, clock)
    for _ in range(3):
        assert await keys.find("k1")
    clock.seconds += 3599
    assert await keys.find("k1")
    assert provider.fetched == 1
    clock.seconds += 1
    assert await keys.find("k1")
    assert provider.fetched == 2


async def test_an_unknown_kid_asks_again_but_not_often() -> None:
    provider, clock = Provider(), Stopwatch()
    keys = published(provider, clock)
    await keys.find("k1")
    provider.keys = [KEY, OTHER]
    assert await keys.find("k2") is None
    clock.seconds += PublishedKeys.PAUSE
    assert await keys.find("k2")
    for number in range(50):
        assert await keys.find(f"stranger{number}") is None
    assert provider.fetched == 2


async def test_a_discovery_document_of_another_issuer_is_refused() -> None:
    """OpenID Connect Discovery §4.3"""
    with pytest.raises(httpx2.HTTPError):
        await published(Provider(iss="http://evil.test"), Stopwatch()).find("k1")


async def test_a_key_type_that_is_not_known_hinders_nothing() -> None:
    provider = Provider(keys=[ECKey.generate_key("P-256", {"kid": "ec"}), KEY])
    claims = await validate(sign({}), published(provider, Stopwatch()), issuer=ISSUER, audience=ISSUER)
    assert claims["sub"] == "alice-sub"


@pytest.mark.parametrize(
    ("acr", "wanted", "enough"),
    [("phr", "phr", True), ("phrh", "phr", True), ("mfa", "phr", False), (None, "1fa", False), ([], "1fa", False)],
)
def test_levels(acr: Any, wanted: str, enough: bool) -> None:
    assert reaches(acr, wanted) is enough


async def test_validation_names_its_one_exception() -> None:
    with pytest.raises(InvalidToken):
        await validate("x", published(Provider(), Stopwatch()), issuer=ISSUER, audience=ISSUER)
