from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from idp.authn.assurance import assess
from idp.model.assurance import Evidence

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = Evidence("password", AT)
APP = Evidence("totp", AT, "app")
OTHER_APP = Evidence("totp", AT, "other app")
KEY = Evidence("webauthn", AT, "key", device_bound=True)
TRUSTED_KEY = Evidence("webauthn", AT, "trusted key", device_bound=True, attested=True)
TRUSTED_KEY_WITH_PIN = Evidence("webauthn", AT, "trusted key", user_verified=True, device_bound=True, attested=True)
KEY_WITH_PIN = Evidence("webauthn", AT, "key", user_verified=True, device_bound=True)
PASSKEY = Evidence("webauthn", AT, "passkey", user_verified=True)
ATTESTED_PASSKEY = Evidence("webauthn", AT, "passkey", user_verified=True, attested=True)

TABLE = {
    "password": ((PASSWORD,), "1fa", "pwd"),
    "password twice": ((PASSWORD, PASSWORD), "1fa", "pwd"),
    "one app": ((APP,), "1fa", "otp"),
    "the same app twice": ((APP, APP), "1fa", "otp"),
    "two apps are one factor": ((APP, OTHER_APP), "1fa", "otp"),
    "password and app": ((PASSWORD, APP), "mfa", "pwd otp mfa"),
    "key without verification": ((KEY,), "1fa", "hwk user"),
    "app and key without verification are possession twice": ((APP, KEY), "1fa", "otp hwk user"),
    "password and key": ((PASSWORD, KEY), "phr", "pwd hwk user mfa"),
    "password, app and key": ((PASSWORD, APP, KEY), "phr", "pwd otp hwk user mfa"),
    "key with a PIN alone": ((KEY_WITH_PIN,), "phr", "hwk user mfa"),
    "passkey alone": ((PASSKEY,), "phr", "swk user mfa"),
    "app and passkey": ((APP, PASSKEY), "phr", "otp swk user mfa"),
    "password and passkey": ((PASSWORD, PASSKEY), "phr", "pwd swk user mfa"),
    "password and trusted key": ((PASSWORD, TRUSTED_KEY), "phrh", "pwd hwk user mfa"),
    "trusted key with a PIN": ((TRUSTED_KEY_WITH_PIN,), "phrh", "hwk user mfa"),
    "trusted key alone": ((TRUSTED_KEY,), "1fa", "hwk user"),
    "attested but synchronised": ((ATTESTED_PASSKEY,), "phr", "swk user mfa"),
    "attested and bound, but not the same one": ((ATTESTED_PASSKEY, KEY), "phr", "hwk swk user mfa"),
    "a method that is no more": ((PASSWORD, Evidence("smoke", AT)), "1fa", "pwd"),
}


@pytest.mark.parametrize(("evidence", "acr", "amr"), TABLE.values(), ids=TABLE)
def test_acr_and_amr_say_what_was_used_in_whatever_order(evidence: tuple[Evidence, ...], acr: str, amr: str) -> None:
    for order in permutations(evidence):
        found = assess(order)
        assert found is not None
        assert (found.acr, " ".join(found.amr)) == (acr, amr)


def test_nothing_proves_nothing() -> None:
    assert assess(()) is None
    assert assess([Evidence("smoke", AT)]) is None


def test_the_time_is_that_of_the_latest_use() -> None:
    later = Evidence("totp", AT + timedelta(minutes=5), "app")
    found = assess((later, PASSWORD))
    assert found is not None
    assert found.auth_time == later.at
