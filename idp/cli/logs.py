"""The log of the server: one line an entry, for machines or for people (ASVS 16.2.4)."""

import logging
import os
import sys
from pathlib import Path

from structlog.contextvars import merge_contextvars
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import ProcessorFormatter, add_log_level, add_logger_name
from structlog.typing import Processor

CONFIGURATION = Path(__file__).with_name("logging.json")
"""For uvicorn, which all its processes read: where log entries go, and that `formatter` makes their lines."""

_COMMON: tuple[Processor, ...] = (
    merge_contextvars,
    add_log_level,
    add_logger_name,
    TimeStamper(fmt="iso", utc=True),
)


def formatter() -> logging.Formatter:
    """What IDP_LOG_FORMAT asks for: JSON unless the log goes to a terminal."""
    is_terminal = sys.stderr.isatty()
    wanted = os.environ.get("IDP_LOG_FORMAT") or ("text" if is_terminal else "json")
    # JSON is kept to ASCII: whatever somebody sent ends no line and moves no cursor (ASVS 16.4.1).
    rendered: tuple[Processor, ...] = (
        # A prettier traceback would show the variables of each frame: passwords, codes, tokens.
        (ConsoleRenderer(colors=is_terminal, exception_formatter=plain_traceback),)
        if wanted == "text"
        else (format_exc_info, JSONRenderer())
    )
    return ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, *rendered], foreign_pre_chain=_COMMON
    )
