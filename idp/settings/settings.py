"""The settings of an installation, in the order and the words of docs/settings.md."""

import ipaddress
from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationInfo, field_validator

from idp.keys.schedule import Policy
from idp.notify.addresses import OUTBOX
from idp.settings.fields import Section, variable
from idp.settings.kinds import (
    AbsolutePath,
    AuditLife,
    Certificates,
    Colour,
    Delay,
    Directory,
    Duration,
    Grace,
    Issuer,
    Level,
    Link,
    LogFormat,
    MailAddress,
    MailGateway,
    MasterKey,
    Name,
    Networks,
    Origins,
    Picture,
    Port,
    PostgresAddress,
    RsaBits,
    SignUp,
    SmsGateway,
    Switch,
    TrustDays,
    UrlPrefix,
    is_loopback,
)

ADDRESS = Section("Address")
LOOKS = Section("Looks")
DATA = Section("Data")
TOKENS = Section("Tokens and sessions")
SIGNING_KEYS = Section("Signing keys")
SIGNING_IN = Section("Signing in")
MESSAGES = Section("Messages")
RECORDS = Section("Log and audit trail")
TEST_RIGS = Section("Test rigs")

LOOPBACK_ONLY = {"sms_url": OUTBOX, "rate_limits": "off", "allow_loopback_fetch": "on"}
"""The values that are for developers and test rigs, and refused unless the issuer is a loopback address."""


