"""A message to one person, by mail or by SMS."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

Channel: TypeAlias = Literal["mail", "sms"]


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said to whom; ``not_after`` is when it is of no more use, and is dropped instead of sent (F15).

    ``recipient`` is a mail address or an E.164 number, ``kind`` the name of the text, ``attempts`` how many sendings
    were begun. An SMS has no subject.
    """

    id: str
    channel: Channel
    recipient: str = field(repr=False)
    kind: str
    subject: str = field(repr=False)
    text: str = field(repr=False)
    created_at: datetime
    not_after: datetime
    attempts: int = 0
