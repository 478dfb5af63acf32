"""Parameters as they come over the wire: few, short, single and clean."""

from collections.abc import Iterable

from idp.oauth.errors import InvalidRequest

MOST_PARAMETERS = 64
LONGEST_VALUE = 8192


def single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters by name; those without a value count as left out (RFC 6749 §3.1).

    Raises InvalidRequest for a repeated name (RFC 6749 §3.1: MUST NOT be included more than once), for a control
    character, and for more or longer parameters than any request has.
    """
    parameters: dict[str, str] = {}
    seen: set[str] = set()
    for count, (name, value) in enumerate(pairs, 1):
        if count > MOST_PARAMETERS:
            raise InvalidRequest("Too many parameters.")
        if name in seen:
            raise InvalidRequest("A parameter is included more than once.", detail=name[:64])
        if len(name) > LONGEST_VALUE or len(value) > LONGEST_VALUE:
            raise InvalidRequest("A parameter is too long.", detail=name[:64])
        if has_control(name + value):
            raise InvalidRequest("A parameter has a control character.", detail=repr(name[:64]))
        seen.add(name)
        if value:
            parameters[name] = value
    return parameters


def has_control(text: str) -> bool:
    """Whether a control character is in the text: none belongs into what comes in, and databases refuse NUL."""
    return any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text)


def words(value: str | None) -> tuple[str, ...]:
    """A space-separated list, each word once and in its first place (RFC 6749 §3.3)."""
    return tuple(dict.fromkeys(value.split(" "))) if value else ()
