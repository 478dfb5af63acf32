"""The one meeting place: settings become a pool, keys and a clock, and these become routes."""

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from starlette.applications import Starlette

from idp.authn.attestation import read_roots
from idp.authn.breaches import BreachList, breach_client
from idp.authn.methods import RelyingParty, Tools
from idp.base.clock import CarriedClock, Clock
from idp.base.digest import PasswordHasher
from idp.base.entropy import Entropy, identifier, system_entropy
from idp.base.picture import read_picture
from idp.base.resources import resource
from idp.jobs import JOBS, Duties
from idp.jobs.leader import Leader, working
from idp.keys.custody import Custody, ensure_master_key
from idp.keys.keyring import KeyRing
from idp.model.message import Channel
from idp.notify.addresses import mail_gateway, sms_gateway
from idp.notify.gateway import Gateway
from idp.notify.sender import sending
from idp.oauth.issue import Lifetimes
from idp.settings import Settings, load_settings
from idp.store.clock import ClockGuard, keeping_time
from idp.store.database import Pool, open_pool
from idp.web.errors import HANDLERS
from idp.web.forms import LARGEST_BODY
from idp.web.later import Later
from idp.web.middleware import edge
from idp.web.pages import Pages
from idp.web.pages.brand import Brand, moved
from idp.web.pages.overrides import override_faults
from idp.web.provider import Provider
from idp.web.readiness import watching
from idp.web.recover.factor_recovery import remind_some
from idp.web.routes import ROUTES

SPREAD = timedelta(seconds=1)
"""Within this time after an answer what is left of its work is done."""

_LOG = logging.getLogger(__name__)


def build(
    settings: Settings,
    *,
    clock: Clock | None = None,
    entropy: Entropy = system_entropy,
    spread: timedelta = SPREAD,
) -> Starlette:
    """The application for these settings; it reads the database they name, and closes what it opened.

    Its time is that of the database, unless a ``clock`` is given.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with (
            _provider(settings, clock, entropy, spread) as provider,
            _notices(settings, provider),
            working(_leader(settings, provider)),
        ):
            app.state.provider = provider
            yield

    app = Starlette(
        routes=list(ROUTES), exception_handlers=dict(HANDLERS), lifespan=lifespan, max_body_size=LARGEST_BODY
    )
    # A redirect that mends a slash would be a 307, which repeats a POST (RFC 9700 §4.12).
    app.router.redirect_slashes = False
    # Starlette's own `middleware` lies within its last resort, whose answer to the unexpected has to be dressed too.
    app.middleware_stack = edge(
        app.build_middleware_stack(), issuer=settings.issuer, entropy=entropy, proxies=settings.trusted_proxies
    )
    return app


@asynccontextmanager
async def _provider(
    settings: Settings, given_clock: Clock | None, entropy: Entropy, spread: timedelta
) -> AsyncIterator[Provider]:
    if settings.database_url is None:
        raise RuntimeError("IDP_DATABASE_URL is not set: idp serve sets it for the embedded database")
    dsn = settings.database_url.get_secret_value()
    given = settings.master_key.get_secret_value() if settings.master_key else None
    async with AsyncExitStack() as opened:
        pool = await open_pool(dsn)
        opened.push_async_callback(pool.close)
        clock, is_clock_off = await opened.enter_async_context(_time(pool, given_clock))
        hasher = PasswordHasher(entropy=entropy)
        opened.callback(hasher.close)
        master = await ensure_master_key(pool, settings.keys_dir, given, entropy=entropy)
        keys = KeyRing(Custody(pool, master, settings.key_policy, settings.rsa_bits, entropy), dsn=dsn, clock=clock)
        opened.push_async_callback(keys.close)
        await keys.start()
        later = Later(spread, entropy)
        opened.push_async_callback(later.close)
        yield Provider(
            issuer=settings.issuer,
            operator=settings.name,
            pool=pool,
            keys=keys,
            pages=_pages(settings),
            tools=Tools(
                hasher,
                master,
                entropy,
                _party(settings),
                limited=settings.rate_limits == "on",
                off=settings.methods_off,
            ),
            clock=clock,
            entropy=entropy,
            lifetimes=_lifetimes(settings),
            later=later,
            readiness=await opened.enter_async_context(watching(pool, identifier(entropy), is_clock_off)),
            breaches=await opened.enter_async_context(_breaches(settings)),
            sign_in_notices=settings.sign_in_notices == "on",
            factor_recovery_delay=settings.factor_recovery_delay,
            sign_up=settings.sign_up,
            min_acr=settings.min_acr,
            enrolment_grace=settings.enrolment_grace,
            trust_life=timedelta(days=settings.trusted_device_days),
        )


@asynccontextmanager
async def _time(pool: Pool, given: Clock | None) -> AsyncIterator[tuple[Clock, Callable[[], bool]]]:
    """Lend the time of this installation, and the word on whether the machine's own is off."""
    if given is not None:
        yield given, lambda: False
        return
    guard = ClockGuard(CarriedClock())
    async with keeping_time(pool, guard):
        yield guard.clock, guard.is_off


