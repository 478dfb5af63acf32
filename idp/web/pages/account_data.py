"""Pages of the account: what is known of its owner, who may use it, what happened to it, and its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from idp.web.pages.parts import Act, App, Fault, Person


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """What the owner says of themselves, each claim by its name; ``saved`` is whether that was just done."""

    template: ClassVar[str] = "account/profile.html"
    person: Person
    claims: Mapping[str, str]
    faults: tuple[Fault, ...] = ()
    saved: bool = False

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
        notes_facts = ("notes.example", "allowed on 3 March 2026", "last used on 24 November 2026")
        notes = App("notes", "Example Notes", notes_facts, ("Know that it is you", "See your name"), away=True)
        facts = ("bank.example", "allowed on 2 November 2026", "last used on 23 November 2026")
        return cls((App("bank", "Example Bank", facts, ("Know that it is you",)), notes))


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
        here = "Firefox on Linux"
        acts = (
            Act("done", "Signed in to Example Bank", ("24 November 2026, 09:41 UTC", here, "192.0.2.7")),
            Act("plus", "Passkey added", ("2 November 2026, 18:20 UTC", here, "192.0.2.7")),
            Act("alert", "A sign-in failed", ("28 October 2026, 23:02 UTC", "password", "198.51.100.9")),
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
    goes: tuple[tuple[str, str], ...]
    fault: Fault | None = None

    @classmethod
    def sample(cls) -> Self:
        """An account in use."""
        goes = (
            ("user", "Your profile, with alice@mail.example"),
            ("passkey", "Your ways to sign in: password, passkey or security key, recovery code"),
            ("laptop", "Your sign-in on 3 devices"),
            ("apps", "2 connected apps"),
        )
        return cls(Person("alice"), goes)
