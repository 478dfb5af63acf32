"""What is wrong with settings."""

import pytest

from idp.settings import SettingsError, load_settings


def faults(environ: dict[str, str]) -> list[str]:
    """The sentences with which these settings are refused."""
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.faults
