"""A child process that does not outlive the one that started it."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Loaded here and not in the function: between fork and exec a child had better not open libraries.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(signum: signal.Signals, parent: int) -> None:
    """Have the kernel send `signum` to this process when the thread that forked it ends (prctl(2), Linux only).

    To be called in the child, after any change of user; `parent` is the process id that the caller forked from.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, int(signum))
    # The parent may have died between the fork and the line above: then no signal will ever come.
    if os.getppid() != parent:
        os._exit(1)
