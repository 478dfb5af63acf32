"""What the environment and the files of secrets say, and that every fault is told."""

from pathlib import Path

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
    settings = load_settings({"IDP_DATABASE_URL_FILE": str(file)})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:hunter2@h/d"
    assert "hunter2" not in repr(settings)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("a")
    [fault] = faults({"IDP_MASTER_KEY": "b", "IDP_MASTER_KEY_FILE": str(file)})
    assert fault.startswith("IDP_MASTER_KEY_FILE: ")


def test_a_checkout_keeps_its_data_in_itself() -> None:
    assert default_home({"XDG_DATA_HOME": "/elsewhere"}) == checkout() == Path(__file__).parents[2]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    for name, reason in (("key", "not text"), ("none", "No such file or directory")):
        [fault] = faults({"IDP_MASTER_KEY_FILE": str(tmp_path / name)})
        assert fault == f"IDP_MASTER_KEY_FILE: {tmp_path / name} cannot be read ({reason})"
