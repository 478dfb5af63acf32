"""Pages of the account: what is known of its owner, who may use it, what happened to it, and its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from idp.base.text import Day, Listing, Moment, Phrase, say, say_many
from idp.web.pages.parts import Act, App, Fault, Person
from idp.web.pages.samples import MARCH, NOVEMBER


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """What the owner says of themselves, each claim by its name; ``saved`` is whether that was just done.

    ``signals`` is what password managers may then be told.
    """

    template: ClassVar[str] = "account/profile.html"
    person: Person
    claims: Mapping[str, str]
    faults: tuple[Fault, ...] = ()
    saved: bool = False
    signals: str | None = None

    @classmethod
    def sample(cls) -> Self:
        """Somebody in France, just saved."""
        claims = {"name": "Alice Example", "given_name": "Alice", "locale": "fr-FR", "zoneinfo": "Europe/Paris"}
        return cls(Person("alice"), claims, saved=True)


@dataclass(frozen=True, slots=True)
class AppsPage:
    """The apps that can use the account, or have been allowed to."""

    template: ClassVar[str] = "account/apps.html"
    apps: tuple[App, ...]

    @classmethod
    def sample(cls) -> Self:
        """One that may act while the owner is away, and one that may not."""
        allowed = say("allowed on %(day)s", day=Day(MARCH))
        used = say("last used on %(day)s", day=Day(NOVEMBER))
        notes_facts = ("notes.example", allowed, used)
        notes = App(
            "notes", "Example Notes", notes_facts, (say("Know that it is you"), say("See your name")), away=True
        )
        facts = ("bank.example", allowed, used)
        return cls((App("bank", "Example Bank", facts, (say("Know that it is you"),)), notes))


@dataclass(frozen=True, slots=True)
class WithdrawPage:
    """Whether to take back what an app was allowed."""

    template: ClassVar[str] = "account/withdraw.html"
    action: str
    app: App

    @classmethod
    def sample(cls) -> Self:
        """An app that may act while the owner is away."""
        return cls("/account/apps/notes/withdraw", AppsPage.sample().apps[1])


@dataclass(frozen=True, slots=True)
class ActivityPage:
    """What happened to the account, newest first; ``older_url`` leads to what was before that."""

    template: ClassVar[str] = "account/activity.html"
    acts: tuple[Act, ...]
    older_url: str | None = None
    newest: bool = True

    @classmethod
    def sample(cls) -> Self:
        """A sign-in, an addition, and somebody else's attempt."""
        here = say("%(browser)s on %(system)s", browser="Firefox", system="Linux")
        acts = (
            Act("done", say("Signed in to %(app)s", app="Example Bank"), (Moment(NOVEMBER), here, "192.0.2.7")),
            Act("plus", say("%(kind)s added", kind=say("Passkey")), (Moment(MARCH), here, "192.0.2.7")),
            Act("alert", say("A sign-in failed"), (Moment(MARCH), say("Password"), "198.51.100.9")),
        )
        return cls(acts, "/account/activity?before=7")


@dataclass(frozen=True, slots=True)
class DataPage:
    """What the owner can do with all that is kept of them: have a copy, or let it be deleted."""

    template: ClassVar[str] = "account/data.html"

    @classmethod
    def sample(cls) -> Self:
        """The page as it always is."""
        return cls()


@dataclass(frozen=True, slots=True)
class DeletePage:
    """Whether to delete the account, and what goes with it, each an icon and a few words."""

    template: ClassVar[str] = "account/delete.html"
    person: Person
    goes: tuple[tuple[str, Phrase], ...]
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """An account in use."""
        goes = (
            ("user", say("Your profile, with %(email)s", email="alice@mail.example")),
            ("passkey", say("Your ways to sign in: %(ways)s", ways=Listing((say("Password"), say("Passkey"))))),
            ("laptop", say_many("Your sign-in on this device", "Your sign-in on %(count)s devices", 3)),
            ("apps", say_many("1 connected app", "%(count)s connected apps", 2)),
        )
        return cls(Person("alice"), goes)
