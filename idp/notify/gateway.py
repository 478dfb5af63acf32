"""What a gateway is: something that takes a message, or says that it has not."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from idp.model.message import Message

Gateway: TypeAlias = Callable[[Message], Awaitable[None]]
"""Hands a message over, once; raises NotTaken."""


class NotTaken(Exception):
    """The gateway has not taken the message; ``final`` says that it never will.

    The text is for the log: it names neither the person nor anything of what was to be said.
    """

    def __init__(self, fault: str, *, final: bool = False) -> None:
        super().__init__(fault)
        self.final = final
