"""Digests of secrets: what is stored is never what opens the door."""

import asyncio
import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import BoundedSemaphore
from typing import TypeVar

import argon2
from argon2.low_level import Type, hash_secret_raw

from idp.base.entropy import Entropy, system_entropy

T = TypeVar("T")

_RANGES = "sha1"
"""By which digest lists of breached passwords are published; nothing else of ours uses it."""


def sha256(secret: str) -> bytes:
    """The digest under which a bearer secret of 128 random bits or more is stored and found.

    No password hash is needed: nobody can try out 2^128 values (ASVS 6.5.2, 11.4.2).
    """
    return hashlib.sha256(secret.encode()).digest()


def fingerprint(content: bytes) -> str:
    """What names this version of a public content in an address: 12 hex digits, and no secret."""
    return hashlib.sha256(content).hexdigest()[:12]


def chained(before: bytes, content: str) -> bytes:
    """The digest of a content behind that of what came before it, none being empty: SHA-256 of both, text in UTF-8."""
    return hashlib.sha256(before + content.encode()).digest()


def range_digest(password: str) -> str:
    """The digest by which lists of breached passwords are sorted, in upper-case hex: SHA-1 of its UTF-8.

    It protects nothing: five characters of it are told, and the rest never leaves this process.
    """
    return hashlib.new(_RANGES, password.encode(), usedforsecurity=False).hexdigest().upper()


def same(left: bytes, right: bytes) -> bool:
    """Whether two digests are equal, in time that does not tell where they differ (ASVS 11.2.4)."""
    return hmac.compare_digest(left, right)


class Busy(Exception):
    """Too many passwords wait for their turn already; asking again in a moment may succeed."""


class PasswordHasher:
    """Argon2id at the settings of ASVS 5.0 appendix C, in a pool of threads with a bounded queue.

    A password is hashed in its NFKC form, so that it means the same however a keyboard composes its letters
    (NIST SP 800-63B-4 §3.1.1.2). One hash takes about 25 ms of a core and 19 MiB.
    """

    def __init__(self, *, entropy: Entropy = system_entropy, workers: int = 2, queue: int = 64) -> None:
        self._argon2 = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._entropy = entropy
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="password")
        self._places = BoundedSemaphore(workers + queue)

    async def hash(self, password: str) -> str:
        """A new salted hash of the password in its PHC string form; raises Busy when the queue is full."""
        salt = self._entropy(16)
        return await self._run(lambda: self._argon2.hash(_normal(password), salt=salt))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password is the hashed one; for None the same work is done against a decoy, to answer no.

        So the time taken does not tell whether there is an account (ASVS 6.3.8). Raises Busy when the queue is full.
        """
        return await self._run(lambda: self._matches(password, hashed or self._decoy)) and hashed is not None

    async def derive(self, secret: str, salt: bytes) -> bytes:
        """The 32 bytes that these two always give, at the cost of one password; raises Busy when the queue is full."""
        argon = self._argon2
        return await self._run(
            lambda: hash_secret_raw(
                _normal(secret), salt, argon.time_cost, argon.memory_cost, argon.parallelism, 32, Type.ID
            )
        )

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        try:
            return self._argon2.check_needs_rehash(hashed)
        except argon2.exceptions.InvalidHashError:
            return True

    def close(self) -> None:
        """Let the threads go; what waits is dropped."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _decoy(self) -> str:
        # Only the parameters and the salt decide how much work a verification is; nobody knows a password that
        # hashes to 32 zero bytes.
        salt, digest = (base64.b64encode(bytes(size)).rstrip(b"=").decode() for size in (16, 32))
        argon = self._argon2
        return f"$argon2id$v=19$m={argon.memory_cost},t={argon.time_cost},p={argon.parallelism}${salt}${digest}"

    def _matches(self, password: str, hashed: str) -> bool:
        try:
            return self._argon2.verify(hashed, _normal(password))
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        # The place is given back when the thread is done, not when the caller stops waiting: a client that hangs
        # up and asks again must not find an empty queue before a busy pool.
        if not self._places.acquire(blocking=False):
            raise Busy
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)


def _normal(password: str) -> bytes:
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
