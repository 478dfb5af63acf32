"""An envelope for secrets at rest: AES-256-GCM under the installation's master key (ASVS 11.3.1-11.3.5)."""

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idp.base.entropy import Entropy, identifier

FILE = "master.key"
VERSION = b"\x01"
KEY_SIZE, ID_SIZE, NONCE_SIZE, TAG_SIZE = 32, 8, 12, 16
PREFIX_SIZE = len(VERSION) + ID_SIZE
SHORTEST = PREFIX_SIZE + NONCE_SIZE + TAG_SIZE


class SealBroken(Exception):
    """An envelope does not open: another key, another context or a changed byte, all alike."""


class MasterKeyError(Exception):
    """The master key cannot be used; the message says why and what to do, and is fit for an operator."""


class MasterKeyMissing(MasterKeyError):
    """There is no master key, and none may be made because sealed data already exists."""


class MasterKeyMalformed(MasterKeyError):
    """What was given as the master key is not 32 bytes in base64, or its file is open to other users."""


class MasterKeyWrong(MasterKeyError):
    """The master key is not the one under which the data was sealed."""


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The 256-bit key under which this installation seals its secrets; it never shows itself."""

    secret: bytes = field(repr=False)

    @property
    def id(self) -> bytes:
        """Eight bytes that name the key without telling anything of it."""
        return hashlib.sha256(b"idp master key id\x00" + self.secret).digest()[:ID_SIZE]

    @property
    def prefix(self) -> bytes:
        """How every envelope sealed under this key begins: version and key id."""
        return VERSION + self.id


def seal(master: MasterKey, plaintext: bytes, *, context: str, entropy: Entropy) -> bytes:
    """An envelope that only this master key opens, and only for the same context.

    The context names the place where the envelope rests (``table/row``), so that a sealed value copied into
    another row does not open there. Layout: version (1), key id (8), nonce (12), ciphertext with tag.
    """
    nonce = entropy(NONCE_SIZE)
    return master.prefix + nonce + AESGCM(master.secret).encrypt(nonce, plaintext, context.encode())


def unseal(master: MasterKey, envelope: bytes, *, context: str) -> bytes:
    """What was sealed, unchanged; raises ``SealBroken`` for every fault alike."""
    if len(envelope) < SHORTEST or not envelope.startswith(master.prefix):
        raise SealBroken(context)
    nonce = envelope[PREFIX_SIZE : PREFIX_SIZE + NONCE_SIZE]
    try:
        return AESGCM(master.secret).decrypt(nonce, envelope[PREFIX_SIZE + NONCE_SIZE :], context.encode())
    except InvalidTag:
        raise SealBroken(context) from None


def keyed_digest(master: MasterKey, text: str, *, context: str) -> bytes:
    """A digest of a short secret or a name, of which nothing can be found out by trying without the master key.

    HMAC-SHA256 (RFC 2104) under a key of its own for the context (HKDF, RFC 5869).
    """
    key = HKDF(hashes.SHA256(), length=32, salt=None, info=b"idp digest " + context.encode()).derive(master.secret)
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")


def derived(master: MasterKey, purpose: str) -> MasterKey:
    """A key of its own for one purpose, which tells nothing of the master key and opens nothing that it sealed.

    For what strangers can have sealed without end: random nonces of 96 bits are good for 2^32 envelopes under one key
    (NIST SP 800-38D §8.3).
    """
    info = b"idp key " + purpose.encode()
    return MasterKey(HKDF(hashes.SHA256(), length=KEY_SIZE, salt=None, info=info).derive(master.secret))


def load_or_create(directory: Path, given: str | None, *, may_create: bool, entropy: Entropy) -> MasterKey:
    """The master key that was given, else the one in ``directory``, else a new one written there.

    However many processes come at once, they all get the same key. Raises ``MasterKeyMissing`` where there is
    none and none may be made, ``MasterKeyMalformed`` where it cannot be read.
    """
    if given is not None:
        return _parse(given, "IDP_MASTER_KEY")
    path = directory / FILE
    if not path.exists():
        if not may_create:
            raise MasterKeyMissing(
                f"The master key {path} is missing, and the database holds data sealed under it. "
                "Put the file back from your backup of the keys directory, or name it in IDP_MASTER_KEY_FILE."
            )
        _create(path, entropy)
    return _read(path)


def _read(path: Path) -> MasterKey:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MasterKeyMalformed(f"The master key {path} cannot be read: {error}.") from error
    if mode & 0o077:
        raise MasterKeyMalformed(f"The master key {path} is open to other users: run chmod 600 {path}.")
    return _parse(text, str(path))


def _parse(text: str, source: str) -> MasterKey:
    # Both alphabets of base64 are taken: `openssl rand -base64 32` writes the one, we write the other.
    digits = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        secret = base64.b64decode(digits + "=", altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_SIZE:
        raise MasterKeyMalformed(f"The master key from {source} is not {KEY_SIZE} bytes in base64.")
    return MasterKey(secret)


def _create(path: Path, entropy: Entropy) -> None:
    """Write a new key under the name all at once: the file is whole and on the disk before it has its name.

    A link never replaces what is there, so of many processes one wins and the others read the winner's key.
    """
    text = base64.urlsafe_b64encode(entropy(KEY_SIZE))
    draft = path.with_name(f".{FILE}.{os.getpid()}.{identifier(entropy)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_durably(draft, text + b"\n")
        try:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(draft)
        finally:
            draft.unlink()
        _flush_directory(path.parent)
    except OSError as error:
        raise MasterKeyError(f"The master key {path} cannot be written: {error}.") from error


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
