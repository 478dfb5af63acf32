"""What an operator may set, and the one place that reads it: `IDP_*` of the environment, checked as a whole."""

import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from datetime import timedelta
from email.errors import MessageError
from email.headerregistry import Address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from idp.authn.attestation import read_roots
from idp.base.colour import is_colour
from idp.base.picture import read_picture
from idp.base.resources import checkout
from idp.keys.schedule import Policy
from idp.notify.addresses import OUTBOX, check_address, check_sms_address, stays_here

PREFIX = "IDP_"
MOST_RELATED_NAMES = 5
"""How many names related origins may have: what every browser looks at (WebAuthn Level 3 §5.11)."""
FILE_SUFFIX = "_FILE"
_UNITS = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class SettingsError(Exception):
    """The settings cannot be used; `faults` has a sentence for each fault, beginning with the setting's name."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    matched = re.fullmatch(r"([0-9]{1,9})([smhd]?)", value.strip(), re.ASCII)
    if matched is None:
        raise ValueError("give seconds, or a number with s, m, h or d")
    return timedelta(**{_UNITS[matched[2]]: int(matched[1])})


def _delay(value: object) -> object:
    return timedelta(0) if value in ("off", "0") else _duration(value)


def _networks(value: object) -> object:
    return tuple(map(_network, value.split(","))) if isinstance(value, str) else value


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError:
        raise ValueError(
            f"{text.strip()[:64]!r} is no address like 10.0.0.1 and no network like 10.0.0.0/8; commas separate several"
        ) from None
    if network.prefixlen == 0:
        raise ValueError(f"{network} would let everybody say who they are")
    return network


def _origins(value: object) -> object:
    return tuple(map(_checked_origin, value.split(","))) if isinstance(value, str) else value


def _checked_origin(text: str) -> str:
    """The origin as browsers write it; raises ValueError."""
    parts = urlsplit(text.strip())
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if parts.scheme != "https" or not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", host):
        raise ValueError(f"{text.strip()[:64]!r} is no origin like https://id.example.de; commas separate several")
    written = f"https://{host}" + (f":{port}" if port not in (None, 443) else "")
    if text.strip() != written:
        raise ValueError(f"{text.strip()[:64]!r} is more than an origin: {written} would be one")
    return written


Origins = Annotated[tuple[str, ...], BeforeValidator(_origins)]
Networks = Annotated[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], BeforeValidator(_networks)]
Delay = Annotated[timedelta, BeforeValidator(_delay), Field(ge=timedelta(0), le=timedelta(days=30))]
Duration = Annotated[timedelta, BeforeValidator(_duration), Field(gt=timedelta(0), le=timedelta(days=3650))]

Grace = Annotated[timedelta, BeforeValidator(_duration), Field(ge=timedelta(0), le=timedelta(days=90))]


def default_home(environ: Mapping[str, str]) -> Path:
    """Return where `data` and `keys` lie unless set: the top of the checkout, or the user's data directory (XDG)."""
    top = checkout()
    if top is not None:
        return top
    given = environ.get("XDG_DATA_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".local" / "share") / "idp"


class Settings(BaseModel):
    """Everything that an installation decides, checked and unchangeable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field("127.0.0.1", description="The address that the server listens on.")
    port: int = Field(8000, ge=1, le=65535, description="The TCP port that the server listens on.")
    issuer: str = Field(
        default_factory=lambda given: f"http://localhost:{given['port']}",
        json_schema_extra={"shown": "`http://localhost:` and the port"},
        description="The public base URL of this server, exactly as tokens and discovery name it. `https`, except "
        "for `localhost` and loopback addresses; no query, no fragment, no slash at the end.",
    )
    trusted_proxies: Networks = Field(
        (),
        json_schema_extra={"shown": "none"},
        description="The addresses and networks of the proxies in front, separated by commas. From these alone "
        "`X-Forwarded-For` is believed.",
    )
    name: str = Field("Identity", min_length=1, max_length=60, description="What the pages call this service.")
    logo: Path | None = Field(
        None,
        json_schema_extra={"shown": "none"},
        description="A picture of yours on every page: an SVG or PNG of at most 20 kB, drawn within 192 by 32 pixels.",
    )
    logo_has_name: Literal["on", "off"] = Field(
        "off", description="`on` where the logo has the name in it, so that the name does not stand beside it."
    )
    accent: str | None = Field(
        None,
        json_schema_extra={"shown": "a green of ours"},
        description="The colour of buttons and links, like `#0a5c4c`. It is made darker on light and lighter on dark "
        "until it can be read, and the start says so.",
    )
    help_url: str | None = Field(
        None,
        json_schema_extra={"shown": "none"},
        description="Where people find help, at the foot of every page: an `https` address, or a path here.",
    )
    privacy_url: str | None = Field(
        None,
        json_schema_extra={"shown": "none"},
        description="Where your privacy policy is, at the foot of every page: an `https` address, or a path here.",
    )
    allow_loopback_fetch: Literal["on", "off"] = Field(
        "off",
        json_schema_extra={"shown": "`off`"},
        description="Whether what a client's metadata names may be fetched from this machine, by plain http too: for "
        "test rigs on a loopback issuer alone.",
    )
    templates: Path | None = Field(
        None,
        json_schema_extra={"shown": "none"},
        description="A directory with templates of your own in place of ours of the same name. See "
        "[operations](operations.md).",
    )
    data_dir: Path = Field(
        default_factory=lambda: default_home(os.environ) / "data",
        json_schema_extra={"shown": "`data` in a checkout, else `~/.local/share/idp/data` (XDG)"},
        description="Where the embedded PostgreSQL keeps its data.",
    )
    keys_dir: Path = Field(
        default_factory=lambda given: given["data_dir"].parent / "keys",
        json_schema_extra={"shown": "`keys` beside the data directory"},
        description="Where the master key lies. Keep a copy of it apart from the copies of the database.",
    )
    database_url: SecretStr | None = Field(
        None,
        json_schema_extra={"shown": "the embedded PostgreSQL"},
        description="A PostgreSQL of your own, version 15 or later: `postgresql://user:password@host/database`.",
    )
    master_key: SecretStr | None = Field(
        None,
        json_schema_extra={"shown": "the file in the keys directory, made at the first start"},
        description="The key that seals private keys and authenticator secrets: 32 bytes in base64.",
    )
    access_token_life: Duration = Field(timedelta(minutes=10), description="How long an access token is valid.")
    id_token_life: Duration = Field(timedelta(minutes=10), description="How long an ID token is valid.")
    refresh_token_life: Duration = Field(
        timedelta(days=30), description="How long a grant can be refreshed, however often it is used."
    )
    refresh_token_idle: Duration = Field(
        timedelta(days=7), description="How long an unused refresh token stays usable; at most the life of the grant."
    )
    session_life: Duration = Field(
        timedelta(hours=12), description="How long a browser stays signed in, however often it is used."
    )
    session_idle: Duration = Field(
        timedelta(hours=1), description="How long an unused session stays signed in; at most the life of the session."
    )
    jwks_max_age: Duration = Field(
        timedelta(hours=1), description="How long a validator may keep the published keys before it asks again."
    )
    key_propagation: Duration = Field(
        timedelta(minutes=5), description="How much longer than that a new key is published before it signs."
    )
    key_life: Duration = Field(
        timedelta(days=90),
        description="How long a key signs until the next one takes over; at least the two durations above together.",
    )
    audit_life: Duration = Field(timedelta(days=400), description="How long the audit trail is kept; at least 90 days.")
    rate_limits: Literal["on", "off"] = Field(
        "on",
        description="`off` lifts the limits on guessing and on new accounts. It is for test rigs, and refused unless "
        "the issuer is a loopback address.",
    )
    mail_url: SecretStr | None = Field(
        None,
        json_schema_extra={"shown": "none: nothing is sent"},
        description="Where mail is handed over: `smtp://host`, `smtps://user:password@host`, or an Apprise URL with "
        "`{to}` where the recipient belongs (`json://host/path` and its like do without). See "
        "[operations](operations.md).",
    )
    mail_from: str = Field(
        default_factory=lambda given: f"no-reply@{_mail_domain(given['issuer'])}",
        json_schema_extra={"shown": "`no-reply@` and the host of the issuer"},
        description="The address that mail comes from.",
    )
    sms_url: SecretStr | None = Field(
        None,
        json_schema_extra={"shown": "none: no codes by text message"},
        description="Where text messages are handed over: an Apprise URL with `{to}` where the number belongs "
        "(`json://host/path` and its like do without). Without it no code is sent to a telephone, and none is asked "
        "for. `outbox:` sends nothing and keeps them for the inbox of `idp dev`; it is refused unless the issuer is a "
        "loopback address.",
    )
    email_codes: Literal["on", "off"] = Field(
        "off",
        description="`on` asks everybody with a confirmed address for a code that is sent there, as a second step. It "
        "is a weak one: see [the security model](security.md).",
    )
    breached_passwords_url: str | None = Field(
        None,
        json_schema_extra={"shown": "none: the built-in list alone"},
        description="Where new passwords are looked up among breached ones, like "
        "`https://api.pwnedpasswords.com/range/`: an address to which the first 5 characters of the SHA-1 of one are "
        "added, and no more of it is told. Without an answer within 2 seconds the password is taken.",
    )
    sign_in_notices: Literal["on", "off"] = Field(
        "on", description="`off` tells nobody by mail of sign-ins from a new browser or a new network."
    )
    factor_recovery_delay: Delay = Field(
        timedelta(hours=72),
        description="How long somebody who has lost their second factors waits until a link by mail and their password "
        "remove these, while the owner can say no: `24h` to `30d`, or `off`, and then only "
        "`idp user recover --factors` begins it (after 72 hours).",
    )
    min_acr: Literal["mfa", "phr", "phrh"] | None = Field(
        None,
        json_schema_extra={"shown": "none"},
        description="The weakest sign-in that is enough for anybody here: `mfa`, `phr` or `phrh`. Groups and clients "
        "can ask for more: see [operations](operations.md).",
    )
    enrolment_grace: Grace = Field(
        timedelta(days=7),
        description="How long people who cannot sign in as the installation or a group asks may put off to add what "
        "they lack, from the first sign-in that tells them; at most `90d`. `0`: not at all.",
    )
    trusted_device_days: int = Field(
        0,
        ge=0,
        le=90,
        description="For how many days people may let a browser stand in for their second step, wherever no "
        "application asks for one. `0`: nobody may, and what was trusted before is not.",
    )
    related_origins: Origins = Field(
        (),
        json_schema_extra={"shown": "none"},
        description="Other origins of yours on which the passkeys of this server may be used, like "
        "`https://id.example.de`, separated by commas: published at `/.well-known/webauthn`. They may have 5 different "
        "names before their endings (`example` in this one), for browsers look at no more.",
    )
    attestation_roots: Path | None = Field(
        None,
        json_schema_extra={"shown": "none: no authenticator is asked for its make"},
        description="A file or a directory of PEM certificates of the makers of authenticators that you trust. With "
        "it, browsers ask people whether they tell the make of theirs; one that leads to these certificates, and "
        "whose keys stay on it, can reach `phrh`.",
    )
    log_format: Literal["json", "text"] | None = Field(
        None,
        json_schema_extra={"shown": "`text` on a terminal, else `json`"},
        description="How the server writes its log, on standard error: `json` is one object a line.",
    )
    rsa_bits: int = Field(3072, description="The size of new RSA signing keys: 2048, 3072 or 4096 bits.")

    @property
    def key_policy(self) -> Policy:
        """The schedule of the signing keys that these settings ask for."""
        return Policy(
            key_life=self.key_life,
            max_age=self.jwks_max_age,
            propagation=self.key_propagation,
            token_life=max(self.access_token_life, self.id_token_life),
        )

    @property
    def methods_off(self) -> frozenset[str]:
        """The ways to sign in that this installation does not offer."""
        offered = {"sms": self.sms_url is not None, "email": self.email_codes == "on"}
        return frozenset(name for name, is_offered in offered.items() if not is_offered)

    @field_validator("issuer")
    @classmethod
    def _is_issuer(cls, value: str) -> str:
        return _checked_issuer(value)

    @field_validator("logo")
    @classmethod
    def _is_picture(cls, value: Path | None) -> Path | None:
        if value is not None:
            read_picture(value)
        return value

    @field_validator("accent")
    @classmethod
    def _is_colour(cls, value: str | None) -> str | None:
        if value is not None and not is_colour(value := value.lower()):
            raise ValueError("give a colour like #0a5c4c")
        return value

    @field_validator("help_url", "privacy_url")
    @classmethod
    def _is_link(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"(https://[^/\\?#@\s]+|/(?![/\\]))[!-~]*", value):
            raise ValueError("give an https:// address, or a path that begins with one slash")
        return value

    @field_validator("templates")
    @classmethod
    def _is_directory(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError(f"{value} is no directory")
        return value

    @field_validator("related_origins")
    @classmethod
    def _are_few_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = {_name_of(origin) for origin in value}
        if len(names) > MOST_RELATED_NAMES:
            raise ValueError(f"{len(names)} different names are more than {MOST_RELATED_NAMES}")
        return value

    @field_validator("attestation_roots")
    @classmethod
    def _has_certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            read_roots(value)
        return value

    @field_validator("data_dir", "keys_dir")
    @classmethod
    def _is_absolute(cls, value: Path) -> Path:
        # A later change of directory must not move the database.
        return value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("give an address that begins with postgresql://")
        return value

    @field_validator("refresh_token_idle", "session_idle")
    @classmethod
    def _is_within_life(cls, value: timedelta, info: Any) -> timedelta:
        life = info.field_name.replace("_idle", "_life")
        if value > info.data.get(life, value):
            raise ValueError(f"give at most {PREFIX}{life.upper()}")
        return value

    @field_validator("key_life")
    @classmethod
    def _outlives_its_announcement(cls, value: timedelta, info: Any) -> timedelta:
        announced = info.data.get("jwks_max_age", timedelta(0)) + info.data.get("key_propagation", timedelta(0))
        if value < announced:
            raise ValueError(f"give at least {PREFIX}JWKS_MAX_AGE and {PREFIX}KEY_PROPAGATION together")
        return value

    @field_validator("audit_life")
    @classmethod
    def _outlasts_its_readers(cls, value: timedelta) -> timedelta:
        if value < timedelta(days=90):
            raise ValueError("give at least 90d")
        return value

    @field_validator("rate_limits")
    @classmethod
    def _is_for_loopback(cls, value: str, info: Any) -> str:
        host = urlsplit(info.data.get("issuer", "")).hostname or ""
        if value == "off" and not _is_loopback(host):
            raise ValueError("off is for a loopback issuer alone")
        return value

    @field_validator("allow_loopback_fetch")
    @classmethod
    def _is_for_a_rig(cls, value: str, info: Any) -> str:
        host = urlsplit(info.data.get("issuer", "")).hostname or ""
        if value == "on" and not _is_loopback(host):
            raise ValueError("on is for a loopback issuer alone")
        return value

    @field_validator("mail_url")
    @classmethod
    def _is_gateway(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            check_address(value.get_secret_value())
        return value

    @field_validator("sms_url")
    @classmethod
    def _is_sms_gateway(cls, value: SecretStr | None, info: Any) -> SecretStr | None:
        if value is None:
            return None
        check_sms_address(value.get_secret_value())
        is_here = _is_loopback(urlsplit(info.data.get("issuer", "")).hostname or "")
        if stays_here(value.get_secret_value()) and not is_here:
            raise ValueError(f"{OUTBOX} is for a loopback issuer alone")
        return value

    @field_validator("breached_passwords_url")
    @classmethod
    def _is_told_in_secret(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        local = parts.scheme == "http" and _is_loopback(parts.hostname or "")
        if (parts.scheme != "https" and not local) or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("give an https:// address without a query, to which five characters can be added")
        return value

    @field_validator("factor_recovery_delay")
    @classmethod
    def _leaves_time_to_object(cls, value: timedelta) -> timedelta:
        if timedelta(0) < value < timedelta(hours=24):
            raise ValueError("give at least 24h, or off")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_mail_address(cls, value: str) -> str:
        try:
            Address(addr_spec=value)
            value.encode("ascii")
        except (ValueError, IndexError, MessageError):
            raise ValueError("give an address like no-reply@mail.example") from None
        return value

    @field_validator("rsa_bits")
    @classmethod
    def _is_rsa_size(cls, value: int) -> int:
        if value not in (2048, 3072, 4096):
            raise ValueError("give 2048, 3072 or 4096")
        return value


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings that `environ` describes; raise SettingsError with every fault there is.

    An empty variable counts as absent. A secret may be given in a file, by the name of the setting and `_FILE`.
    """
    values: dict[str, str] = {}
    faults: list[str] = []
    for field, info in Settings.model_fields.items():
        variable = PREFIX + field.upper()
        if given := environ.get(variable):
            values[field] = given
        if _is_secret(info) and (file := environ.get(variable + FILE_SUFFIX)):
            if given:
                faults.append(f"{variable}{FILE_SUFFIX}: give either this or {variable}, not both")
            elif (secret := _read_secret(variable + FILE_SUFFIX, Path(file), faults)) is not None:
                values[field] = secret
    if "data_dir" not in values:
        values["data_dir"] = str(default_home(environ) / "data")
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError([*faults, *_sentences(error)]) from None
    if faults:
        raise SettingsError(faults)
    return settings


def _is_secret(info: FieldInfo) -> bool:
    return info.annotation == SecretStr | None


def _read_secret(variable: str, path: Path, faults: list[str]) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(f"{variable}: {path} cannot be read ({getattr(error, 'strerror', None) or 'not text'})")
        return None


def _sentences(error: ValidationError) -> list[str]:
    # A default that waits for another field is no fault of its own.
    own = [fault for fault in error.errors(include_url=False) if fault["type"] != "default_factory_not_called"]
    return [_sentence(fault) for fault in own]


def _sentence(fault: ErrorDetails) -> str:
    return f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg'].removeprefix('Value error, ')}"


def _checked_issuer(value: str) -> str:
    if not re.fullmatch(r"[!-~]+", value):
        raise ValueError("give a URL without spaces and of ASCII characters alone")
    parts = urlsplit(value)
    try:
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("the port is not a number from 0 to 65535") from None
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise ValueError("give a URL of the form https://host or https://host/path")
    if parts.scheme == "http" and not _is_loopback(host):
        raise ValueError("http:// is for localhost and loopback addresses only: give an https:// URL")
    # OpenID Connect Discovery 1.0 §3 and RFC 8414 §2: no query and no fragment; not even an empty one.
    if "?" in value or "#" in value:
        raise ValueError("an issuer has no query and no fragment")
    if value.endswith("/"):
        raise ValueError("leave out the slash at the end")
    return value


def _name_of(origin: str) -> str:
    """The name before the ending under which people register names, as far as that can be told without a list.

    A short second level below a country is taken for a part of the ending: ``example`` of https://id.example.co.uk.
    """
    labels = (urlsplit(origin).hostname or "").split(".")
    below_country = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return labels[-3 if below_country else -2]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _mail_domain(issuer: str) -> str:
    host = urlsplit(issuer).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost"


def settings_document() -> str:
    """Return the text of docs/settings.md."""
    rows = "\n".join(_row(field, info) for field, info in Settings.model_fields.items())
    return f"""# Settings

Everything is set by environment variables, for `idp serve` and for every other command alike. Each has a default, an
empty variable counts as absent, and wrong settings stop the start with every fault listed. Durations are seconds, or a
number with `s`, `m`, `h` or `d`. The settings with a `{FILE_SUFFIX}` form take the value from that file instead.

This page is generated from `idp/settings.py` by `make docs`.

| setting | default | meaning |
|---|---|---|
{rows}
"""


def _row(field: str, info: FieldInfo) -> str:
    name = f"`{PREFIX}{field.upper()}`"
    if _is_secret(info):
        name += f", `{PREFIX}{field.upper()}{FILE_SUFFIX}`"
    return f"| {name} | {_shown_default(info)} | {info.description} |"


def _shown_default(info: FieldInfo) -> str:
    if isinstance(info.json_schema_extra, dict) and "shown" in info.json_schema_extra:
        return str(info.json_schema_extra["shown"])
    if isinstance(info.default, timedelta):
        return f"`{_shortest(info.default)}`"
    return f"`{info.default}`"


def _shortest(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


if __name__ == "__main__":
    sys.stdout.write(settings_document())
