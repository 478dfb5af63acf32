"""What each kind of value takes, and what it refuses."""

from datetime import timedelta
from pathlib import Path

import pytest

from idp.settings import load_settings
from tests.settings.faults import faults


def test_trusted_proxies_are_addresses_and_networks() -> None:
    assert load_settings({}).trusted_proxies == ()
    settings = load_settings({"IDP_TRUSTED_PROXIES": "10.0.0.1, 192.0.2.0/24,2001:db8::/32"})
    assert list(map(str, settings.trusted_proxies)) == ["10.0.0.1/32", "192.0.2.0/24", "2001:db8::/32"]


@pytest.mark.parametrize("value", ["proxy.test", "10.0.0.1/8", "10.0.0.1,,10.0.0.2", "*", "0.0.0.0/0", "::/0"])
def test_what_is_no_proxy_is_refused(value: str) -> None:
    [fault] = faults({"IDP_TRUSTED_PROXIES": value})
    assert fault.startswith("IDP_TRUSTED_PROXIES: ")


@pytest.mark.parametrize(
    "issuer",
    [
        "https://id.example.com",
        "https://id.example.com:8443",
        "https://example.com/tenant/one",
        "http://localhost:8000",
        "http://127.0.0.1",
        "http://127.9.9.9:1",
        "http://[::1]:8000",
    ],
)
def test_an_issuer_is_kept_as_it_is_written(issuer: str) -> None:
    assert load_settings({"IDP_ISSUER": issuer}).issuer == issuer


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [
        pytest.param("http://id.example.com", "https", id="Core-16.17-plain-http"),
        pytest.param("http://localhost.example.com", "https", id="not-localhost"),
        pytest.param("http://10.0.0.1", "https", id="not-loopback"),
        pytest.param("https://id.example.com?a=b", "no query", id="RFC8414-2-query"),
        pytest.param("https://id.example.com?", "no query", id="RFC8414-2-empty-query"),
        pytest.param("https://id.example.com#f", "no fragment", id="RFC8414-2-fragment"),
        pytest.param("https://id.example.com/", "slash", id="slash"),
        pytest.param("https://user@id.example.com", "of the form", id="user"),
        pytest.param("https://", "of the form", id="no-host"),
        pytest.param("ftp://id.example.com", "of the form", id="scheme"),
        pytest.param("id.example.com", "of the form", id="no-scheme"),
        pytest.param("https://id.example.com:99999", "port", id="port"),
        pytest.param("https://id example.com", "spaces", id="space"),
        pytest.param("https://idé.example.com", "ASCII", id="not-ascii"),
    ],
)
def test_an_issuer_that_no_client_could_compare_is_refused(issuer: str, reason: str) -> None:
    [fault] = faults({"IDP_ISSUER": issuer})
    assert fault.startswith("IDP_ISSUER: ")
    assert reason in fault


@pytest.mark.parametrize(
    ("text", "life"),
    [
        ("90", timedelta(seconds=90)),
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_durations_are_seconds_or_carry_their_unit(text: str, life: timedelta) -> None:
    assert load_settings({"IDP_ACCESS_TOKEN_LIFE": text}).access_token_life == life


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1w", "ten", "4000d", "999999999d"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    [fault] = faults({"IDP_ACCESS_TOKEN_LIFE": text})
    assert fault.startswith("IDP_ACCESS_TOKEN_LIFE: ")


def test_a_gateway_for_text_messages_is_one_that_sends_them() -> None:
    assert load_settings({}).methods_off == {"sms", "email"}
    given = load_settings({"IDP_SMS_URL": "json://user:hunter2@sms.example/send", "IDP_EMAIL_CODES": "on"})
    assert given.methods_off == set()
    assert "hunter2" not in repr(given)
    for address in ("smtp://mail.example", "nonsense", "twilio://a:b@c", "outbox:x"):
        assert faults({"IDP_SMS_URL": address})[0].startswith("IDP_SMS_URL: ")


def test_related_origins_are_exact_and_have_few_names() -> None:
    listed = "https://id.example.de, https://example.co.uk,https://example.com.au:8443,https://id.example.com"
    settings = load_settings({"IDP_RELATED_ORIGINS": listed})
    assert settings.related_origins == tuple(map(str.strip, listed.split(",")))
    assert load_settings({}).related_origins == ()
    five = ",".join(f"https://name{number}.test,https://www.name{number}.example" for number in range(5))
    assert len(load_settings({"IDP_RELATED_ORIGINS": five}).related_origins) == 10
    [fault] = faults({"IDP_RELATED_ORIGINS": f"{five},https://name5.test"})
    assert fault == "IDP_RELATED_ORIGINS: 6 different names are more than 5"


@pytest.mark.parametrize(
    "value",
    [
        "http://id.example.de",
        "https://id.example.de/",
        "https://id.example.de:443",
        "https://user@id.example.de",
        "https://ID.example.de",
        "https://*.example.de",
        "https://id.example.de:x",
        "https://localhost",
        "id.example.de",
        "null",
        "https://id.example.de,,https://id.example.com",
    ],
)
def test_what_is_no_related_origin_is_refused(value: str) -> None:
    [fault] = faults({"IDP_RELATED_ORIGINS": value})
    assert fault.startswith("IDP_RELATED_ORIGINS: ")


def test_attestation_roots_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.pem"):
        [fault] = faults({"IDP_ATTESTATION_ROOTS": str(path)})
        assert fault.startswith(f"IDP_ATTESTATION_ROOTS: {path} ")


def test_a_key_is_of_a_size_that_is_in_use() -> None:
    assert load_settings({"IDP_RSA_BITS": "4096"}).rsa_bits == 4096
    assert faults({"IDP_RSA_BITS": "3000"}) == ["IDP_RSA_BITS: give 2048, 3072 or 4096"]


def test_the_audit_trail_outlasts_those_who_read_it() -> None:
    assert load_settings({"IDP_AUDIT_LIFE": "90d"}).audit_life == timedelta(days=90)
    assert faults({"IDP_AUDIT_LIFE": "89d"}) == ["IDP_AUDIT_LIFE: give at least 90d"]


def test_a_delay_leaves_a_day_or_is_none() -> None:
    assert load_settings({"IDP_FACTOR_RECOVERY_DELAY": "off"}).factor_recovery_delay == timedelta(0)
    assert load_settings({"IDP_FACTOR_RECOVERY_DELAY": "24h"}).factor_recovery_delay == timedelta(days=1)
    assert faults({"IDP_FACTOR_RECOVERY_DELAY": "86399"}) == ["IDP_FACTOR_RECOVERY_DELAY: give at least 24h, or off"]


@pytest.mark.parametrize("setting", ["IDP_DATA_DIR", "IDP_KEYS_DIR"])
def test_a_change_of_directory_moves_no_data(setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({setting: "here"})
    assert getattr(settings, setting.removeprefix("IDP_").lower()) == tmp_path / "here"
