"""The settings: what is taken, what is refused, and that every fault is told."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from idp.base.resources import checkout
from idp.settings import Settings, SettingsError, default_home, load_settings, settings_document


def faults(environ: dict[str, str]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.faults


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


def test_an_empty_variable_and_one_of_others_count_as_absent() -> None:
    assert load_settings({"IDP_ISSUER": "", "IDP_UNKNOWN": "1", "PATH": "/bin"}) == load_settings({})


def test_trusted_proxies_are_addresses_and_networks() -> None:
    assert load_settings({}).trusted_proxies == ()
    settings = load_settings({"IDP_TRUSTED_PROXIES": "10.0.0.1, 192.0.2.0/24,2001:db8::/32"})
    assert list(map(str, settings.trusted_proxies)) == ["10.0.0.1/32", "192.0.2.0/24", "2001:db8::/32"]


@pytest.mark.parametrize("value", ["proxy.test", "10.0.0.1/8", "10.0.0.1,,10.0.0.2", "*", "0.0.0.0/0", "::/0"])
def test_what_is_no_proxy_is_refused(value: str) -> None:
    [fault] = faults({"IDP_TRUSTED_PROXIES": value})
    assert fault.startswith("IDP_TRUSTED_PROXIES: ")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_settings({}).port = 1


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


def test_every_fault_is_told_at_once_and_no_secret_is_repeated() -> None:
    told = faults(
        {
            "IDP_PORT": "x",
            "IDP_RSA_BITS": "1024",
            "IDP_DATABASE_URL": "mysql://u:hunter2@h/d",
            "IDP_MASTER_KEY_FILE": "/nonexistent",
            "IDP_SESSION_IDLE": "2d",
            "IDP_REFRESH_TOKEN_IDLE": "31d",
            "IDP_KEY_LIFE": "1h",
        }
    )
    assert sorted(fault.partition(":")[0] for fault in told) == [
        "IDP_DATABASE_URL",
        "IDP_KEY_LIFE",
        "IDP_MASTER_KEY_FILE",
        "IDP_PORT",
        "IDP_REFRESH_TOKEN_IDLE",
        "IDP_RSA_BITS",
        "IDP_SESSION_IDLE",
    ]
    assert "hunter2" not in "".join(told)


def test_a_secret_may_lie_in_a_file_and_never_shows_itself(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://u:hunter2@h/d\n")
    settings = load_settings({"IDP_DATABASE_URL_FILE": str(file)})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a")
    [fault] = faults({"IDP_MASTER_KEY": "b", "IDP_MASTER_KEY_FILE": str(file)})
    assert fault.startswith("IDP_MASTER_KEY_FILE: ")


def test_a_gateway_for_text_messages_is_one_that_sends_them() -> None:
    assert load_settings({}).methods_off == {"sms", "email"}
    given = load_settings({"IDP_SMS_URL": "json://user:hunter2@sms.example/send", "IDP_EMAIL_CODES": "on"})
    assert given.methods_off == set()
    assert "hunter2" not in repr(given)
    for address in ("smtp://mail.example", "nonsense", "twilio://a:b@c", "outbox:x"):
        assert faults({"IDP_SMS_URL": address})[0].startswith("IDP_SMS_URL: ")


def test_text_messages_stay_in_the_outbox_of_a_developer_alone() -> None:
    assert load_settings({"IDP_SMS_URL": "outbox:"}).methods_off == {"email"}
    [fault] = faults({"IDP_SMS_URL": "outbox:", "IDP_ISSUER": "https://id.example.com"})
    assert fault == "IDP_SMS_URL: outbox: is for a loopback issuer alone"


def test_a_checkout_keeps_its_data_in_itself() -> None:
    assert default_home({"XDG_DATA_HOME": "/elsewhere"}) == checkout() == Path(__file__).parents[1]


def test_the_document_is_what_the_code_says() -> None:
    document = (Path(__file__).parents[1] / "docs" / "settings.md").read_text()
    assert document == settings_document(), "make docs"
    assert all(f"`IDP_{field.upper()}`" in document for field in Settings.model_fields)


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
