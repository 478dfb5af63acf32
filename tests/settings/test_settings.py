"""The defaults, and what settings ask of one another."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from idp.settings import load_settings
from tests.settings.faults import faults


def test_without_any_setting_there_is_a_sensible_one_for_each() -> None:
    settings = load_settings({})
    assert settings.issuer == "http://localhost:8000"
    assert settings.database_url is None
    assert settings.keys_dir == settings.data_dir.parent / "keys"
    assert (settings.access_token_life, settings.key_life) == (timedelta(minutes=10), timedelta(days=90))
    assert settings.rsa_bits == 3072


def test_the_issuer_follows_the_port_and_the_keys_lie_beside_the_data() -> None:
    settings = load_settings({"IDP_PORT": "9000", "IDP_DATA_DIR": "/srv/one/data"})
    assert settings.issuer == "http://localhost:9000"
    assert settings.keys_dir == Path("/srv/one/keys")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).port = 1


def test_text_messages_stay_in_the_outbox_of_a_developer_alone() -> None:
    assert load_settings({"IDP_SMS_URL": "outbox:"}).methods_off == {"email"}
    [fault] = faults({"IDP_SMS_URL": "outbox:", "IDP_ISSUER": "https://id.example.com"})
    assert fault == "IDP_SMS_URL: outbox: is for a loopback issuer alone"


LIVES = {"IDP_REFRESH_TOKEN_LIFE": "2d", "IDP_SESSION_LIFE": "2d"}


@pytest.mark.parametrize("idle", ["IDP_REFRESH_TOKEN_IDLE", "IDP_SESSION_IDLE"])
def test_what_is_unused_lasts_no_longer_than_what_is_used(idle: str) -> None:
    load_settings({**LIVES, idle: "2d"})
    [fault] = faults({**LIVES, idle: "172801"})
    assert fault == f"{idle}: give at most {idle.replace('_IDLE', '_LIFE')}"


def test_a_key_signs_for_longer_than_it_was_announced() -> None:
    announced = {"IDP_JWKS_MAX_AGE": "2h", "IDP_KEY_PROPAGATION": "1h"}
    load_settings({**announced, "IDP_KEY_LIFE": "3h"})
    [fault] = faults({**announced, "IDP_KEY_LIFE": "10799"})
    assert fault == "IDP_KEY_LIFE: give at least IDP_JWKS_MAX_AGE and IDP_KEY_PROPAGATION together"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("IDP_RATE_LIMITS", "off"), ("IDP_ALLOW_LOOPBACK_FETCH", "on"), ("IDP_SMS_URL", "outbox:")],
)
def test_what_is_for_test_rigs_is_refused_in_public(setting: str, value: str) -> None:
    for issuer in ("http://localhost:8000", "http://127.9.9.9", "https://[::1]"):
        load_settings({setting: value, "IDP_ISSUER": issuer})
    for issuer in ("https://id.example.com", "https://localhost.example.com", "https://10.0.0.1"):
        assert faults({setting: value, "IDP_ISSUER": issuer}) == [f"{setting}: {value} is for a loopback issuer alone"]
    # An issuer that is none vouches for nothing.
    assert len(faults({setting: value, "IDP_ISSUER": "http://localhost/"})) == 2