def _party(settings: Settings) -> RelyingParty:
    """Who the installation is to authenticators."""
    host = urlsplit(settings.issuer)
    roots = read_roots(settings.attestation_roots) if settings.attestation_roots else ()
    origins = (f"{host.scheme}://{host.netloc}", *settings.related_origins)
    return RelyingParty(host.hostname or "", origins, settings.name, roots)


def _pages(settings: Settings) -> Pages:
    """The pages of the installation; what could not be shown as it was set is said in the log."""
    if settings.accent and (said := moved(settings.accent)):
        _LOG.info("%s", said)
    if settings.templates:
        for fault in override_faults(resource("templates"), settings.templates):
            _LOG.warning("template %s: %s", fault.template, fault.fault)
    return pages_of(settings)


def pages_of(settings: Settings) -> Pages:
    """The pages and the mails in the operator's looks and words, for the server and for commands that write mails."""
    brand = Brand(
        accent=settings.accent,
        logo=read_picture(settings.logo) if settings.logo else None,
        logo_has_name=settings.logo_has_name == "on",
        help_url=settings.help_url,
        privacy_url=settings.privacy_url,
    )
    return Pages(settings.name, resource("templates"), brand=brand, overrides=settings.templates)


def _notices(settings: Settings, provider: Provider) -> AbstractAsyncContextManager[None]:
    """The sending of what the outbox holds, by the gateways that are set."""
    gateways: dict[Channel, Gateway] = {}
    if settings.mail_url is None:
        _LOG.warning("IDP_MAIL_URL is not set: notices to users are kept in the outbox and not sent")
    else:
        gateways["mail"] = mail_gateway(settings.mail_url.get_secret_value(), settings.name, settings.mail_from)
    texting = sms_gateway(settings.sms_url.get_secret_value(), settings.name) if settings.sms_url else None
    if texting is not None:
        gateways["sms"] = texting
    dsn = settings.database_url.get_secret_value() if settings.database_url else ""
    master_key = provider.tools.master_key
    return sending(provider.pool, dsn, gateways, clock=provider.clock, master_key=master_key)


def _leader(settings: Settings, provider: Provider) -> Leader:
    """What runs the jobs of this installation, should this process lead."""
    dsn = settings.database_url.get_secret_value() if settings.database_url else ""
    duties = Duties(audit=settings.audit_life, master=provider.tools.master_key, remind=partial(remind_some, provider))
    return Leader(dsn, JOBS, duties, provider.clock, provider.entropy)


@asynccontextmanager
async def _breaches(settings: Settings) -> AsyncIterator[BreachList | None]:
    if settings.breached_passwords_url is None:
        yield None
    else:
        async with breach_client() as client:
            yield BreachList(settings.breached_passwords_url, client)


def _lifetimes(settings: Settings) -> Lifetimes:
    return Lifetimes(
        access_token=settings.access_token_life,
        id_token=settings.id_token_life,
        refresh_token=settings.refresh_token_life,
        refresh_idle=settings.refresh_token_idle,
        session=settings.session_life,
        session_idle=settings.session_idle,
    )


def from_environment() -> Starlette:
    """The application that the environment describes, for uvicorn."""
    return build(load_settings(os.environ))
