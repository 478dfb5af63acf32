"""A-23 and A-24: clients that must prove who they are, each by its own method, at every endpoint that asks."""

import asyncio
from collections.abc import Mapping

import httpx2
import pytest

from idp.base import jwk
from idp.base.clock import system_clock
from idp.base.jose import sign
from idp.oauth.client_auth.private_key_jwt import ASSERTION_TYPE
from tests.cluster import BASIC, SECRET, Cluster, error_of, key

AT_ONCE, ROUNDS = 50, 5
GRANT = {"grant_type": "client_credentials"}


def asserted(assertion: str) -> dict[str, str]:
    """A token request with this client assertion."""
    return {**GRANT, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}


async def sent(
    cluster: Cluster,
    form: Mapping[str, str],
    *,
    path: str = "/oauth/token",
    basic: bool = False,
    worker: str | None = None,
) -> httpx2.Response:
    async with cluster.http(worker) as http:
        return await http.post(path, data=form, headers={"authorization": BASIC} if basic else {})


async def test_A_23_an_assertion_counts_once(cluster: Cluster) -> None:
    """On whichever server, and across a restart (ASVS 10.4.10)."""
    form = asserted(cluster.assertion())
    assert (await sent(cluster, form, worker=cluster.workers[0])).status_code == 200
    for worker in cluster.workers:
        assert error_of(await sent(cluster, form, worker=worker)) == (401, "invalid_client")
    await cluster.restart()
    assert error_of(await sent(cluster, form)) == (401, "invalid_client")
    assert (await sent(cluster, asserted(cluster.assertion()))).status_code == 200


async def test_A_23_an_assertion_raced(cluster: Cluster) -> None:
    """One of many at once on both servers (G2)."""
    for _ in range(ROUNDS):
        form = asserted(cluster.assertion())
        answers = await asyncio.gather(*(sent(cluster, form) for _ in range(AT_ONCE)))
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * (AT_ONCE - 1)


@pytest.mark.parametrize("path", ["/oauth/introspect", "/oauth/revoke"])
async def test_A_23_an_assertion_counts_once_over_all_endpoints(cluster: Cluster, path: str) -> None:
    """Spent by a refusal too: what is refused after the client was known."""
    form = asserted(cluster.assertion())
    assert (await sent(cluster, {**form, "token": "x"}, path=path)).status_code == 200
    assert error_of(await sent(cluster, form)) == (401, "invalid_client")
    refused = asserted(cluster.assertion()) | {"grant_type": "refresh_token", "refresh_token": "x"}
    assert error_of(await sent(cluster, refused)) == (400, "unauthorized_client")
    assert error_of(await sent(cluster, refused | GRANT)) == (401, "invalid_client")


def wrong_assertions(cluster: Cluster) -> dict[str, str]:
    now = int(system_clock().timestamp())
    claims = {"iss": "m2m", "sub": "m2m", "aud": cluster.issuer, "jti": "other", "iat": now, "exp": now + 60}
    return {
        "24 hours ahead": cluster.assertion(exp=now + 86_400),
        "5 minutes and a little ahead": cluster.assertion(exp=now + 330, iat=now),
        "backdated to live long": cluster.assertion(iat=now - 3600),
        "expired": cluster.assertion(exp=now - 1, iat=now - 30),
        "for another server": cluster.assertion(aud="https://other.test"),
        "for another endpoint": cluster.assertion(aud=f"{cluster.issuer}/oauth/authorize"),
        "for us and another": cluster.assertion(aud=[cluster.issuer, "https://other.test"]),
        "iss is another's": cluster.assertion(iss="web"),
        "sub is another's": cluster.assertion(sub="web"),
        "both are another's": cluster.assertion(iss="web", sub="web"),
        "no jti": sign({name: value for name, value in claims.items() if name != "jti"}, key=key(), typ="JWT"),
        "an empty jti": cluster.assertion(jti=""),
        "another's key": sign(claims, key=jwk.generate("ES256", rsa_bits=2048), typ="JWT"),
        "not a JWT": "rubbish",
        "empty segments": "..",
        "not ASCII": "é.é.é",
    }


@pytest.mark.parametrize("fault", range(16))
async def test_A_23_a_wrong_assertion(cluster: Cluster, fault: int) -> None:
    """(ASVS 10.4.10)"""
    name, assertion = list(wrong_assertions(cluster).items())[fault]
    assert error_of(await sent(cluster, asserted(assertion))) == (401, "invalid_client"), name
    named = asserted(assertion) | {"client_id": "m2m"}
    assert error_of(await sent(cluster, named)) == (401, "invalid_client"), name
    assert await cluster.count("client_assertions") == 0, "what proves nothing fills no memory"


