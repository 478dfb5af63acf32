"""What an operator may set: `IDP_*` of the environment, read in one place and checked as a whole."""

from idp.settings.reading import SettingsError, load_settings
from idp.settings.settings import Settings

__all__ = ["Settings", "SettingsError", "load_settings"]
