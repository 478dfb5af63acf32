"""URIs as the protocol compares and extends them: exact strings, never parsed and put together again."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode, urlsplit

LOOPBACK_HOSTS = ("127.0.0.1", "[::1]")


def matches(registered: str, given: str) -> bool:
    """Whether a redirect URI is the registered one: equal as a string, but for a loopback port.

    RFC 9700 §2.1 (exact matching) and RFC 8252 §7.3 (any port on a loopback IP address, never on ``localhost``).
    """
    if registered == given:
        return True
    stem = _without_loopback_port(registered)
    return stem is not None and stem == _without_loopback_port(given)


def _without_loopback_port(uri: str) -> tuple[str, str] | None:
    for host in LOOPBACK_HOSTS:
        stem = f"http://{host}"
        if not uri.startswith(stem):
            continue
        authority, slash, path = uri[len(stem) :].partition("/")
        if authority == "":
            return stem, slash + path
        # A port is 1 to 65535 in plain digits: 0 means "any" to an operating system and names no listener.
        digits = authority[1:]
        plain = digits.isascii() and digits.isdigit() and len(digits) <= 5 and not digits.startswith("0")
        well_formed = authority[0] == ":" and plain
        if well_formed and 1 <= int(digits) <= 65535:
            return stem, slash + path
    return None


def with_parameters(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The URI with the parameters added to its query, and what was there kept (RFC 6749 §3.1.2)."""
    query = urlencode(list(parameters))
    if not query:
        return uri
    if "?" not in uri:
        return f"{uri}?{query}"
    return uri + query if uri.endswith(("?", "&")) else f"{uri}&{query}"


def is_loopback(host: str | None) -> bool:
    """Whether a host name stays on this machine (RFC 8252 §7.3; ``localhost`` for development)."""
    return host in {"localhost", "127.0.0.1", "::1"}


def origin(uri: str) -> str:
    """``scheme://host[:port]`` of a web URI, such as the issuer, that was found well-formed."""
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


_HOST_SOURCE = re.compile(
    r"https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?(?=[/?#]|\Z)", re.ASCII | re.IGNORECASE
)
_SCHEME_SOURCE = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)


def csp_source(uri: str) -> str | None:
    """What a content security policy calls the place of this URI, or None where no policy can name it.

    ``scheme://host[:port]`` of a web URI, ``scheme:`` of any other: applications own a private-use scheme whole, and
    what else such a URI holds is no part of a policy (Content Security Policy Level 3 §2.3.1). Nothing but letters,
    digits and the signs of a host ever comes out of here.
    """
    found = _HOST_SOURCE.match(uri) or _SCHEME_SOURCE.match(uri)
    return found[0] if found else None


def query_names(uri: str) -> set[str]:
    """The decoded names of the parameters in a URI's query."""
    return {name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}


def local_path(target: str | None, default: str) -> str:
    """The target if it is a path on this very server, else the default: no open redirect (RFC 9700 §4.11)."""
    if target is None or not target.startswith("/") or target.startswith(("//", "/\\")):
        return default
    if any(ord(char) < 0x21 or char == "\\" or ord(char) > 0x7E for char in target):
        return default
    return target
