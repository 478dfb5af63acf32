"""JSON Web Keys: published vectors, and what is refused."""

import json
from typing import Any

import pytest
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from idp.base import jwk
from tests.base.roca import roca_prime

RFC7520_RSA = {
    "kty": "RSA",
    "e": "AQAB",
    "n": (
        "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMa"
        "JMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6c"
        "S6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwd"
        "q_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"
    ),
    "d": (
        "bWUC9B-EFRIo8kpGfh0ZuyGPvMNKvYWNtB_ikiH9k20eT-O1q_I78eiZkpXxXQ0UTEs2LsNRS-8uJbvQ-A1irkwMSMkK1J3X"
        "TGgdrhCku9gRldY7sNA_AKZGh-Q661_42rINLRCe8W-nZ34ui_qOfkLnK9QWDDqpaIsA-bMwWWSDFu2MUBYwkHTMEzLYGqOe"
        "04noqeq1hExBTHBOBdkMXiuFhUq1BU6l-DqEiWxqg82sXt2h-LMnT3046AOYJoRioz75tSUQfGCshWTBnP5uDjd18kKhyv07"
        "lhfSJdrPdM5Plyl21hsFf4L_mHCuoFau7gdsPfHPxxjVOcOpBrQzwQ"
    ),
    "p": (
        "3Slxg_DwTXJcb6095RoXygQCAZ5RnAvZlno1yhHtnUex_fp7AZ_9nRaO7HX_-SFfGQeutao2TDjDAWU4Vupk8rw9JR0AzZ0N"
        "2fvuIAmr_WCsmGpeNqQnev1T7IyEsnh8UMt-n5CafhkikzhEsrmndH6LxOrvRJlsPp6Zv8bUq0k"
    ),
    "q": (
        "uKE2dh-cTf6ERF4k4e_jy78GfPYUIaUyoSSJuBzp3Cubk3OCqs6grT8bR_cu0Dm1MZwWmtdqDyI95HrUeq3MP15vMMON8lHT"
        "eZu2lmKvwqW7anV5UzhM1iZ7z4yMkuUwFWoBvyY898EXvRD-hdqRxHlSqAZ192zB3pVFJ0s7pFc"
    ),
    "dp": (
        "B8PVvXkvJrj2L-GYQ7v3y9r6Kw5g9SahXBwsWUzp19TVlgI-YV85q1NIb1rxQtD-IsXXR3-TanevuRPRt5OBOdiMGQp8pbt2"
        "6gljYfKU_E9xn-RULHz0-ed9E9gXLKD4VGngpz-PfQ_q29pk5xWHoJp009Qf1HvChixRX59ehik"
    ),
    "dq": (
        "CLDmDGduhylc9o7r84rEUVn7pzQ6PF83Y-iBZx5NT-TpnOZKF1pErAMVeKzFEl41DlHHqqBLSM0W1sOFbwTxYWZDm6sI6og5"
        "iTbwQGIC3gnJKbi_7k_vJgGHwHxgPaX2PnvP-zyEkDERuf-ry4c_Z11Cq9AqC2yeL6kdKT1cYF8"
    ),
    "qi": (
        "3PiqvXQN0zwMeE-sBvZgi289XP9XCQF3VWqPzMKnIgQp7_Tugo6-NZBKCQsMf3HaEGBjTVJs_jcK8-TRXvaKe-7ZMaQj8VfB"
        "dYkssbu0NKDDhjJ-GtiseaDVWt7dcH0cfwxgFUHpQh7FoCrjFJ6h6ZEpMF6xmujs4qMpPz8aaI4"
    ),
}
RFC7520_4_1 = (
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ"
    "1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24"
    "ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRj"
    "dkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wn"
    "B-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadn"
    "HXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ"
    "41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg"
)
RFC7638_3_1 = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
    "alg": "RS256",
    "kid": "2011-04-29",
}
RFC7515_A3 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
RFC7515_A3_TOKEN = (
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0"
    "cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
RFC8037_A = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
RFC8037_A_TOKEN = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def split(token: str) -> tuple[bytes, bytes]:
    """The signed part of a compact JWS and the signature over it."""
    signed, _, signature = token.encode().rpartition(b".")
    return signed, urlsafe_b64decode(signature)


def private(members: dict[str, str], alg: str) -> jwk.PrivateKey:
    """The key of a published vector, under its thumbprint as every key of ours is."""
    public = {name: members[name] for name in ("kty", "n", "e", "crv", "x") if name in members}
    kid = jwk.read(public | {"kid": "any"}).native.thumbprint()
    return jwk.load(json.dumps(members | {"alg": alg, "kid": kid}).encode())


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param(RFC7638_3_1, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", id="RFC 7638 §3.1"),
        pytest.param(
            {"kty": "OKP", "crv": "Ed25519", "x": RFC8037_A["x"], "kid": "any"},
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
            id="RFC 8037 A.3",
        ),
    ],
)
def test_thumbprint(members: dict[str, str], expected: str) -> None:
    assert jwk.read(members).native.thumbprint() == expected


