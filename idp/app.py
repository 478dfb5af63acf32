"""The one meeting place: settings become a pool, keys and a clock, and these become routes."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware

from idp.authn.methods import RelyingParty, Tools
from idp.authn.methods.totp import ENROLMENT_LIFE
from idp.base.clock import Clock, system_clock
from idp.base.digest import PasswordHasher
from idp.base.entropy import Entropy, system_entropy
from idp.base.resources import resource
from idp.keys.custody import Custody, ensure_master_key
from idp.keys.keyring import KeyRing
from idp.keys.schedule import Policy
from idp.oauth.issue import Lifetimes
from idp.settings import Settings, load_settings
from idp.store.database import Unavailable, open_pool, transaction
from idp.store.expiry import delete_expired
from idp.web.errors import HANDLERS
from idp.web.middleware import SecureHeaders
from idp.web.pages import Pages
from idp.web.provider import Provider
from idp.web.routes import ROUTES

TIDY_SECONDS = 600.0

_LOG = logging.getLogger(__name__)


def build(settings: Settings, *, clock: Clock = system_clock, entropy: Entropy = system_entropy) -> Starlette:
    """The application for these settings; it reads the database they name, and closes what it opened."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with _provider(settings, clock, entropy) as provider:
            app.state.provider = provider
            tidying = asyncio.create_task(_tidy(provider))
            yield
            tidying.cancel()

    return Starlette(
        routes=list(ROUTES),
        middleware=[Middleware(SecureHeaders, secure=settings.issuer.startswith("https://"))],
        exception_handlers=dict(HANDLERS),
        lifespan=lifespan,
    )


@asynccontextmanager
async def _provider(settings: Settings, clock: Clock, entropy: Entropy) -> AsyncIterator[Provider]:
    if settings.database_url is None:
        raise RuntimeError("IDP_DATABASE_URL is not set: idp serve sets it for the embedded database")
    dsn = settings.database_url.get_secret_value()
    pool = await open_pool(dsn)
    given = settings.master_key.get_secret_value() if settings.master_key else None
    hasher = PasswordHasher(entropy=entropy)
    try:
        master = await ensure_master_key(pool, settings.keys_dir, given, entropy=entropy)
        keys = KeyRing(Custody(pool, master, _policy(settings), settings.rsa_bits, entropy), dsn=dsn, clock=clock)
        await keys.start()
        try:
            host = urlsplit(settings.issuer)
            party = RelyingParty(host.hostname or "", (f"{host.scheme}://{host.netloc}",), settings.name)
            yield Provider(
                issuer=settings.issuer,
                operator=settings.name,
                pool=pool,
                keys=keys,
                pages=Pages(settings.name, resource("templates")),
                tools=Tools(hasher, master, entropy, party),
                clock=clock,
                entropy=entropy,
                lifetimes=_lifetimes(settings),
            )
        finally:
            await keys.close()
    finally:
        hasher.close()
        await pool.close()


async def _tidy(provider: Provider) -> None:
    """Forget what has expired, now and then, for ever; any process may do it."""
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        try:
            async with transaction(provider.pool) as conn:
                await delete_expired(conn, now=provider.clock(), enrolment_life=ENROLMENT_LIFE)
        except Unavailable as error:
            _LOG.warning("the clean-up has to wait: %s", error)


def _policy(settings: Settings) -> Policy:
    return Policy(
        key_life=settings.key_life,
        max_age=settings.jwks_max_age,
        propagation=settings.key_propagation,
        token_life=max(settings.access_token_life, settings.id_token_life),
    )


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
