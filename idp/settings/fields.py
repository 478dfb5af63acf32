"""How a setting is declared: its section of docs/settings.md, its default, what it means, and its variable."""

from dataclasses import dataclass
from typing import Any, get_args

from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo

PREFIX = "IDP_"
FILE_SUFFIX = "_FILE"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of docs/settings.md."""

    title: str

    def setting(self, default: Any, meaning: str, *, shown: str | None = None) -> Any:
        """A field below this heading.

        A ``default`` that is a function is called with the fields above, and ``...`` stands for a value that is always
        given. ``shown`` is what the document says in place of the default.
        """
        described: dict[str, Any] = {
            "description": meaning,
            "json_schema_extra": {"section": self.title, "shown": shown},
        }
        return Field(default_factory=default, **described) if callable(default) else Field(default, **described)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def is_secret(info: FieldInfo) -> bool:
    """Whether the field is a secret, which may be given in a file too."""
    return any(getattr(kind, "__origin__", kind) is SecretStr for kind in get_args(info.annotation))