@pytest.mark.parametrize(
    ("members", "alg", "token"),
    [
        pytest.param(RFC7520_RSA, "RS256", RFC7520_4_1, id="RFC 7520 §4.1"),
        pytest.param(RFC8037_A, "EdDSA", RFC8037_A_TOKEN, id="RFC 8037 A.4"),
    ],
)
def test_signature_is_the_published_one(members: dict[str, str], alg: str, token: str) -> None:
    message, signature = split(token)
    key = private(members, alg)
    assert key.sign(message) == signature
    assert jwk.read(key.public_jwk).verifies(alg, message, signature)


@pytest.mark.parametrize(
    ("members", "alg", "token"),
    [
        pytest.param(RFC7515_A3, "ES256", RFC7515_A3_TOKEN, id="RFC 7515 A.3"),
        pytest.param({name: RFC7520_RSA[name] for name in ("kty", "n", "e")}, "RS256", RFC7520_4_1, id="RFC 7520 §4.1"),
        pytest.param(
            {name: RFC8037_A[name] for name in ("kty", "crv", "x")}, "EdDSA", RFC8037_A_TOKEN, id="RFC 8037 A.5"
        ),
    ],
)
def test_published_signature_verifies_and_a_changed_one_does_not(members: dict[str, str], alg: str, token: str) -> None:
    message, signature = split(token)
    key = jwk.read(members | {"kid": "any"})
    assert key.verifies(alg, message, signature)
    assert not key.verifies(alg, message + b"x", signature)
    assert not key.verifies(alg, message, bytes([signature[0] ^ 1]) + signature[1:])
    assert not key.verifies(alg, message, b"")
    assert not key.verifies("HS256", message, signature)


@pytest.mark.parametrize("alg", jwk.ALGORITHMS)
def test_a_new_key_survives_dump_and_load_and_signs(alg: jwk.Algorithm) -> None:
    key = jwk.generate(alg, rsa_bits=2048)
    again = jwk.load(key.dump())
    public = jwk.read(key.public_jwk)
    assert (again.kid, again.alg, again.public_jwk) == (key.kid, alg, key.public_jwk)
    assert public.algorithms == {alg}
    assert public.verifies(alg, b"message", again.sign(b"message"))


@pytest.mark.parametrize(
    ("alg", "members"),
    [
        ("RS256", {"kty", "n", "e"}),
        ("PS256", {"kty", "n", "e"}),
        ("ES256", {"kty", "crv", "x", "y"}),
        ("EdDSA", {"kty", "crv", "x"}),
    ],
)
def test_the_public_jwk_shows_nothing_private(alg: jwk.Algorithm, members: set[str]) -> None:
    key = jwk.generate(alg, rsa_bits=2048)
    assert key.public_jwk.keys() == members | {"kid", "use", "alg"}
    assert key.kid == jwk.read(key.public_jwk).native.thumbprint()
    private_exponent = str(json.loads(key.dump())["d"])
    assert private_exponent not in repr(key)
    assert private_exponent not in repr(key.public_jwk)