class Settings(BaseModel):
    """Everything that an installation decides, checked and unchangeable."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = ADDRESS.setting("127.0.0.1", "The address that the server listens on.")
    port: Port = ADDRESS.setting(8000, "The TCP port that the server listens on.")
    issuer: Issuer = ADDRESS.setting(
        lambda given: f"http://localhost:{given['port']}",
        "The public base URL of this server, exactly as tokens and discovery name it. `https`, except for `localhost` "
        "and loopback addresses; no query, no fragment, no slash at the end.",
        shown="`http://localhost:` and the port",
    )
    trusted_proxies: Networks = ADDRESS.setting(
        (),
        "The addresses and networks of the proxies in front, separated by commas. From these alone `X-Forwarded-For` "
        "is believed.",
    )

    name: Name = LOOKS.setting("Identity", "What the pages call this service.")
    logo: Picture | None = LOOKS.setting(
        None, "A picture of yours on every page: an SVG or PNG of at most 20 kB, drawn within 192 by 32 pixels."
    )
    logo_has_name: Switch = LOOKS.setting(
        "off", "`on` where the logo has the name in it, so that the name does not stand beside it."
    )
    accent: Colour | None = LOOKS.setting(
        None,
        "The colour of buttons and links, like `#0a5c4c`. It is made darker on light and lighter on dark until it can "
        "be read, and the start says so.",
        shown="a green of ours",
    )
    help_url: Link | None = LOOKS.setting(
        None, "Where people find help, at the foot of every page: an `https` address, or a path here."
    )
    privacy_url: Link | None = LOOKS.setting(
        None, "Where your privacy policy is, at the foot of every page: an `https` address, or a path here."
    )
    templates: Directory | None = LOOKS.setting(
        None,
        "A directory with templates of your own in place of ours of the same name. See [operations](operations.md).",
    )

    # What has the environment at hand gives it: see `idp.settings.reading.default_home`.
    data_dir: AbsolutePath = DATA.setting(
        ...,
        "Where the embedded PostgreSQL keeps its data.",
        shown="`data` in a checkout, else `~/.local/share/idp/data` (XDG)",
    )
    keys_dir: AbsolutePath = DATA.setting(
        lambda given: given["data_dir"].parent / "keys",
        "Where the master key lies. Keep a copy of it apart from the copies of the database.",
        shown="`keys` beside the data directory",
    )
    database_url: PostgresAddress | None = DATA.setting(
        None,
        "A PostgreSQL of your own, version 15 or later: `postgresql://user:password@host/database`.",
        shown="the embedded PostgreSQL",
    )
    master_key: MasterKey | None = DATA.setting(
        None,
        "The key that seals private keys and authenticator secrets: 32 bytes in base64.",
        shown="the file in the keys directory, made at the first start",
    )

    access_token_life: Duration = TOKENS.setting(timedelta(minutes=10), "How long an access token is valid.")
    id_token_life: Duration = TOKENS.setting(timedelta(minutes=10), "How long an ID token is valid.")
    refresh_token_life: Duration = TOKENS.setting(
        timedelta(days=30), "How long a grant can be refreshed, however often it is used."
    )
    refresh_token_idle: Duration = TOKENS.setting(
        timedelta(days=7), "How long an unused refresh token stays usable; at most the life of the grant."
    )
    session_life: Duration = TOKENS.setting(
        timedelta(hours=12), "How long a browser stays signed in, however often it is used."
    )
    session_idle: Duration = TOKENS.setting(
        timedelta(hours=1), "How long an unused session stays signed in; at most the life of the session."
    )

    jwks_max_age: Duration = SIGNING_KEYS.setting(
        timedelta(hours=1), "How long a validator may keep the published keys before it asks again."
    )
    key_propagation: Duration = SIGNING_KEYS.setting(
        timedelta(minutes=5), "How much longer than that a new key is published before it signs."
    )
    key_life: Duration = SIGNING_KEYS.setting(
        timedelta(days=90),
        "How long a key signs until the next one takes over; at least the two durations above together.",
    )
    rsa_bits: RsaBits = SIGNING_KEYS.setting(3072, "The size of new RSA signing keys: 2048, 3072 or 4096 bits.")

    sign_up: SignUp = SIGNING_IN.setting(
        "open",
        "Who may create an account: `open` is anybody, `invite` whoever `idp user invite` has sent a link to, `off` "
        "nobody (`idp user add` adds people all the same).",
    )
    min_acr: Level | None = SIGNING_IN.setting(
        None,
        "The weakest sign-in that is enough for anybody here: `mfa`, `phr` or `phrh`. Groups and clients can ask for "
        "more: see [operations](operations.md).",
    )
    enrolment_grace: Grace = SIGNING_IN.setting(
        timedelta(days=7),
        "How long people who cannot sign in as the installation or a group asks may put off to add what they lack, "
        "from the first sign-in that tells them; at most `90d`. `0`: not at all.",
    )
    trusted_device_days: TrustDays = SIGNING_IN.setting(
        0,
        "For how many days people may let a browser stand in for their second step, wherever no application asks for "
        "one. `0`: nobody may, and what was trusted before is not.",
    )
    email_codes: Switch = SIGNING_IN.setting(
        "off",
        "`on` asks everybody with a confirmed address and no other second step for a code that is sent there. It is a "
        "weak one: see [what is not defended](security.md#what-is-not-defended).",
    )
    factor_recovery_delay: Delay = SIGNING_IN.setting(
        timedelta(hours=72),
        "How long somebody who has lost their second factors waits until a link by mail and their password remove "
        "these, while the owner can say no: `24h` to `30d`, or `off`, and then only `idp user recover --factors` "
        "begins it (after 72 hours).",
    )
    breached_passwords_url: UrlPrefix | None = SIGNING_IN.setting(
        None,
        "Where new passwords are looked up among breached ones, like `https://api.pwnedpasswords.com/range/`: an "
        "address to which the first 5 characters of the SHA-1 of one are added, and no more of it is told. Without an "
        "answer within 2 seconds the password is taken.",
        shown="none: the built-in list alone",
    )
    related_origins: Origins = SIGNING_IN.setting(
        (),
        "Other origins of yours on which the passkeys of this server may be used, like `https://id.example.de`, "
        "separated by commas: published at `/.well-known/webauthn`. They may have 5 different names before their "
        "endings (`example` in this one), for browsers look at no more.",
    )
    attestation_roots: Certificates | None = SIGNING_IN.setting(
        None,
        "A file or a directory of PEM certificates of the makers of authenticators that you trust. With it, browsers "
        "ask people whether they tell the make of theirs; one that leads to these certificates, and whose keys stay "
        "on it, can reach `phrh`.",
        shown="none: no authenticator is asked for its make",
    )

    mail_url: MailGateway | None = MESSAGES.setting(
        None,
        "Where mail is handed over: `smtp://host`, `smtps://user:password@host`, or an Apprise URL with `{to}` where "
        "the recipient belongs (`json://host/path` and its like do without). See [operations](operations.md).",
        shown="none: nothing is sent",
    )
    mail_from: MailAddress = MESSAGES.setting(
        lambda given: f"no-reply@{_mail_domain(given['issuer'])}",
        "The address that mail comes from.",
        shown="`no-reply@` and the host of the issuer",
    )
    sms_url: SmsGateway | None = MESSAGES.setting(
        None,
        "Where text messages are handed over: an Apprise URL with `{to}` where the number belongs (`json://host/path` "
        "and its like do without). Without it no code is sent to a telephone, and none is asked for. `outbox:` sends "
        "nothing and keeps them for the inbox of `idp dev`; it is refused unless the issuer is a loopback address.",
        shown="none: no codes by text message",
    )
    sign_in_notices: Switch = MESSAGES.setting(
        "on", "`off` tells nobody by mail of sign-ins from a new browser or a new network."
    )

    log_format: LogFormat | None = RECORDS.setting(
        None,
        "How the server writes its log, on standard error: `json` is one object a line.",
        shown="`text` on a terminal, else `json`",
    )
    audit_life: AuditLife = RECORDS.setting(timedelta(days=400), "How long the audit trail is kept; at least 90 days.")

    rate_limits: Switch = TEST_RIGS.setting(
        "on",
        "`off` lifts the limits on guessing and on new accounts. It is for test rigs, and refused unless the issuer is "
        "a loopback address.",
    )
    allow_loopback_fetch: Switch = TEST_RIGS.setting(
        "off",
        "Whether what a client's metadata names may be fetched from this machine, by plain http too: for test rigs on "
        "a loopback issuer alone.",
    )

    @property
    def key_policy(self) -> Policy:
        """The schedule of the signing keys that these settings ask for."""
        return Policy(
            key_life=self.key_life,
            max_age=self.jwks_max_age,
            propagation=self.key_propagation,
            token_life=max(self.access_token_life, self.id_token_life),
            hint_life=self.session_life,
        )

    @property
    def methods_off(self) -> frozenset[str]:
        """The ways to sign in that this installation does not offer."""
        offered = {"sms": self.sms_url is not None, "email": self.email_codes == "on"}
        return frozenset(name for name, is_offered in offered.items() if not is_offered)

    # A check of one field sees those above it that are in order, so that every fault is told at once; one of the whole
    # would see nothing until each field is in order.

    @field_validator(*LOOPBACK_ONLY)
    @classmethod
    def _is_refused_in_public(cls, value: SecretStr | str, info: ValidationInfo) -> SecretStr | str:
        refused = LOOPBACK_ONLY[str(info.field_name)]
        said = value.get_secret_value() if isinstance(value, SecretStr) else value
        if said == refused and not is_loopback(info.data.get("issuer", "")):
            raise ValueError(f"{refused} is for a loopback issuer alone")
        return value

    @field_validator("refresh_token_idle", "session_idle")
    @classmethod
    def _is_within_life(cls, idle: timedelta, info: ValidationInfo) -> timedelta:
        life = str(info.field_name).replace("_idle", "_life")
        if idle > info.data.get(life, idle):
            raise ValueError(f"give at most {variable(life)}")
        return idle

    @field_validator("key_life")
    @classmethod
    def _outlives_its_announcement(cls, life: timedelta, info: ValidationInfo) -> timedelta:
        announced = ("jwks_max_age", "key_propagation")
        if life < sum((info.data.get(field, timedelta(0)) for field in announced), timedelta(0)):
            raise ValueError(f"give at least {' and '.join(map(variable, announced))} together")
        return life


def _mail_domain(issuer: str) -> str:
    host = urlsplit(issuer).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return "localhost"
