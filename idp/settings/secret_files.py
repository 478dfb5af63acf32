"""Files that hold a secret: who else can read them."""

import os
import shlex
import stat
from pathlib import Path

CONTAINER_SECRETS = Path("/run/secrets")
"""Where container runtimes put secrets: root's, with mode 0444 unless told otherwise, in a memory that only the one
container sees."""


class SecretFileError(Exception):
    """The file cannot be used; the message begins with its path and says why, for the operator, and what mends it."""


def read_secret(path: Path, *, private: bool) -> str:
    """The text in the file without the space around it; raises SecretFileError.

    A ``private`` file is for its owner alone; of any other the group may have a part. Who may read is looked up of the
    file that was opened, so that it cannot be exchanged in between.
    """
    try:
        with path.open() as file:
            status, text = os.fstat(file.fileno()), file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"{path} cannot be read ({getattr(error, 'strerror', None) or 'not text'})") from None
    if is_exposed(path.resolve(), stat.S_IMODE(status.st_mode), status.st_uid, private=private):
        raise SecretFileError(f"{path} is open to other users: run `chmod 600 {shlex.quote(str(path))}`")
    return text.strip()


def is_exposed(path: Path, mode: int, owner: int, *, private: bool) -> bool:
    """Whether others than those for whom it is can read or change the file of this mode, owner and real path."""
    if private:
        return bool(mode & 0o077)
    if owner == 0 and not mode & 0o022 and path.is_relative_to(CONTAINER_SECRETS):
        return False
    return bool(mode & 0o007)