def test_rsa_size_and_exponent_are_as_asked() -> None:
    """ASVS 11.6.1."""
    key = jwk.generate("RS256", rsa_bits=3072)
    assert int.from_bytes(urlsafe_b64decode(key.public_jwk["n"].encode())).bit_length() == 3072
    assert key.public_jwk["e"] == "AQAB"


@pytest.mark.parametrize(
    "dumped",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="no object"),
        pytest.param(json.dumps(RFC8037_A | {"alg": "EdDSA", "kid": "other"}).encode(), id="other kid"),
        pytest.param(json.dumps(RFC7638_3_1).encode(), id="public half alone"),
    ],
)
def test_what_is_not_a_dumped_key_does_not_load(dumped: bytes) -> None:
    with pytest.raises(jwk.InvalidKey):
        jwk.load(dumped)


def encoded(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).decode()


def weak_modulus(bits: int) -> str:
    return encoded((1 << bits) - 1)


MODULUS = int.from_bytes(urlsafe_b64decode(RFC7638_3_1["n"].encode()))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"kid": None}, id="kid missing"),
        pytest.param({"kid": ""}, id="kid empty"),
        pytest.param({"kid": "k" * 257}, id="kid too long"),
        pytest.param({"kid": ["a"]}, id="kid no string"),
        pytest.param({"use": "enc"}, id="RFC 7517 §4.2 use"),
        pytest.param({"key_ops": ["sign"]}, id="RFC 7517 §4.3 key_ops"),
        pytest.param({"key_ops": 1}, id="key_ops no list"),
        pytest.param({"alg": "PS384"}, id="alg unknown"),
        pytest.param({"alg": "ES256"}, id="RFC 8725 §3.1 alg of another type"),
        pytest.param({"alg": "HS256"}, id="alg HS256"),
        pytest.param({"alg": "none"}, id="alg none"),
        pytest.param({"alg": ["RS256"]}, id="alg no string"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0"}, id="symmetric"),
        pytest.param({"kty": "oct"}, id="kty oct"),
        pytest.param({"kty": 7}, id="kty no string"),
        pytest.param({"d": "AQAB"}, id="private"),
        pytest.param({"n": None}, id="n missing"),
        pytest.param({"n": 5}, id="n no string"),
        pytest.param({"n": "!!"}, id="n not base64url"),
        pytest.param({"n": "AQAB"}, id="n tiny"),
        pytest.param({"n": encoded(2 * MODULUS)}, id="n even"),
        pytest.param({"n": encoded(3 * MODULUS)}, id="SP 800-89 §5.3.3 n has the factor 3"),
        pytest.param({"n": encoded(751 * MODULUS)}, id="SP 800-89 §5.3.3 n has the factor 751"),
        pytest.param({"n": encoded(roca_prime(1) * roca_prime(2))}, id="CVE-2017-15361 n"),
        pytest.param({"alg": None}, id="alg null"),
        pytest.param({"alg": "EdDSA"}, id="alg EdDSA"),
        pytest.param({"crv": "P-256"}, id="RSA with a curve"),
        pytest.param({"crv": "Ed25519", "alg": "EdDSA"}, id="RSA with a curve and its alg"),
        pytest.param({"crv": None}, id="RSA with the curve null"),
        pytest.param({"n": weak_modulus(2047)}, id="RFC 7518 §3.3 2047 bits"),
        pytest.param({"n": weak_modulus(8200)}, id="n huge"),
        pytest.param({"e": "Aw"}, id="e = 3"),
        pytest.param({"e": "AQAA"}, id="e even"),
        pytest.param({"e": "AQAAAAAAAAAB"}, id="e huge"),
    ],
)
def test_a_weak_or_unfit_key_is_refused(change: dict[str, Any]) -> None:
    """ASVS 11.2.3: the key of a client."""
    missing = {name for name in ("kid", "n") if name in change and change[name] is None}
    members: dict[str, Any] = {name: value for name, value in (RFC7638_3_1 | change).items() if name not in missing}
    with pytest.raises(jwk.InvalidKey):
        jwk.read(members)
    assert jwk.read_set({"keys": [members]}) == {}


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(RFC7515_A3 | {"crv": "P-384"}, id="another curve"),
        pytest.param(RFC7515_A3 | {"crv": "secp256k1"}, id="secp256k1"),
        pytest.param(RFC7515_A3 | {"y": RFC7515_A3["x"]}, id="RFC 8725 §3.4 point not on the curve"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": RFC8037_A["x"]}, id="X25519"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}, id="short x"),
    ],
)
def test_a_curve_key_that_is_none_is_refused(members: dict[str, str]) -> None:
    with pytest.raises(jwk.InvalidKey):
        jwk.read(members | {"kid": "any"})


