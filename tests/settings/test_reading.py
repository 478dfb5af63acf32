"""What the environment and the files of secrets say, and that every fault is told."""

from pathlib import Path

import pytest

from idp.base.resources import checkout
from idp.settings import load_settings
from idp.settings.reading import default_home
from tests.settings.faults import faults


def test_an_empty_variable_and_one_of_others_count_as_absent() -> None:
    assert load_settings({"IDP_ISSUER": "", "IDP_UNKNOWN": "1", "PATH": "/bin"}) == load_settings({})


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
    file.chmod(0o640)
    settings = load_settings({"IDP_DATABASE_URL_FILE": str(file)})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("IDP_MASTER_KEY", 0o640),
        ("IDP_MASTER_KEY", 0o604),
        ("IDP_MASTER_KEY", 0o620),
        ("IDP_DATABASE_URL", 0o644),
        ("IDP_DATABASE_URL", 0o602),
        ("IDP_MAIL_URL", 0o444),
        ("IDP_SMS_URL", 0o606),
    ],
)
def test_a_secret_file_that_others_can_read_or_change_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    """With the command that mends it; what is in it is not told."""
    file = tmp_path / "a secret"
    file.write_text("hunter2")
    file.chmod(mode)
    [fault] = faults({f"{name}_FILE": str(file)})
    assert fault == f"{name}_FILE: {file} is open to other users: run `chmod 600 '{file}'`"


@pytest.mark.parametrize(
    ("name", "mode"), [("IDP_MASTER_KEY", 0o600), ("IDP_MASTER_KEY", 0o400), ("IDP_MAIL_URL", 0o440)]
)
def test_a_secret_file_for_those_who_need_it_is_read(tmp_path: Path, name: str, mode: int) -> None:
    """The group may be that of a volume, which is how a server without root reads one (``fsGroup``)."""
    file = tmp_path / "secret"
    file.write_text("c" * 43 + "=" if name == "IDP_MASTER_KEY" else "smtp://mail.example")
    file.chmod(mode)
    assert load_settings({f"{name}_FILE": str(file)})


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a")
    [fault] = faults({"IDP_MASTER_KEY": "b", "IDP_MASTER_KEY_FILE": str(file)})
    assert fault.startswith("IDP_MASTER_KEY_FILE: ")


def test_a_checkout_keeps_its_data_in_itself() -> None:
    assert default_home({"XDG_DATA_HOME": "/elsewhere"}) == checkout() == Path(__file__).parents[2]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    (tmp_path / "key").chmod(0o600)
    for name, reason in (("key", "not text"), ("none", "No such file or directory")):
        [fault] = faults({"IDP_MASTER_KEY_FILE": str(tmp_path / name)})
        assert fault == f"IDP_MASTER_KEY_FILE: {tmp_path / name} cannot be read ({reason})"