async def test_A_23_the_memory_of_assertions_is_bounded(cluster: Cluster) -> None:
    """None is kept for longer than the five minutes for which it could be sent again."""
    assert (await sent(cluster, asserted(cluster.assertion()))).status_code == 200
    async with cluster.pool.acquire() as conn:
        kept = await conn.fetchval("SELECT max(expires_at) FROM client_assertions")
    assert (kept - system_clock()).total_seconds() <= 300


def unsigned(cluster: Cluster) -> str:
    return cluster.assertion().rpartition(".")[0] + "."


METHODS: dict[str, tuple[dict[str, str], bool, tuple[int, str]]] = {
    "m2m: a secret and a rubbish assertion": (
        {**asserted("rubbish"), "client_id": "m2m", "client_secret": SECRET},
        False,
        (400, "invalid_request"),
    ),
    "m2m: a secret alone": ({**GRANT, "client_id": "m2m", "client_secret": SECRET}, False, (401, "invalid_client")),
    "m2m: an empty secret": ({**GRANT, "client_id": "m2m", "client_secret": ""}, False, (401, "invalid_client")),
    "m2m: its name alone": ({**GRANT, "client_id": "m2m"}, False, (401, "invalid_client")),
    "m2m: an assertion without its type": (
        {**GRANT, "client_id": "m2m", "client_assertion": "x.y.z"},
        False,
        (400, "invalid_request"),
    ),
    "m2m: a type without an assertion": (
        {**GRANT, "client_id": "m2m", "client_assertion_type": ASSERTION_TYPE},
        False,
        (401, "invalid_client"),
    ),
    "web: Basic and a secret in the body": (
        {**GRANT, "client_id": "web", "client_secret": SECRET},
        True,
        (400, "invalid_request"),
    ),
    "web: the secret in the body, not registered so": (
        {**GRANT, "client_id": "web", "client_secret": SECRET},
        False,
        (401, "invalid_client"),
    ),
    "web: its name alone, as a public client": ({**GRANT, "client_id": "web"}, False, (401, "invalid_client")),
    "web: Basic, and the name of another": ({**GRANT, "client_id": "spa"}, True, (400, "invalid_request")),
    "spa: a secret that it has not": (
        {**GRANT, "client_id": "spa", "client_secret": "x"},
        False,
        (401, "invalid_client"),
    ),
    "nobody": (dict(GRANT), False, (401, "invalid_client")),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_A_24_method_policy(cluster: Cluster, name: str, path: str) -> None:
    """Every client by its own method and no other, wherever it authenticates (ASVS 10.4.10)."""
    form, basic, refusal = METHODS[name]
    before = await cluster.last_event()
    assert error_of(await sent(cluster, {**form, "token": "x"}, path=path, basic=basic)) == refusal
    assert [event.event for event in await cluster.events(before)] == ["request_refused"]


async def test_A_24_an_unsigned_assertion(cluster: Cluster) -> None:
    """Also beside a right secret of another client (ASVS 10.4.10)."""
    assert error_of(await sent(cluster, asserted(unsigned(cluster)))) == (401, "invalid_client")
    assert error_of(await sent(cluster, asserted(unsigned(cluster)), basic=True)) == (400, "invalid_request")
    signed = asserted(cluster.assertion())
    assert error_of(await sent(cluster, signed, basic=True)) == (400, "invalid_request")
    assert (await sent(cluster, signed)).status_code == 200, "what was refused as malformed has spent nothing"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/introspect", "/oauth/revoke"])
async def test_A_24_nothing_in_the_query(cluster: Cluster, path: str) -> None:
    """Neither the secret nor anything else, where it would come to rest in logs."""
    for query in (f"client_id=web&client_secret={SECRET}", "client_id=web", "grant_type=client_credentials"):
        for basic in (True, False):
            answer = await sent(cluster, {**GRANT, "token": "x"}, path=f"{path}?{query}", basic=basic)
            assert error_of(answer) == (400, "invalid_request")
    assert SECRET not in cluster.said()


async def test_A_24_a_public_client_gets_no_more_than_is_its_own(cluster: Cluster) -> None:
    """No token for itself, and no look into tokens (ASVS 10.4.10, 10.4.4)."""
    assert error_of(await sent(cluster, {**GRANT, "client_id": "spa"})) == (400, "unauthorized_client")
    form = {"client_id": "spa", "token": "x"}
    assert error_of(await sent(cluster, form, path="/oauth/introspect")) == (401, "invalid_client")
