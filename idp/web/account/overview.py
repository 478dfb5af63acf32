"""``/account``: the account at a glance."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.assurance import assess
from idp.base.text import Day, Listing, Phrase, say, say_many
from idp.model.credential import Authenticator, RecoveryCodes
from idp.model.user import User
from idp.store.database import transaction
from idp.store.recovery_codes import find_codes
from idp.web.account.activity import ACTIVITY
from idp.web.account.apps import APPS, count_apps_of
from idp.web.account.data import DATA
from idp.web.account.email import EMAIL, waiting_address
from idp.web.account.owner import WAYS, Owner, find_owner, to_login
from idp.web.account.passkey_upgrade import UPGRADE, may_upgrade
from idp.web.account.profile import PROFILE
from idp.web.account.recovery_codes import CODES, left
from idp.web.account.sessions import DEVICES, count_sessions_of
from idp.web.answers import page
from idp.web.pages import AccountPage, Person, Place, Protection
from idp.web.provider import moment, provider_of
from idp.web.steps import STEPS, step_of

FEW_CODES = 3


async def overview(request: Request) -> Response:
    """What protects the account, and its places."""
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        codes = await find_codes(conn, owner.user.sub)
        devices = await count_sessions_of(request, conn, owner)
        waiting = await waiting_address(request, conn, owner)
        apps = await count_apps_of(request, conn, owner)
    ways, email, name = _counted(owner.second_factors), owner.user.email, owner.user.profile.get("name")
    places = (
        Place(WAYS, "passkey", say("Ways to sign in"), ways or say("Password alone")),
        Place(CODES, "codes", say("Recovery codes"), left(codes)),
        Place(DEVICES, "laptop", say("Devices"), say_many("Only this one", "Signed in on %(count)s devices", devices)),
        Place(EMAIL, "mail", say("E-mail"), (email if owner.user.email_verified else None) or say("None confirmed")),
        Place("/account/password", "password", say("Password"), _changed(owner.user)),
        Place(APPS, "apps", say("Connected apps"), _connected(apps)),
        Place(PROFILE, "user", say("Profile"), str(name) if name else say("Name, language, time zone")),
        Place(ACTIVITY, "clock", say("Activity"), say("What happened in the last 90 days")),
        Place(DATA, "data", say("Your data"), say("Download it, or delete your account")),
    )
    protection, care = _protection(owner, ways, codes, moment(request)), _care(owner, codes)
    content = AccountPage(
        Person(owner.user.username),
        email,
        protection,
        places,
        care,
        waiting=waiting.shown if waiting else None,
        upgrade_url=UPGRADE if may_upgrade(owner, moment(request)) else None,
    )
    return page(request, content)


def _protection(owner: Owner, ways: Phrase | None, codes: RecoveryCodes | None, now: datetime) -> Protection:
    own = (one for one in owner.enrolled if one.method == "password")
    best = assess(one.evidence(now) for one in (*own, *owner.second_factors))
    strong = best is not None and best.acr != "1fa"
    alone = say("A password alone protects your account")
    title = say("Two independent steps protect your account") if strong else alone
    unused = codes.left if codes else 0
    none = say("Nothing yet")
    facts: tuple[tuple[Phrase, Phrase], ...] = (
        (say("Something you know"), say("Password") if owner.user.password_hash else say("Nothing")),
        (say("Something you have"), ways or none),
        (say("If you lose it"), step_of("recovery").counted(unused) if unused else none),
    )
    return Protection(title, facts if owner.second_factors else facts[:2])


def _care(owner: Owner, codes: RecoveryCodes | None) -> Phrase | None:
    """A word of warning where recovery codes run out; that there never were any is said among the ways to sign in."""
    if codes is None or codes.left > FEW_CODES or not owner.second_factors:
        return None
    if not codes.left:
        return say("No recovery code is left. Make new ones before you need one.")
    return say_many(
        "1 recovery code is left. Make new ones before you need one.",
        "%(count)s recovery codes are left. Make new ones before you need one.",
        codes.left,
    )


def _changed(user: User) -> Phrase:
    changed_at = user.password_changed_at if user.password_hash else None
    return say("Changed on %(day)s", day=Day(changed_at, year=False)) if changed_at else say("None yet")


def _connected(apps: int) -> Phrase:
    if not apps:
        return say("No apps can use your account")
    return say_many("1 app can use your account", "%(count)s apps can use your account", apps)


def _counted(enrolled: tuple[Authenticator, ...]) -> Phrase | None:
    """How many there are of each kind; None where there are none."""
    counts = [(step, sum(one.method == step.method for one in enrolled)) for step in STEPS]
    return Listing(tuple(step.counted(count) for step, count in counts if count)) if enrolled else None
