"""The audit trail as chains of digests, and how one tells that nobody has changed it.

Every database backend links the rows that it writes into a chain of its own: each row has the digest of the one before
it and of all that itself says. Who can write to the table could link it anew; so the heads of the chains are sealed now
and then under a key that is not in the database, and so is the place up to which a chain's oldest rows have expired.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from idp.base.digest import chained, same
from idp.base.seal import MasterKey, keyed_digest

Fault: TypeAlias = Literal["changed", "missing", "cut_off", "rewritten", "unchained", "seal_broken", "anchor_broken"]

_AS_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Link:
    """A row of the trail in its chain: the digest that it bears, and what it says, each column as text.

    ``said`` begins with the chain, the place and the id; a moment is the bytes of PostgreSQL in hex (microseconds since
    2000, or infinity) and details are the text of the jsonb. ``sealed`` is the digest of a seal at this very place.
    """

    chain: int
    place: int
    id: int
    digest: bytes
    said: tuple[str | None, ...]
    sealed: bytes | None = None


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a chain begins now: up to this place its rows have expired and were removed, the last with this digest."""

    chain: int
    place: int
    digest: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class Seal:
    """That a chain had this digest at this place and moment. Seals are numbered without gaps."""

    number: int
    chain: int
    place: int
    digest: bytes
    at: datetime
    mac: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """Where the trail is not as it was written, and what is wrong; ``id`` is None where the row is not there.

    Of a seal that is broken or missing, ``place`` is its number and the chain is 0.
    """

    fault: Fault
    chain: int
    place: int
    id: int | None = None


def digest_of(before: bytes, link: Link) -> bytes:
    """The digest that the link must bear behind one with that digest, or behind none (empty).

    SHA-256 of the digest before it and of a JSON array of strings and nulls without spaces (RFC 8259), in UTF-8, as
    ``array_to_json`` writes it: quotes, backslashes and control characters are escaped and nothing else.
    """
    return chained(before, _AS_JSON(link.said))


def anchor_mac(master: MasterKey, chain: int, place: int, digest: bytes) -> bytes:
    """What only the installation can say of an anchor."""
    return keyed_digest(master, f"{chain} {place} {digest.hex()}", context="audit_anchors")


def seal_mac(master: MasterKey, number: int, chain: int, place: int, digest: bytes, at: datetime) -> bytes:
    """What only the installation can say of a seal."""
    text = f"{number} {chain} {place} {digest.hex()} {at.astimezone(UTC).isoformat()}"
    return keyed_digest(master, text, context="audit_seals")


SEALS = 0
"""The chain of the seals themselves, as anchors name it: no backend has the pid 0."""


@dataclass(slots=True)
class Inspection:
    """The trail being looked through, in order: all anchors, the seals by number, the links by chain and place.

    It remembers the heads of the chains and the first ``most`` breaks, and no row.
    """

    master: MasterKey = field(repr=False)
    most: int = 20
    breaks: list[Break] = field(default_factory=list)
    rows: int = 0
    chains: int = 0
    seals: int = 0
    last_seal: Seal | None = None
    _anchors: dict[int, Anchor] = field(default_factory=dict)
    _sealed: dict[int, int] = field(default_factory=dict)
    _at: tuple[int, int, bytes] = (-1, 0, b"")
    _lowest: int | None = None

    def take_anchors(self, anchors: Iterable[Anchor]) -> None:
        """Learn from where each chain has to begin."""
        for anchor in anchors:
            if not same(anchor.mac, anchor_mac(self.master, anchor.chain, anchor.place, anchor.digest)):
                self._note("anchor_broken", anchor.chain, anchor.place)
            self._anchors[anchor.chain] = anchor

    def take_seals(self, seals: Iterable[Seal]) -> None:
        """Learn how long each chain has to be."""
        for seal in seals:
            expected = self._number() + 1
            if seal.number != expected:
                self._note("missing", SEALS, expected)
            mac = seal_mac(self.master, seal.number, seal.chain, seal.place, seal.digest, seal.at)
            if not same(seal.mac, mac):
                self._note("seal_broken", SEALS, seal.number)
            self.seals, self.last_seal = self.seals + 1, seal
            self._sealed[seal.chain] = max(seal.place, self._sealed.get(seal.chain, 0))

    def take_links(self, links: Iterable[Link]) -> None:
        """Look at the next rows."""
        for link in links:
            chain, place, digest = self._at
            if link.chain != chain:
                self._end_chain()
                place, digest = self._begin_chain(link.chain)
            if link.place != place + 1:
                # What stands behind a gap can be judged by nothing that stands before it.
                self._note("missing", link.chain, place + 1)
            elif not same(digest_of(digest, link), link.digest):
                self._note("changed", link.chain, link.place, link.id)
            elif link.sealed is not None and not same(link.sealed, link.digest):
                self._note("rewritten", link.chain, link.place, link.id)
            self.rows += 1
            self._lowest = link.id if self._lowest is None else min(self._lowest, link.id)
            self._at = (link.chain, link.place, link.digest)

    def finish(self, last_unchained: int | None) -> None:
        """All has been seen; ``last_unchained`` is the newest row that is in no chain, as those of old are."""
        self._end_chain()
        for chain in sorted(self._sealed.keys()):
            self._check_length(chain, self._begin(chain)[0])
        if last_unchained is not None and self._lowest is not None and last_unchained > self._lowest:
            self._note("unchained", 0, 0, last_unchained)

    def _number(self) -> int:
        return self.last_seal.number if self.last_seal else self._begin(SEALS)[0]

    def _begin(self, chain: int) -> tuple[int, bytes]:
        anchor = self._anchors.get(chain)
        return (anchor.place, anchor.digest) if anchor else (0, b"")

    def _begin_chain(self, chain: int) -> tuple[int, bytes]:
        self.chains += 1
        return self._begin(chain)

    def _end_chain(self) -> None:
        chain, place, _ = self._at
        self._check_length(chain, place)

    def _check_length(self, chain: int, place: int) -> None:
        if self._sealed.pop(chain, 0) > place:
            self._note("cut_off", chain, place + 1)

    def _note(self, fault: Fault, chain: int, place: int, row: int | None = None) -> None:
        if len(self.breaks) < self.most:
            self.breaks.append(Break(fault, chain, place, row))
