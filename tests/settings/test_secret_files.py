"""Who else can read a file that holds a secret."""

from pathlib import Path

import pytest

from idp.settings.secret_files import is_exposed

HOME, CONTAINER = Path("/home/idp/secret"), Path("/run/secrets/mail_url")


@pytest.mark.parametrize(
    ("path", "mode", "owner", "private", "exposed"),
    [
        (HOME, 0o600, 1000, True, False),
        (HOME, 0o640, 1000, True, True),
        (HOME, 0o640, 1000, False, False),
        (HOME, 0o644, 1000, False, True),
        (HOME, 0o644, 0, False, True),
        (CONTAINER, 0o444, 0, False, False),
        (CONTAINER, 0o446, 0, False, True),
        (CONTAINER, 0o444, 1000, False, True),
        (CONTAINER, 0o444, 0, True, True),
        (CONTAINER, 0o400, 0, True, False),
        (Path("/run/secrets-of-others/mail_url"), 0o444, 0, False, True),
    ],
)
def test_who_can_read_it(path: Path, mode: int, owner: int, private: bool, exposed: bool) -> None:
    """The master key is for its owner alone everywhere; the others may lie where container runtimes put them."""
    assert is_exposed(path, mode, owner, private=private) is exposed
