"""docs/settings.md, as the code says it."""

from datetime import timedelta
from typing import Any

from pydantic.fields import FieldInfo

from idp.settings.fields import FILE_SUFFIX, is_secret, variable
from idp.settings.settings import Settings


def settings_document() -> str:
    """Return the text of docs/settings.md."""
    sections = _sections()
    contents = " · ".join(f"[{title}](#{_anchor(title)})" for title in sections)
    tables = "\n".join(_table(title, rows) for title, rows in sections.items())
    return f"""# Settings

Everything is set by environment variables, for `idp serve` and for every other command alike. Each has a default, an
empty variable counts as absent, and wrong settings stop the start with every fault listed. Durations are seconds, or a
number with `s`, `m`, `h` or `d`. The settings with a `{FILE_SUFFIX}` form take the value from that file instead.

This page is generated from `idp/settings/settings.py` by `make docs`.

{contents}

{tables}"""


def _sections() -> dict[str, list[str]]:
    """The rows below each heading, both in the order of the fields."""
    sections: dict[str, list[str]] = {}
    for field, info in Settings.model_fields.items():
        sections.setdefault(_extra(info)["section"], []).append(_row(field, info))
    return sections


def _table(title: str, rows: list[str]) -> str:
    head = f"## {title}\n\n| setting | default | meaning |\n|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in rows)


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _row(field: str, info: FieldInfo) -> str:
    forms = [variable(field), *([variable(field) + FILE_SUFFIX] if is_secret(info) else [])]
    return f"| {', '.join(f'`{form}`' for form in forms)} | {_default(info)} | {info.description} |"


def _default(info: FieldInfo) -> str:
    if shown := _extra(info)["shown"]:
        return str(shown)
    if info.default in (None, ()):
        return "none"
    return f"`{_shortest(info.default) if isinstance(info.default, timedelta) else info.default}`"


def _extra(info: FieldInfo) -> dict[str, Any]:
    """What `Section.setting` has put there."""
    if not isinstance(info.json_schema_extra, dict):
        raise TypeError("every setting is declared by Section.setting")
    return info.json_schema_extra


def _shortest(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
