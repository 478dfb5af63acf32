"""A reset under way: whose it is, what it asks for, and what was proved in it."""

from dataclasses import dataclass

from starlette.requests import Request

from idp.authn.methods import authenticators
from idp.authn.policy import Outlook, Requirement, has_passkey_alone, reset_steps, shows_more_than_mail
from idp.base.entropy import identifier, token
from idp.model.credential import Authenticator
from idp.model.interaction import Interaction
from idp.model.mail_link import MailLink
from idp.model.user import User
from idp.store.database import Connection
from idp.store.interactions import create_recovery, find_recovery
from idp.store.users import find_user
from idp.web import cookies
from idp.web.flow import Visit
from idp.web.mail_link import address_of_link, gone
from idp.web.provider import moment, provider_of
from idp.web.standing import Standing


@dataclass(frozen=True, slots=True)
class Recovery:
    """A browser in which a link was opened; ``asked`` are the second factors of which the account wants one."""

    interaction: Interaction
    user: User
    enrolled: tuple[Authenticator, ...]
    asked: tuple[Authenticator, ...]

    @property
    def ways(self) -> tuple[Authenticator, ...]:
        """What can be used now of what is asked for."""
        return tuple(one for one in self.asked if not one.locked)

    @property
    def is_proved(self) -> bool:
        """Whether the new password may be chosen: the mailbox alone is no second factor (ASVS 6.3.6, 6.4.3)."""
        return not self.asked or any(shows_more_than_mail(one.method) for one in self.interaction.evidence)

    @property
    def here(self) -> str:
        """The query that names it."""
        return f"interaction={self.interaction.id}"

    @property
    def visit(self) -> Visit:
        """The same for the page of a step: a visit without a request, that leads to no session."""
        standing = Standing(
            request=None,
            session=None,
            user=self.user,
            evidence=self.interaction.evidence,
            authenticators=self.enrolled,
            requirement=Requirement("mfa"),
            outlook=Outlook(met=False, ways=self.ways),
            account_met=False,
            need=None,
        )
        return Visit(self.interaction, standing)


async def get_resettable(request: Request, conn: Connection, sub: str) -> tuple[User, tuple[Authenticator, ...]]:
    """Whose password is reset, and what they have enrolled; raises PageError.

    It has to be there and open, with a confirmed address. That this is the one to which the link went is sure while
    the generation is the same: another address raises it.
    """
    user = await find_user(conn, sub)
    if user is None or address_of_link(user) is None:
        raise gone(request)
    enrolled = await authenticators(conn, user, off=provider_of(request).tools.off, by_mail=True)
    if has_passkey_alone(enrolled):
        raise gone(request)
    return user, enrolled


async def begin_recovery(request: Request, conn: Connection, link: MailLink) -> tuple[str, str]:
    """Begin the reset in this browser: the identifier of its interaction, and the secret that binds it.

    From here on it goes on by itself: whoever asks for another link, which anybody can, does not end it.
    """
    provider = provider_of(request)
    browser = cookies.read(request, provider, "browser") or token(provider.entropy)
    interaction_id = identifier(provider.entropy)
    await create_recovery(conn, interaction_id, browser, link=link, now=moment(request))
    return interaction_id, browser


async def get_recovery(request: Request, conn: Connection) -> Recovery:
    """The reset that the query names, if this very browser began it and it is not over; raises PageError."""
    provider, now = provider_of(request), moment(request)
    browser, named = cookies.read(request, provider, "browser"), request.query_params.get("interaction", "")
    known = browser is not None and named.isascii() and named.isalnum()
    interaction = await find_recovery(conn, named, browser or "", now=now) if known else None
    if interaction is None or interaction.sub is None:
        raise gone(request)
    user, enrolled = await get_resettable(request, conn, interaction.sub)
    return Recovery(interaction, user, enrolled, reset_steps(enrolled))
