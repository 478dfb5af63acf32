"""Reading the settings from the environment, and from the files that have its secrets."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from idp.base.resources import checkout
from idp.settings.fields import FILE_SUFFIX, is_secret, variable
from idp.settings.secret_files import SecretFileError, read_secret
from idp.settings.settings import Settings

PRIVATE = frozenset({"master_key"})
"""The secrets whose files are for their owner alone, as the master key is where it lies in the keys directory."""


class SettingsError(Exception):
    """The settings cannot be used; `faults` has a sentence for each fault, beginning with the setting's name."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` describes; raise SettingsError with every fault there is.

    An empty variable counts as absent. A secret may be given in a file, by the name of the setting and `_FILE`; one
    that other users can read is a fault.
    """
    secrets, faults = _read_secrets(environ)
    given = {field: text for field in Settings.model_fields if (text := environ.get(variable(field)))}
    home = {"data_dir": str(default_home(environ) / "data")}
    try:
        settings = Settings.model_validate(home | given | secrets)
    except ValidationError as error:
        raise SettingsError([*faults, *_sentences(error)]) from None
    if faults:
        raise SettingsError(faults)
    return settings


def default_home(environ: Mapping[str, str]) -> Path:
    """Return where `data` and `keys` lie unless set: the top of the checkout, or the user's data directory (XDG)."""
    top = checkout()
    if top is not None:
        return top
    given = environ.get("XDG_DATA_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".local" / "share") / "idp"


def _read_secrets(environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The secrets that are given in files, by field, and what is wrong with those files."""
    secrets: dict[str, str] = {}
    faults: list[str] = []
    for field in (field for field, info in Settings.model_fields.items() if is_secret(info)):
        itself = variable(field)
        if not (file := environ.get(itself + FILE_SUFFIX)):
            continue
        if environ.get(itself):
            faults.append(f"{itself}{FILE_SUFFIX}: give either this or {itself}, not both")
            continue
        try:
            secrets[field] = read_secret(Path(file), private=field in PRIVATE)
        except SecretFileError as error:
            faults.append(f"{itself}{FILE_SUFFIX}: {error}")
    return secrets, faults


def _sentences(error: ValidationError) -> list[str]:
    # A default that waits for another field is no fault of its own.
    own = [fault for fault in error.errors(include_url=False) if fault["type"] != "default_factory_not_called"]
    return [_sentence(fault) for fault in own]


def _sentence(fault: ErrorDetails) -> str:
    return f"{variable(str(fault['loc'][0]))}: {fault['msg'].removeprefix('Value error, ')}"
