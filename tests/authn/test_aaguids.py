"""The names of makes."""

import json
from pathlib import Path
from uuid import UUID

from idp.authn import aaguids
from idp.authn.aaguids import Make, make_of
from idp.authn.methods import webauthn
from idp.store.database import Connection
from tests.authn.authenticator import Authenticator
from tests.authn.people import NOW, add_user, tools

LISTED = json.loads(Path(aaguids.__file__).with_name("aaguids.json").read_text())
BITWARDEN = UUID("d548826e-79b4-db40-a3d8-11116f7e8349")


def test_each_make_has_an_id_a_name_and_a_kind() -> None:
    assert {make["kind"] for make in LISTED.values()} == {"platform", "manager", "key"}
    assert all(str(UUID(aaguid)) == aaguid for aaguid in LISTED)
    assert all(make["name"].strip() == make["name"] != "" and make["name"].isprintable() for make in LISTED.values())


def test_what_says_nothing_or_is_not_known_has_no_name() -> None:
    assert make_of(str(UUID(int=0))) is None
    assert make_of(str(UUID(int=1))) is None
    assert make_of("fbfc3007-154e-4ecc-8c0b-6e020557d7bd") == Make("iCloud Keychain", "platform")


async def test_a_new_passkey_is_called_after_its_make_unless_it_is_given_a_name(conn: Connection) -> None:
    alice, names, with_ = await add_user(conn), [], tools()
    for number, (aaguid, typed) in enumerate([(BITWARDEN.bytes, " "), (BITWARDEN.bytes, "Mine"), (bytes(16), "")]):
        device = Authenticator(aaguid=aaguid, credential_id=b"credential no. %d" % number)
        response = device.make(b"c" * 32, user_handle=alice.sub.encode())
        registered = await webauthn.register(conn, alice, response, b"c" * 32, with_, NOW, name=typed)
        names.append(getattr(registered, "name", registered))
    assert names == ["Bitwarden", "Mine", "Passkey"]
