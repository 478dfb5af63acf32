"""``/account``: the account at a glance."""

from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from idp.authn.assurance import assess
from idp.model.credential import Authenticator, RecoveryCodes
from idp.store.database import transaction
from idp.store.recovery_codes import find_codes
from idp.web.account.activity import ACTIVITY
from idp.web.account.apps import APPS, apps_of
from idp.web.account.data import DATA
from idp.web.account.email import EMAIL, waiting_address
from idp.web.account.owner import WAYS, Owner, find_owner, to_login
from idp.web.account.profile import PROFILE
from idp.web.account.recovery_codes import CODES, left
from idp.web.account.sessions import DEVICES, sessions_of
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
        devices = len(await sessions_of(request, conn, owner))
        waiting = await waiting_address(request, conn, owner)
        apps = len(await apps_of(request, conn, owner))
    ways = _counted(owner.second_factors)
    places = (
        Place(WAYS, "passkey", "Ways to sign in", ways or "Password alone"),
        Place(CODES, "codes", "Recovery codes", left(codes)),
        Place(DEVICES, "laptop", "Devices", f"Signed in on {devices} devices" if devices > 1 else "Only this one"),
        Place(EMAIL, "mail", "E-mail", (owner.user.email if owner.user.email_verified else None) or "None confirmed"),
        Place("/account/password", "password", "Password", _changed(owner.user.password_changed_at)),
        Place(APPS, "apps", "Connected apps", f"{apps or 'No'} {'app' if apps == 1 else 'apps'} can use your account"),
        Place(PROFILE, "user", "Profile", str(owner.user.profile.get("name", "Name, language, time zone"))),
        Place(ACTIVITY, "clock", "Activity", "What happened in the last 90 days"),
        Place(DATA, "data", "Your data", "Download it, or delete your account"),
    )
    protection, care = _protection(owner, ways, codes, moment(request)), _care(owner, codes)
    content = AccountPage(
        Person(owner.user.username),
        owner.user.email,
        protection,
        places,
        care,
        waiting=waiting.shown if waiting else None,
    )
    return page(request, content)


def _protection(owner: Owner, ways: str, codes: RecoveryCodes | None, now: datetime) -> Protection:
    own = (one for one in owner.enrolled if one.method == "password")
    best = assess(one.evidence(now) for one in (*own, *owner.second_factors))
    strong = best is not None and best.acr != "1fa"
    title = "Two independent steps protect your account" if strong else "A password alone protects your account"
    unused = codes.left if codes else 0
    facts = (
        ("Something you know", "Password" if owner.user.password_hash else "Nothing"),
        ("Something you have", ways or "Nothing yet"),
        ("If you lose it", step_of("recovery").count(unused) if unused else "Nothing yet"),
    )
    return Protection(title, facts if owner.second_factors else facts[:2])


def _care(owner: Owner, codes: RecoveryCodes | None) -> str | None:
    """A word of warning where recovery codes run out; that there never were any is said among the ways to sign in."""
    if codes is None or codes.left > FEW_CODES or not owner.second_factors:
        return None
    count = step_of("recovery").count(codes.left) if codes.left else "No recovery code"
    return f"{count} {'is' if codes.left < 2 else 'are'} left. Make new ones before you need one."


def _changed(changed_at: datetime | None) -> str:
    return f"Changed on {changed_at:%-d %B}" if changed_at else "None yet"


def _counted(enrolled: tuple[Authenticator, ...]) -> str:
    """How many there are of each kind."""
    counts = [(step, sum(one.method == step.method for one in enrolled)) for step in STEPS]
    return ", ".join(step.count(count) for step, count in counts if count)
