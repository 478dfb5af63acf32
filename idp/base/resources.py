"""Where the files that are not Python lie: in the wheel, or in the checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def resource(name: str) -> Path:
    """Return the directory `name` (`templates` or `alembic`) of this installation; raise LookupError if it has none."""
    for place in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise LookupError(f"this installation has no directory {name!r}")


def checkout() -> Path | None:
    """Return the top of the checkout that this code runs from, or None when it runs from an installed wheel."""
    top = _PACKAGE.parent
    return top if (top / "pyproject.toml").is_file() and not (_PACKAGE / "_data").is_dir() else None