KEYS = {"RSA": RFC7638_3_1, "EC": RFC7515_A3, "OKP": {name: RFC8037_A[name] for name in ("kty", "crv", "x")}}
FITTING = {"RSA": {"RS256", "PS256"}, "EC": {"ES256"}, "OKP": {"EdDSA"}}
LABELS = (
    *jwk.ALGORITHMS,
    "HS256",
    "none",
    "ES384",
    "ES256K",
    "Ed448",
    "RS384",
    "RSA-OAEP",
    "",
    None,
    7,
    True,
    ["ES256"],
)


@pytest.mark.parametrize("kty", KEYS)
@pytest.mark.parametrize("alg", LABELS, ids=repr)
def test_no_key_has_an_alg_that_contradicts_it(kty: str, alg: object) -> None:
    """RFC 8725 §3.1: an EC key that says EdDSA is no key, and neither is one that says nothing readable."""
    members = KEYS[kty] | {"kid": "any", "alg": alg}
    if isinstance(alg, str) and alg in FITTING[kty]:
        assert jwk.read(members).algorithms == {alg}
        return
    with pytest.raises(jwk.InvalidKey):
        jwk.read(members)


@pytest.mark.parametrize("kty", KEYS)
@pytest.mark.parametrize("crv", ["P-256", "P-384", "Ed25519", "Ed448", "X25519", "", None, 7, ["P-256"]], ids=repr)
def test_no_key_has_a_curve_of_another_type(kty: str, crv: object) -> None:
    members = KEYS[kty] | {"kid": "any", "crv": crv}
    if crv is not None and crv == KEYS[kty].get("crv"):
        assert jwk.read(members)
        return
    with pytest.raises(jwk.InvalidKey):
        jwk.read(members)


def test_a_key_without_alg_serves_each_algorithm_of_its_type() -> None:
    members = {name: value for name, value in RFC7638_3_1.items() if name != "alg"}
    assert jwk.read(members).algorithms == {"RS256", "PS256"}


def test_a_bad_key_in_a_set_harms_no_other() -> None:
    keys = jwk.read_set({"keys": [None, 3, {}, {"kty": "oct", "k": "eA", "kid": "s"}, RFC7638_3_1]})
    assert keys.keys() == {"2011-04-29"}


def test_of_two_keys_under_one_kid_neither_is_believed() -> None:
    twice = [RFC7638_3_1, RFC7515_A3 | {"kid": "2011-04-29"}, RFC7515_A3 | {"kid": "other"}]
    assert jwk.read_set({"keys": twice}).keys() == {"other"}


@pytest.mark.parametrize("jwks", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_what_is_no_set_has_no_keys(jwks: dict[str, Any]) -> None:
    assert jwk.read_set(jwks) == {}
