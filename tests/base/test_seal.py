"""The envelope, and the one master key of an installation."""

import asyncio
import base64
import subprocess
import sys
from pathlib import Path

import pytest

from idp.base.entropy import system_entropy
from idp.base.seal import (
    MasterKey,
    MasterKeyMalformed,
    MasterKeyMissing,
    SealBroken,
    derived,
    keyed_digest,
    load_or_create,
    seal,
    unseal,
)

MASTER = MasterKey(bytes(range(32)))


def test_what_is_sealed_opens_again() -> None:
    envelope = seal(MASTER, b"secret", context="table/row", entropy=system_entropy)
    assert unseal(MASTER, envelope, context="table/row") == b"secret"
    assert b"secret" not in envelope


def test_an_empty_secret_can_be_sealed() -> None:
    assert unseal(MASTER, seal(MASTER, b"", context="c", entropy=system_entropy), context="c") == b""


def test_no_two_envelopes_are_alike() -> None:
    """ASVS 11.3.4."""
    assert len({seal(MASTER, b"secret", context="c", entropy=system_entropy) for _ in range(100)}) == 100


def test_every_changed_byte_breaks_the_seal() -> None:
    """ASVS 11.2.5, 11.3.3."""
    envelope = seal(MASTER, b"secret", context="c", entropy=system_entropy)
    for position in range(len(envelope)):
        changed = bytearray(envelope)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            unseal(MASTER, bytes(changed), context="c")


@pytest.mark.parametrize("length", [0, 1, 8, 9, 20, 21, 36, 37, 42])
def test_every_shortened_envelope_is_broken(length: int) -> None:
    envelope = seal(MASTER, b"secret", context="c", entropy=system_entropy)
    with pytest.raises(SealBroken):
        unseal(MASTER, envelope[:length], context="c")


def test_another_row_or_another_key_does_not_open_it() -> None:
    envelope = seal(MASTER, b"secret", context="table/row", entropy=system_entropy)
    with pytest.raises(SealBroken):
        unseal(MASTER, envelope, context="table/other")
    with pytest.raises(SealBroken):
        unseal(MasterKey(bytes(32)), envelope, context="table/row")


def test_an_envelope_names_its_key_and_the_key_hides_itself() -> None:
    assert seal(MASTER, b"secret", context="c", entropy=system_entropy).startswith(MASTER.prefix)
    assert MASTER.id != MasterKey(bytes(32)).id
    assert MASTER.id not in MASTER.secret
    assert repr(MASTER) == "MasterKey()"


def test_the_first_start_makes_a_key_that_only_its_owner_reads(tmp_path: Path) -> None:
    directory = tmp_path / "keys"
    made = load_or_create(directory, None, may_create=True, entropy=system_entropy)
    file = directory / "master.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in directory.iterdir()] == ["master.key"]
    assert load_or_create(directory, None, may_create=False, entropy=system_entropy) == made


def test_a_missing_key_is_not_made_anew_over_sealed_data(tmp_path: Path) -> None:
    with pytest.raises(MasterKeyMissing, match=r"master\.key is missing"):
        load_or_create(tmp_path, None, may_create=False, entropy=system_entropy)
    assert list(tmp_path.iterdir()) == []


def test_a_given_key_comes_before_the_file(tmp_path: Path) -> None:
    load_or_create(tmp_path, None, may_create=True, entropy=system_entropy)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        given = f" {encode(bytes([251] * 32)).decode()}\n"
        key = load_or_create(tmp_path, given, may_create=False, entropy=system_entropy)
        assert key == MasterKey(bytes([251] * 32))


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(bytes(33)).decode(),
        "é" * 43,
        "*" * 43,
        "a b" * 15,
    ],
)
def test_a_malformed_key_is_refused_without_being_shown(tmp_path: Path, given: str) -> None:
    with pytest.raises(MasterKeyMalformed, match="IDP_MASTER_KEY is not 32 bytes") as refused:
        load_or_create(tmp_path, given, may_create=True, entropy=system_entropy)
    assert not given or given not in str(refused.value)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_or_create(tmp_path, None, may_create=True, entropy=system_entropy)
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(MasterKeyMalformed, match="chmod 600"):
        load_or_create(tmp_path, None, may_create=True, entropy=system_entropy)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"not a key\n"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(MasterKeyMalformed, match=r"master\.key"):
        load_or_create(tmp_path, None, may_create=True, entropy=system_entropy)


CREATE = """
import sys
from pathlib import Path
from idp.base.entropy import system_entropy
from idp.base.seal import load_or_create
sys.stdin.readline()
print(load_or_create(Path(sys.argv[1]), None, may_create=True, entropy=system_entropy).id.hex())
"""


async def test_eight_processes_at_once_get_one_key(tmp_path: Path) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", CREATE, str(tmp_path / "keys"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(8)
    ]
    answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    assert len({answer for answer, _ in answers}) == 1
    assert len(answers[0][0].strip()) == 16
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["master.key"]


def test_a_keyed_digest_is_the_same_for_the_same_text_context_and_key_alone() -> None:
    digests = {
        keyed_digest(master, text, context=context)
        for master in (MASTER, MasterKey(b"k" * 32))
        for text in ("123456", "123457", "\ud800")
        for context in ("one", "another")
    }
    assert len(digests) == 12
    assert keyed_digest(MASTER, "123456", context="one") in digests
    assert {len(digest) for digest in digests} == {32}


def test_a_derived_key_is_a_key_of_its_own() -> None:
    """The same each time, another for each purpose, and neither opens what the other has sealed."""
    one, other = derived(MASTER, "one"), derived(MASTER, "other")
    assert one == derived(MASTER, "one")
    assert len({MASTER.secret, one.secret, other.secret}) == len({MASTER.id, one.id, other.id}) == 3
    assert len(one.secret) == 32
    envelope = seal(one, b"text", context="c", entropy=system_entropy)
    assert unseal(one, envelope, context="c") == b"text"
    for key in (MASTER, other):
        with pytest.raises(SealBroken):
            unseal(key, envelope, context="c")
