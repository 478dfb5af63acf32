"""The ring as one process sees it: an unchanging picture, made once and read by every request without waiting."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from idp.base import jwk, seal
from idp.base.entropy import Entropy
from idp.base.jwk import ALGORITHMS, Algorithm, PrivateKey, PublicKey
from idp.base.seal import MasterKey, SealBroken
from idp.model.signing_key import SigningKey, State

ORDER: tuple[State, ...] = ("active", "next", "retired")
"""The states of the published keys, in the order in which the keys are shown."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Every key that is not gone, the JWK Set of those that are published, and the keys that sign.

    ``jwks`` and ``etag`` depend on nothing but the keys, so every process shows the same bytes. ``verifiers`` are the
    published keys; ``hint_verifiers`` have the withdrawn ones too, and judge nothing but ID tokens that come back as
    hints. ``damaged`` are the keys that cannot be used, each by itself: no other key suffers.
    """

    keys: tuple[SigningKey, ...]
    jwks: bytes
    etag: str
    max_age: int
    verifiers: Mapping[str, PublicKey] = field(repr=False)
    hint_verifiers: Mapping[str, PublicKey] = field(repr=False)
    signers: Mapping[str, PrivateKey] = field(repr=False)
    damaged: frozenset[str] = frozenset()

    def signer(self, alg: str) -> PrivateKey:
        """The active key of the algorithm; raises ``LookupError`` if there is none."""
        return self.signers[alg]


def context(kid: str) -> str:
    """Where a sealed private key rests, as its envelope knows it."""
    return f"signing_keys/{kid}"


def build(rows: tuple[SigningKey, ...], master: MasterKey, *, max_age: int) -> Ring:
    """The ring that these rows make under this master key; ``max_age`` in seconds."""
    hint_verifiers = {row.kid: key for row in rows if (key := _verifier(row)) is not None}
    published = tuple(row for row in rows if row.is_published and row.kid in hint_verifiers)
    unusable = damaged(rows, master)
    signing = {
        row.alg: jwk.load(private)
        for row, private in _unseal(rows, master)
        if row.state == "active" and row.kid not in unusable
    }
    jwks = _jwks(published)
    return Ring(
        keys=rows,
        jwks=jwks,
        etag=f'"{hashlib.sha256(jwks).hexdigest()[:32]}"',
        max_age=max_age,
        verifiers={row.kid: hint_verifiers[row.kid] for row in published},
        hint_verifiers=hint_verifiers,
        signers=signing,
        damaged=unusable,
    )


def damaged(rows: tuple[SigningKey, ...], master: MasterKey) -> frozenset[str]:
    """The keys that cannot be used, because their public half is malformed or their private half does not open.

    Where nothing opens, the master key is to blame and not the rows: then none is called damaged, and so nothing is
    thrown away.
    """
    sealed = {row.kid for row in rows if row.sealed_private is not None}
    opened = {row.kid for row, _ in _unseal(rows, master)}
    if sealed and not opened:
        return frozenset()
    return frozenset(sealed - opened) | {row.kid for row in rows if _verifier(row) is None}


def seal_private(key: PrivateKey, master: MasterKey, entropy: Entropy) -> bytes:
    """The key's private half as it rests in the database."""
    return seal.seal(master, key.dump(), context=context(key.kid), entropy=entropy)


def _unseal(rows: tuple[SigningKey, ...], master: MasterKey) -> Iterator[tuple[SigningKey, bytes]]:
    """The private halves that open."""
    for row in rows:
        if row.sealed_private is not None:
            with contextlib.suppress(SealBroken):
                yield row, seal.unseal(master, row.sealed_private, context=context(row.kid))


def _verifier(row: SigningKey) -> PublicKey | None:
    """The public half, or None if the row does not hold the key that it says it holds."""
    if not isinstance(row.public_jwk, Mapping):
        return None
    try:
        key = jwk.read(row.public_jwk)
    except jwk.InvalidKey:
        return None
    true_to_name = key.kid == row.kid == key.native.thumbprint() and key.algorithms == {row.alg}
    return key if true_to_name else None


def _jwks(rows: Iterable[SigningKey]) -> bytes:
    # Only what is known to be public goes out, whatever else a row may have come to hold.
    keys = [
        {name: row.public_jwk[name] for name in jwk.PUBLISHED_MEMBERS if name in row.public_jwk}
        for row in sorted(rows, key=_place)
    ]
    return json.dumps({"keys": keys}, separators=(",", ":"), sort_keys=True).encode()


def _place(row: SigningKey) -> tuple[int, int, str]:
    # The active RS256 key comes first, for validators that look no further than the first.
    return ALGORITHMS.index(cast(Algorithm, row.alg)), ORDER.index(row.state), row.kid
