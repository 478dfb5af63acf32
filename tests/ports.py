"""Ports for servers of tests."""

import contextlib
import os
import socket

_LOWEST, _HIGHEST = 20_000, 32_767
"""Below those that outgoing connections get: one of these could have the port before its server does, or comes back."""
_next = _LOWEST + os.getpid() * 997 % (_HIGHEST - _LOWEST)


def free_port() -> int:
    """A port that nobody listens on, and that this process has not been given of late."""
    global _next
    for _ in range(_HIGHEST - _LOWEST):
        _next = _LOWEST if _next >= _HIGHEST else _next + 1
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", _next))
            return _next
    raise AssertionError("no free port")
