"""A-19 to A-22 and A-28: forged, foreign and monstrous JWTs at every place that takes one (ASVS V9).

These are the bearer token of userinfo, introspection and revocation, the ID token hint of authorize and of logout, and
the client assertion. Not built yet, so without a test here: request objects, logout tokens that come in, DPoP proofs,
and keys of clients by `jwks_uri`: nothing of ours fetches anything, which the listener of A-20 and A-21 shows.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from idp.base import jwk
from idp.base.clock import system_clock
from idp.base.jose import InvalidToken, Kind, verify
from idp.oauth.access_tokens import ACCESS_TOKEN
from idp.oauth.client_auth.private_key_jwt import ASSERTION_TYPE
from idp.oauth.client_auth.private_key_jwt import KIND as CLIENT_ASSERTION
from idp.oauth.parameters import LONGEST_VALUE
from idp.web.hints import ID_TOKEN_HINT
from tests.cluster import Cluster, answer_of, authorization, key
from tests.driver import Browser

ROOT = Path(__file__).parents[2]


def segment(content: object) -> bytes:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def content(token: str, number: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a JWT."""
    part = token.split(".")[number]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def forge(header: Mapping[str, Any], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Any header and claims whatever, signed in any way; members that are None are left out."""
    given = [{name: value for name, value in members.items() if value is not None} for members in (header, claims)]
    signed = segment(given[0]) + b"." + segment(given[1])
    return (signed + b"." + segment(sign(signed))).decode()


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda signed: hmac.digest(secret, signed, hashlib.sha256)


@dataclass
class Door:
    """A place that takes a JWT: its name, a good token for it, the key that the good ones are signed with."""

    name: str
    token: str
    signer: jwk.PrivateKey

    @property
    def header(self) -> dict[str, Any]:
        return content(self.token, 0)

    @property
    def claims(self) -> dict[str, Any]:
        return content(self.token, 1)


@dataclass
class House:
    """All doors, somebody signed in, and what stays true of them as long as no forgery works."""

    cluster: Cluster
    browser: Browser
    tokens: dict[str, Any]
    signer: jwk.PrivateKey

    def doors(self) -> list[Door]:
        access, hint = self.tokens["access_token"], self.tokens["id_token"]
        return [
            Door("userinfo", access, self.signer),
            Door("introspect", access, self.signer),
            Door("revoke", access, self.signer),
            Door("authorize", hint, self.signer),
            Door("logout", hint, self.signer),
            Door("client_assertion", self.cluster.assertion(), key()),
        ]

    async def opens(self, door: Door, token: str, http: httpx2.AsyncClient | None = None) -> bool:
        """Whether the door opens to this token; if not, it is refused in the way that is the door's own."""
        if http is not None:
            return await self._opens(door, token, http)
        async with self.cluster.http() as own:
            return await self._opens(door, token, own)

    async def _opens(self, door: Door, token: str, http: httpx2.AsyncClient) -> bool:
        cluster = self.cluster
        match door.name:
            case "userinfo":
                answer = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
                assert answer.is_success or 'error="invalid_token"' in answer.headers["www-authenticate"]
                return answer.is_success
            case "introspect":
                answer = await cluster.post("/oauth/introspect", token=token)
                return not is_too_long(token, answer) and bool(answer.json()["active"])
            case "revoke":
                answer = await cluster.post("/oauth/revoke", token=token)
                assert is_too_long(token, answer) or answer.status_code == 200
                return not (await cluster.introspect(self.tokens["access_token"]))["active"]
            case "authorize":
                answer = await self.browser.http.get(authorization(prompt="none", id_token_hint=token))
                if is_too_long(token, answer):
                    return False
                told = answer_of(answer)
                assert "code" in told or told["error"] == "invalid_request"
                return "code" in told
            case "logout":
                await self.browser.http.get("/oauth/logout", params={"id_token_hint": token})
                return (await self.browser.http.get("/account")).status_code != 200
            case _:
                form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
                answer = await http.post("/oauth/token", data=form | {"client_assertion": token})
                assert (
                    is_too_long(token, answer)
                    or answer.is_success
                    or (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
                )
                return answer.is_success


def is_too_long(token: str, answer: httpx2.Response) -> bool:
    """Whether the token is longer than any parameter may be, and was refused for that."""
    return len(token) > LONGEST_VALUE and answer.status_code in {400, 414}


@pytest.fixture
async def house(cluster: Cluster) -> AsyncIterator[House]:
    browser = await cluster.signed_in()
    tokens = (await cluster.exchange(await cluster.code(browser))).json()
    yield House(cluster, browser, tokens, await cluster.signing_key())
    await browser.http.aclose()


async def all_shut(house: House, forgery: Callable[[Door], str]) -> None:
    """No door opens to what is made of its good token."""
    for door in house.doors():
        assert not await house.opens(door, forgery(door)), door.name


def resigned(**header: Any) -> Callable[[Door], str]:
    """The good token with this in its header, rightly signed by the very key."""
    return lambda door: forge(door.header | header, door.claims, door.signer.sign)


def with_claims(**claims: Any) -> Callable[[Door], str]:
    """The good token with these claims, rightly signed by the very key."""
    return lambda door: forge(door.header, door.claims | claims, door.signer.sign)


async def test_every_door_opens_to_its_good_token(house: House) -> None:
    """Without this the other tests here would prove nothing; those that shut something come last."""
    doors = {door.name: door for door in house.doors()}
    for name in ("userinfo", "introspect", "authorize", "client_assertion", "revoke", "logout"):
        assert await house.opens(doors[name], resigned()(doors[name])), name


def as_pem(door: Door) -> bytes:
    native: Any = door.signer.native
    return bytes(native.as_pem(private=False))


def as_der(door: Door) -> bytes:
    return der_of(door.signer)


def der_of(signer: jwk.PrivateKey) -> bytes:
    native: Any = signer.native
    return bytes(native.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def as_json(door: Door) -> bytes:
    return json.dumps(door.signer.public_jwk, separators=(",", ":")).encode()


def as_nothing(_door: Door) -> bytes:
    return b""


@pytest.mark.parametrize("alg", ["none", "None", "nOnE", ""])
@pytest.mark.parametrize("stripped", [True, False])
async def test_9_1_2_and_A_19_no_algorithm(house: House, alg: str, stripped: bool) -> None:
    """Neither with an empty signature nor with the good one."""

    def forgery(door: Door) -> str:
        good = door.token.rpartition(".")[2]
        header, claims = segment(door.header | {"alg": alg}), segment(door.claims)
        return f"{header.decode()}.{claims.decode()}.{'' if stripped else good}"

    await all_shut(house, forgery)


@pytest.mark.parametrize("alg", ["HS256", "RS256", "ES256"])
async def test_9_1_2_and_A_19_a_public_key_is_no_secret(house: House, alg: str) -> None:
    """HMAC keyed with the public key: as PEM, as DER, as JSON, and with the JWK Set as it was served."""
    async with house.cluster.http() as http:
        served = (await http.get("/.well-known/jwks.json")).content

    def as_served(_door: Door) -> bytes:
        return served

    def forgery(door: Door, secret: Callable[[Door], bytes]) -> str:
        return forge(door.header | {"alg": alg}, door.claims, hs256(secret(door)))

    for secret in (as_pem, as_der, as_json, as_nothing, as_served):
        await all_shut(house, partial(forgery, secret=secret))


async def test_9_1_2_and_A_19_an_algorithm_is_its_keys_own(house: House) -> None:
    """PS256 by the key that is for RS256, though the signature is right (RFC 8725 §3.1)."""
    assert house.signer.alg == "RS256"
    other = jwk.PrivateKey(house.signer.kid, "PS256", house.signer.native)

    def forgery(door: Door) -> str:
        return forge(door.header | {"alg": "PS256"}, door.claims, other.sign)

    for door in house.doors():
        assert not await house.opens(door, forgery(door)), door.name


@dataclass
class Listener:
    """Counts who calls."""

    url: str
    calls: int = 0


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    found = Listener("")

    def called(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.calls += 1
        writer.close()

    async with await asyncio.start_server(called, "127.0.0.1", 0) as server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
        yield found


def attackers_key(alg: jwk.Algorithm) -> jwk.PrivateKey:
    return jwk.generate(alg, rsa_bits=2048)


@pytest.mark.parametrize("own_kid", [True, False])
@pytest.mark.parametrize("pointer", ["jwk", "jku", "x5u", "x5c", "all"])
async def test_9_1_3_and_A_20_keys_in_the_header(house: House, listener: Listener, pointer: str, own_kid: bool) -> None:
    """Whoever signs does not get to say by which key to verify, and nobody is asked."""
    attackers: dict[str, jwk.PrivateKey] = {alg: attackers_key(alg) for alg in ("RS256", "ES256")}

    def forgery(door: Door) -> str:
        attacker = attackers[door.header["alg"]]
        pointers = {
            "jwk": attacker.public_jwk,
            "jku": listener.url,
            "x5u": listener.url,
            "x5c": [base64.b64encode(der_of(attacker)).decode()],
        }
        shown = pointers if pointer == "all" else {pointer: pointers[pointer]}
        kid = {"kid": attacker.kid} if own_kid else {}
        return forge(door.header | shown | kid, door.claims, attacker.sign)

    await all_shut(house, forgery)
    assert listener.calls == 0


@pytest.mark.parametrize(
    "kid",
    [
        pytest.param("../../../../dev/null", id="path"),
        pytest.param("' OR 1=1--", id="SQL"),
        pytest.param("k" * 10_000, id="10 kB"),
        pytest.param("unknown", id="unknown"),
        pytest.param("", id="empty"),
        pytest.param(None, id="none at all"),
        pytest.param(0, id="a number"),
        pytest.param(["unknown"], id="a list"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("\ud800", id="half a character"),
    ],
)
async def test_A_21_kid(house: House, kid: object) -> None:
    """Though the signature is right and there may be no other key; and HMAC with an empty file is no way either."""
    await all_shut(house, resigned(kid=kid))
    await all_shut(house, lambda door: forge(door.header | {"kid": kid, "alg": "HS256"}, door.claims, hs256(b"")))


async def test_A_21_a_thousand_unknown_kids(house: House, listener: Listener) -> None:
    """Nothing is fetched for them: the keys of `m2m` are registered, `jwks_uri` is not built yet.

    Each costs no more than 50 ms of a server's processor.
    """
    before, cluster = cpu_seconds(house.cluster), house.cluster
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
    async with cluster.http(cluster.workers[0]) as one, cluster.http(cluster.workers[1]) as other:
        for first in range(0, 1000, 20):
            answers = await asyncio.gather(
                *(
                    (one, other)[number % 2].post("/oauth/token", data=form | {"client_assertion": forged})
                    for number in range(first, first + 20)
                    for forged in [
                        forge(
                            {"alg": "ES256", "typ": "JWT", "kid": f"unknown-{number}", "jku": listener.url},
                            content(cluster.assertion(), 1),
                            key().sign,
                        )
                    ]
                )
            )
            assert {answer.status_code for answer in answers} == {401}
    assert listener.calls == 0
    assert cpu_seconds(cluster) - before < 1000 * 0.05


async def test_9_2_2_and_A_22_wrong_kind(house: House) -> None:
    """What was issued for one purpose serves no other."""
    tokens, cluster = house.tokens, house.cluster
    access, id_token, refresh = tokens["access_token"], tokens["id_token"], tokens["refresh_token"]
    code = await cluster.code(house.browser)
    assertion = cluster.assertion()
    assert content(access, 0)["typ"] == "at+jwt"
    wrong = {
        "userinfo": (id_token, refresh, code, assertion),
        "introspect": (id_token, code, assertion),
        "revoke": (id_token, code, assertion),
        "authorize": (access, refresh, code, assertion),
        "logout": (access, refresh, code, assertion),
    }
    for door in house.doors():
        for token in wrong.get(door.name, ()):
            assert not await house.opens(door, token), (door.name, token)
    for token in (access, id_token):
        answer = await cluster.post("/oauth/token", "spa", client_assertion_type=ASSERTION_TYPE, client_assertion=token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert (await cluster.introspect(access))["active"] is True
    assert (await cluster.refresh(refresh)).status_code == 200


@pytest.mark.parametrize("typ", [None, "", "JWT", "at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", 1])
async def test_9_2_2_and_A_22_every_kind_says_what_it_is(house: House, typ: object) -> None:
    """By `typ` alone, everything else being right (RFC 8725 §3.11); client assertions were never given one."""
    good: dict[str, set[object]] = {
        "userinfo": {"at+jwt"},
        "introspect": {"at+jwt"},
        "revoke": {"at+jwt"},
        "authorize": {"JWT"},
        "logout": {"JWT"},
        "client_assertion": {"JWT", None},
    }
    for door in house.doors():
        if typ not in good[door.name]:
            assert not await house.opens(door, resigned(typ=typ)(door)), door.name


@pytest.mark.parametrize("audience", ["https://api.other.test", "spa", ["https://api.other.test"], [], None])
async def test_9_2_3_and_A_22_another_audience(house: House, audience: object) -> None:
    """What was issued for somebody else is not taken here, nor what is for nobody."""
    doors = [door for door in house.doors() if (door.name, audience) != ("logout", "spa")]
    for door in doors:
        assert not await house.opens(door, with_claims(aud=audience)(door)), door.name


async def test_9_2_3_a_clients_own_token_opens_no_user(cluster: Cluster) -> None:
    """(ASVS 10.3.3)"""
    tokens = (await cluster.post("/oauth/token", "m2m", grant_type="client_credentials")).json()
    assert (await cluster.userinfo(tokens["access_token"])).status_code == 401


async def test_9_2_3_another_issuer(house: House) -> None:
    """Of the same keys even."""
    await all_shut(house, with_claims(iss="https://evil.test"))
    await all_shut(house, with_claims(iss=house.cluster.issuer + "/"))
    await all_shut(house, with_claims(iss=None))


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_9_1_1_a_bit_flipped_in_each_segment(house: House, number: int) -> None:
    """The signature is over every bit of header and claims."""

    def forgery(door: Door) -> str:
        parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in door.token.split(".")]
        changed = bytearray(parts[number])
        if number == 0:
            # What means the same and is no longer what was signed: nothing but the signature tells.
            changed = bytearray(b" ") + changed
        else:
            # In a string and to another character of it, so that the JSON stays JSON.
            changed[changed.rindex(b'"') - 1 if number == 1 else len(changed) // 2] ^= 1
        parts[number] = bytes(changed)
        return b".".join(map(segment, parts)).decode()

    await all_shut(house, forgery)


def moments() -> dict[str, dict[str, object]]:
    now = int(system_clock().timestamp())
    return {
        "expired": {"exp": now - 1, "iat": now - 60},
        "no exp": {"exp": None},
        "exp no number": {"exp": str(now + 60)},
        "exp true": {"exp": True},
        "not yet": {"nbf": now + 60},
        "issued in the future": {"iat": now + 60, "exp": now + 120},
    }


@pytest.mark.parametrize("fault", moments())
async def test_9_2_1_times(house: House, fault: str) -> None:
    """Only a hint may have expired (OpenID Connect Core §3.1.2.1)."""
    for door in house.doors():
        if fault != "expired" or door.name not in {"authorize", "logout"}:
            assert not await house.opens(door, with_claims(**moments()[fault])(door)), door.name


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["http://evil.test/x"], "http://evil.test/x": 1},
        {"crit": []},
        {"crit": ["b64"], "b64": True},
    ],
)
async def test_A_28_crit(house: House, header: dict[str, object]) -> None:
    """An extension that must be understood is not, though the signature is right (RFC 7515 §4.1.11)."""
    await all_shut(house, resigned(**header))


def jwe(door: Door) -> str:
    """A compressed JWE as an attacker would make it: small, and huge once inflated."""
    bomb = zlib.compress(b" " * 20_000_000, 9)[2:-4]
    header = {"alg": "RSA-OAEP", "enc": "A128GCM", "zip": "DEF", "kid": door.header["kid"], "cty": "JWT"}
    return b".".join(map(segment, (header, b"k" * 256, b"i" * 12, bomb, b"t" * 16))).decode()


def jws_with_zip(door: Door) -> str:
    bomb = zlib.compress(json.dumps(door.claims).encode() + b" " * 2_000_000, 9)[2:-4]
    signed = segment(door.header | {"zip": "DEF"}) + b"." + segment(bomb)
    return (signed + b"." + segment(door.signer.sign(signed))).decode()


def small_jwe(door: Door) -> str:
    header = {"alg": "dir", "enc": "A128GCM", "zip": "DEF"}
    return b".".join(map(segment, (header, b"", b"i" * 12, zlib.compress(b" " * 1_000_000), b"t" * 16))).decode()


def deep(door: Door) -> str:
    signed = segment(door.header) + b"." + segment(b'{"a":' * 2000 + b"1" + b"}" * 2000)
    return (signed + b"." + segment(door.signer.sign(signed))).decode()


@pytest.mark.parametrize("monster", [small_jwe, jws_with_zip, deep])
async def test_A_28_bombs(house: House, monster: Callable[[Door], str]) -> None:
    """Refused in the way of each door, without inflating or descending."""
    await all_shut(house, monster)


def ten_megabytes(door: Door) -> str:
    signed = segment(door.header | {"pad": "x" * 10_000_000}) + b"." + segment(door.claims)
    return (signed + b"." + segment(b"s" * 256)).decode()


@pytest.mark.parametrize("monster", [ten_megabytes, jwe])
async def test_A_28_size(house: House, monster: Callable[[Door], str]) -> None:
    """Refused wherever it is sent, for 0.2 s of a server's processor and 20 MB of its memory at most."""
    cluster, made = house.cluster, [(door, monster(door)) for door in house.doors()]
    for measured in (False, True):
        # Once without measuring, so that everything has been loaded that ever will be.
        before = [(cpu_seconds_of(pid), resident_bytes(pid)) for pid in pids(cluster)]
        for worker in cluster.workers:
            for door, token in made:
                assert not await opens_to_a_monster(cluster, worker, door, token), door.name
        after = [(cpu_seconds_of(pid), resident_bytes(pid)) for pid in pids(cluster)]
        if measured:
            for (cpu, memory), (cpu_then, memory_then) in zip(before, after, strict=True):
                assert cpu_then - cpu < 0.2 * len(made)
                assert memory_then - memory < 20_000_000
    assert (await cluster.introspect(house.tokens["access_token"]))["active"] is True


async def opens_to_a_monster(cluster: Cluster, worker: str, door: Door, token: str) -> bool:
    """Whether a server takes this at all; it may also hang up."""
    posted: dict[str, tuple[str, dict[str, str]]] = {
        "introspect": ("/oauth/introspect", {"token": token}),
        "revoke": ("/oauth/revoke", {"token": token}),
        "authorize": ("/oauth/authorize", {"id_token_hint": token, "client_id": "web"}),
        "logout": ("/oauth/logout", {"id_token_hint": token}),
        "client_assertion": ("/oauth/token", {"client_assertion": token, "client_assertion_type": ASSERTION_TYPE}),
    }
    async with cluster.http(worker) as http:
        try:
            if door.name == "userinfo":
                answer = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
            else:
                path, form = posted[door.name]
                answer = await http.post(path, data=form)
        except httpx2.TransportError:
            return False
    return answer.status_code < 400


def pids(cluster: Cluster) -> list[int]:
    return [process.pid for process in cluster.processes]


def cpu_seconds(cluster: Cluster) -> float:
    return sum(map(cpu_seconds_of, pids(cluster)))


def cpu_seconds_of(pid: int) -> float:
    """What the process has used of processors so far, whatever else the machine was doing."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_9_1_2_one_verifier_for_every_jwt() -> None:
    """Nothing verifies or decodes a JWT but `idp.base.jose.verify`, and nothing but `idp.base` knows the library.

    (ASVS 9.1.1, 9.1.3)
    """
    for path in sorted((ROOT / "idp").rglob("*.py")):
        source, room = path.read_text("utf-8"), path.relative_to(ROOT / "idp").parts[0]
        if room != "base":
            if path.is_relative_to(ROOT / "idp" / "cli" / "demo"):
                # The demo application stands outside: it is what a relying party of ours writes.
                continue
            for word in ("joserfc", "import jwt", "jwt.decode", "pyjwt", "authlib.jose", "JWSRegistry", ".verifies("):
                assert word not in source, (path, word)
        elif path.name not in {"jose.py", "jwk.py"}:
            assert "joserfc" not in source, path
        for word in ("deserialize_compact", "jwe", "JWERegistry"):
            assert word not in source, (path, word)


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, ID_TOKEN_HINT, CLIENT_ASSERTION])
def test_9_1_2_every_kind_has_its_list_of_algorithms(kind: Kind) -> None:
    """And its `typ` and the claims that must be there (ASVS 9.2.2)."""
    assert kind.algorithms <= {"RS256", "PS256", "ES256", "EdDSA"}
    assert kind.typ
    assert kind.required >= {"iss", "sub", "aud"}


def test_A_21_an_unknown_kid_costs_next_to_nothing() -> None:
    """50 ms at most, by a wide margin, of this process."""
    token = forge({"alg": "ES256", "typ": "at+jwt", "kid": "unknown"}, {}, key().sign)
    begun = time.process_time()
    for _ in range(1000):
        with pytest.raises(InvalidToken):
            verify(token, ACCESS_TOKEN, keys={}, issuer="", audience=frozenset(), now=system_clock())
    assert time.process_time() - begun < 1000 * 0.05
