"""The keeping of the keys: what the schedule decides is done here, by one process at a time."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from idp.base import jwk
from idp.base.entropy import Entropy
from idp.base.jwk import Algorithm
from idp.base.seal import MasterKey, MasterKeyWrong, load_or_create
from idp.keys.ring import damaged, seal_private
from idp.keys.schedule import (
    Action,
    Activate,
    BlastRadius,
    Forget,
    Policy,
    Publish,
    Retire,
    Rows,
    Withdraw,
    blast_radius,
    plan,
    rotation,
)
from idp.model.event import Event
from idp.model.signing_key import SigningKey
from idp.store import signing_keys
from idp.store.audit_events import record_event
from idp.store.database import Connection, Pool, Unavailable, notify, transaction

TURN_PAUSE = 0.05
TURN_TRIES = 1200


@dataclass(frozen=True, slots=True)
class Custody:
    """The means by which keys are made, sealed and kept; ``rsa_bits`` is the size of new RSA keys.

    ``operator`` is who has a hand in it, for the audit trail; None where the schedule acts by itself.
    """

    pool: Pool = field(repr=False)
    master: MasterKey
    policy: Policy
    rsa_bits: int
    entropy: Entropy = field(repr=False)
    operator: str | None = None


async def ensure_master_key(pool: Pool, directory: Path, given: str | None, *, entropy: Entropy) -> MasterKey:
    """The master key that opens this database; a new one only where nothing has been sealed yet.

    Raises ``MasterKeyMissing``, ``MasterKeyMalformed`` or ``MasterKeyWrong`` with a text for the operator:
    never a silently fresh key. One damaged envelope is no reason to refuse as long as another bears the key's
    name.
    """
    async with transaction(pool) as conn:
        sealed = await signing_keys.has_sealed(conn)
        master = await asyncio.to_thread(load_or_create, directory, given, may_create=not sealed, entropy=entropy)
        if sealed and not await signing_keys.has_sealed_under(conn, master.prefix):
            raise MasterKeyWrong(
                "The master key is not the one under which this database was sealed: its signing keys and "
                "authenticator seeds cannot be opened. Put the right one back from your backup of the keys "
                "directory, or name it in IDP_MASTER_KEY_FILE."
            )
    return master


async def read_ring(pool: Pool) -> Rows:
    """Every key that is not gone."""
    async with transaction(pool) as conn:
        return await signing_keys.list_signing_keys(conn)


async def tend(custody: Custody, now: datetime) -> bool:
    """Do all that the schedule says is due, and say whether anything was.

    On an empty database this makes the first keys. Any number of processes may call it at once: one acts, the
    others wait for it and find nothing left to do.
    """

    def due(rows: Rows) -> tuple[Action, ...]:
        return plan(rows, now, custody.policy, damaged=damaged(rows, custody.master))

    if not due(await read_ring(custody.pool)):
        return False
    return bool(await _in_turn(custody, due, now))


async def rotate(custody: Custody, alg: Algorithm, now: datetime) -> Rows:
    """Let the next key of the algorithm take over now, publish a new next one, and return the ring.

    Raises ``TooEarly`` if the next key has not been published long enough: two rotations at once make one
    key.
    """
    await tend(custody, now)
    await _in_turn(custody, lambda rows: rotation(rows, alg, now, custody.policy), now)
    return await read_ring(custody.pool)


async def revoke(custody: Custody, kid: str, now: datetime) -> BlastRadius:
    """Take a key out of the ring for good and put another in its place; tell what that broke.

    Raises ``LookupError`` if the ring has no such key.
    """
    told: list[BlastRadius] = []

    def removal(rows: Rows) -> tuple[Action, ...]:
        told.append(blast_radius(rows, kid, now, custody.policy))
        rest = tuple(key for key in rows if key.kid != kid)
        return (Forget(kid), *plan(rest, now, custody.policy, damaged=damaged(rest, custody.master)))

    await _in_turn(custody, removal, now)
    return told[-1]


async def _in_turn(custody: Custody, decide: Callable[[Rows], tuple[Action, ...]], now: datetime) -> tuple[Action, ...]:
    """Decide and act while nobody else may; what was decided is all done or not at all.

    The lock is asked for again and again and not waited for in the database, where a statement has a time
    limit and the making of an RSA key may outlast it.
    """
    for _ in range(TURN_TRIES):
        async with transaction(custody.pool) as conn:
            if await signing_keys.try_lock(conn):
                rows = await signing_keys.list_signing_keys(conn)
                actions = decide(rows)
                for action in actions:
                    key = await _act(custody, conn, action, now, {row.kid: row for row in rows})
                    await _note(custody, conn, action, key, now)
                if actions:
                    await notify(conn, signing_keys.CHANNEL)
                return actions
        await asyncio.sleep(TURN_PAUSE)
    raise Unavailable("another process has been changing the signing keys for too long")


async def _act(
    custody: Custody, conn: Connection, action: Action, now: datetime, ring: Mapping[str, SigningKey]
) -> SigningKey:
    """Do it, and return the key that it was done to, as it was before."""
    match action:
        case Publish(alg, active):
            return await _publish(custody, conn, alg, now, active=active)
        case Activate(kid):
            await signing_keys.activate_signing_key(conn, kid, now)
        case Retire(kid):
            await signing_keys.retire_signing_key(conn, kid, now)
        case Withdraw(kid):
            await signing_keys.withdraw_signing_key(conn, kid, now)
        case Forget(kid):
            await signing_keys.delete_signing_key(conn, kid)
    return ring[action.kid]


async def _publish(custody: Custody, conn: Connection, alg: Algorithm, now: datetime, *, active: bool) -> SigningKey:
    made = await asyncio.to_thread(jwk.generate, alg, rsa_bits=custody.rsa_bits)
    key = SigningKey(
        kid=made.kid,
        alg=alg,
        public_jwk=made.public_jwk,
        sealed_private=seal_private(made, custody.master, custody.entropy),
        published_at=now,
        activated_at=now if active else None,
    )
    await signing_keys.create_signing_key(conn, key)
    return key


_EVENTS: dict[type[Action], str] = {
    Publish: "key_published",
    Activate: "key_activated",
    Retire: "key_retired",
    Withdraw: "key_withdrawn",
    Forget: "key_removed",
}


async def _note(custody: Custody, conn: Connection, action: Action, key: SigningKey, now: datetime) -> None:
    details = {"kid": key.kid, "alg": key.alg, "state": key.state}
    if custody.operator:
        details["os_user"] = custody.operator
    actor = "system" if custody.operator is None else "operator"
    await record_event(conn, Event(_EVENTS[type(action)], actor, now, details=details))
