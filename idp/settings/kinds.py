"""The kinds of values that settings have: each is a type with its check.

A check gets a text of the environment, raises ValueError with a sentence for the operator that repeats no secret, and
looks at nothing but its value: what depends on other settings is checked in `idp.settings.settings`. Defaults are not
checked.
"""

import ipaddress
import re
from collections.abc import Callable
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from idp.authn.attestation import read_roots
from idp.base.colour import is_colour
from idp.base.picture import read_picture
from idp.notify.addresses import check_address, check_sms_address

T = TypeVar("T")

# Choices and numbers

Switch = Literal["on", "off"]
Level = Literal["mfa", "phr", "phrh"]
SignUp = Literal["open", "invite", "off"]
LogFormat = Literal["json", "text"]
Port = Annotated[int, Field(ge=1, le=65535)]
TrustDays = Annotated[int, Field(ge=0, le=90)]
Name = Annotated[str, Field(min_length=1, max_length=60)]


def _checked_rsa_bits(bits: int) -> int:
    if bits not in (2048, 3072, 4096):
        raise ValueError("give 2048, 3072 or 4096")
    return bits


def _checked_colour(text: str) -> str:
    if not is_colour(text := text.lower()):
        raise ValueError("give a colour like #0a5c4c")
    return text


RsaBits = Annotated[int, AfterValidator(_checked_rsa_bits)]
Colour = Annotated[str, AfterValidator(_checked_colour)]

# Durations

_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _duration(text: str) -> timedelta:
    matched = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text.strip(), re.ASCII)
    if matched is None:
        raise ValueError("give seconds, or a number with s, m, h or d")
    return timedelta(**{_UNITS[matched[2]]: int(matched[1])})


def _delay(text: str) -> timedelta:
    return timedelta(0) if text == "off" else _duration(text)


def _leaves_time_to_object(delay: timedelta) -> timedelta:
    if timedelta(0) < delay < timedelta(hours=24):
        raise ValueError("give at least 24h, or off")
    return delay


def _outlasts_its_readers(life: timedelta) -> timedelta:
    if life < timedelta(days=90):
        raise ValueError("give at least 90d")
    return life


Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0), le=timedelta(days=3650))]
AuditLife = Annotated[Duration, AfterValidator(_outlasts_its_readers)]
Grace = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0), le=timedelta(days=90))]
Delay = Annotated[
    timedelta,
    BeforeValidator(_delay),
    Field(ge=timedelta(0), le=timedelta(days=30)),
    AfterValidator(_leaves_time_to_object),
]
"""A time to wait, or `off`, which is none."""

# Addresses on the web


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine; raises ValueError for what is no URL."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _checked_issuer(url: str) -> str:
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError("give a URL without spaces and of ASCII characters alone")
    parts = urlsplit(url)
    try:
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the port is not a number from 0 to 65535") from None
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise ValueError("give a URL of the form https://host or https://host/path")
    if parts.scheme == "http" and not is_loopback(url):
        raise ValueError("http:// is for localhost and loopback addresses only: give an https:// URL")
    # OpenID Connect Discovery 1.0 §3 and RFC 8414 §2: no query and no fragment; not even an empty one.
    if "?" in url or "#" in url:
        raise ValueError("an issuer has no query and no fragment")
    if url.endswith("/"):
        raise ValueError("leave out the slash at the end")
    return url


def _checked_link(url: str) -> str:
    if not re.fullmatch(r"(https://[^/\\?#@\s]+|/(?![/\\]))[!-~]*", url):
        raise ValueError("give an https:// address, or a path that begins with one slash")
    return url


def _checked_prefix(url: str) -> str:
    parts = urlsplit(url)
    local = parts.scheme == "http" and is_loopback(url)
    if (parts.scheme != "https" and not local) or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give an https:// address without a query, to which five characters can be added")
    return url


Issuer = Annotated[str, AfterValidator(_checked_issuer)]
Link = Annotated[str, AfterValidator(_checked_link)]
UrlPrefix = Annotated[str, AfterValidator(_checked_prefix)]
"""What the beginning of a digest is added to, so that it must not be overheard."""

# Lists, separated by commas


def _each(read: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    return lambda text: tuple(read(part.strip()) for part in text.split(","))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text[:64]!r} is no address like 10.0.0.1 and no network like 10.0.0.0/8; commas separate several"
        ) from None
    if network.prefixlen == 0:
        raise ValueError(f"{network} would let everybody say who they are")
    return network


def _origin(text: str) -> str:
    """The origin, which has to be written as browsers write it."""
    parts = urlsplit(text)
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if parts.scheme != "https" or not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
        raise ValueError(f"{text[:64]!r} is no origin like https://id.example.de; commas separate several")
    written = f"https://{host}" + (f":{port}" if port not in (None, 443) else "")
    if text != written:
        raise ValueError(f"{text[:64]!r} is more than an origin: {written} would be one")
    return written


MOST_NAMES = 5
"""How many names related origins may have: what every browser looks at (WebAuthn Level 3 §5.11)."""


def _have_few_names(origins: tuple[str, ...]) -> tuple[str, ...]:
    names = {_name_of(origin) for origin in origins}
    if len(names) > MOST_NAMES:
        raise ValueError(f"{len(names)} different names are more than {MOST_NAMES}")
    return origins


def _name_of(origin: str) -> str:
    """The name before the ending under which people register names, as far as that can be told without a list.

    A short second level below a country is taken for a part of the ending: ``example`` of https://id.example.co.uk.
    """
    labels = (urlsplit(origin).hostname or "").split(".")
    below_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return labels[-3 if below_country else -2]


Networks = Annotated[
    tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...],
    BeforeValidator(_each(_network)),
]
Origins = Annotated[tuple[str, ...], BeforeValidator(_each(_origin)), AfterValidator(_have_few_names)]

# Files and directories


def _checked_picture(path: Path) -> Path:
    read_picture(path)
    return path


def _checked_certificates(path: Path) -> Path:
    read_roots(path)
    return path


def _checked_directory(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is no directory")
    return path


def _absolute(path: Path) -> Path:
    # A later change of directory must not move the database.
    return path.expanduser().absolute()


Picture = Annotated[Path, AfterValidator(_checked_picture)]
Certificates = Annotated[Path, AfterValidator(_checked_certificates)]
Directory = Annotated[Path, AfterValidator(_checked_directory)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
"""Where something lies, or will be made."""

# Mail, and what may have a password in it


def _checked_mail_address(text: str) -> str:
    try:
        Address(addr_spec=text)
        text.encode("ascii")
    except (ValueError, IndexError, MessageError):
        raise ValueError("give an address like no-reply@mail.example") from None
    return text


def _revealed(check: Callable[[str], None]) -> AfterValidator:
    """The check of what is inside a secret."""

    def checked(secret: SecretStr) -> SecretStr:
        check(secret.get_secret_value())
        return secret

    return AfterValidator(checked)


def _check_postgres(url: str) -> None:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("give an address that begins with postgresql://")


MailAddress = Annotated[str, AfterValidator(_checked_mail_address)]
MasterKey = SecretStr
PostgresAddress = Annotated[SecretStr, _revealed(_check_postgres)]
MailGateway = Annotated[SecretStr, _revealed(check_address)]
SmsGateway = Annotated[SecretStr, _revealed(check_sms_address)]
