"""``/account/activity``: what happened to the account, as far as its owner can make use of it."""

from collections.abc import Mapping
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from idp.base.text import Moment, Phrase, Text, say
from idp.model.event import Activity
from idp.store.audit_events import list_activity
from idp.store.database import transaction
from idp.web.account.owner import find_owner, to_login
from idp.web.answers import page
from idp.web.notices import browser_of
from idp.web.pages import Act, ActivityPage
from idp.web.provider import moment, provider_of
from idp.web.steps import STEPS

ACTIVITY = "/account/activity"
SHOWN = timedelta(days=90)
PER_PAGE = 50

ACTS: Mapping[str, tuple[str, Text]] = {
    "registered": ("user", say("Account made")),
    "user_added": ("user", say("Account made by an operator")),
    "user_disabled": ("shield", say("Account shut by an operator")),
    "user_enabled": ("shield", say("Account opened again by an operator")),
    "user_unlocked": ("shield", say("Failed attempts forgotten by an operator")),
    "sign_in": ("done", say("Signed in")),
    "code_sent": ("phone", say("A code was sent")),
    "code_held_back": ("alert", say("No code was sent: too many had been")),
    "step_up": ("shield", say("Shown again that it is you")),
    "sign_in_failed": ("alert", say("A sign-in failed")),
    "sign_in_held_back": ("alert", say("A sign-in was held back: too many had failed")),
    "factor_locked": ("alert", say("Codes switched off: too many were wrong")),
    "device_trusted": ("laptop", say("A device is not asked for a second step any more")),
    "device_trust_ended": ("laptop", say("A device is asked for a second step again")),
    "enrolment_deferred": ("shield", say("Adding a way to sign in was put off")),
    "sign_out": ("laptop", say("Signed out")),
    "session_ended": ("laptop", say("A device was signed out")),
    "sessions_ended": ("laptop", say("All other devices were signed out")),
    "authenticator_added": ("plus", say("%(kind)s added")),
    "authenticator_removed": ("info", say("%(kind)s removed")),
    "number_refused": ("alert", say("A number was not confirmed: the code was wrong")),
    "number_held_back": ("alert", say("A number was not confirmed: too many attempts")),
    "recovery_codes_renewed": ("codes", say("New recovery codes made")),
    "recovery_codes_removed": ("codes", say("Recovery codes removed")),
    "password_changed": ("password", say("Password changed")),
    "password_removed": ("password", say("Password removed")),
    "password_change_refused": ("alert", say("The password was not changed: the current one was wrong")),
    "password_change_held_back": ("alert", say("The password was not changed: too many attempts")),
    "password_reset": ("password", say("New password chosen through a link by mail")),
    "recovery_started": ("mail", say("A link for a new password was sent by mail")),
    "recovery_held_back": ("alert", say("No mail was sent to recover the account: too many had been asked for")),
    "recovery_refused": ("alert", say("No new password was chosen: the second step was wrong")),
    "email_link_sent": ("mail", say("A link was sent to confirm an e-mail address")),
    "email_link_held_back": ("alert", say("No link was sent to confirm an e-mail address: too many had been")),
    "email_change_requested": ("mail", say("Another e-mail address was given")),
    "email_confirmed": ("mail", say("E-mail address confirmed")),
    "account_cleared": ("shield", say("Cleared of what was there before its address was confirmed")),
    "email_released": ("mail", say("An address that was not confirmed was removed")),
    "email_removed": ("mail", say("E-mail address removed")),
    "profile_changed": ("user", say("Profile changed")),
    "consent_given": ("apps", say("App allowed")),
    "consent_denied": ("apps", say("App denied")),
    "consent_withdrawn": ("apps", say("App removed")),
    "authorization_revoked": ("apps", say("An app was disconnected")),
    "data_downloaded": ("data", say("Your data was downloaded")),
}
"""What each event of the audit trail is to the owner of the account, with its icon; others are not shown."""


async def show(request: Request) -> Response:
    """One page of it, the newest or what is older than the event that the query names."""
    before, now = _before(request), moment(request)
    async with transaction(provider_of(request).pool) as conn:
        owner = await find_owner(request, conn)
        if owner is None:
            return await to_login(request, conn)
        found = await list_activity(
            conn, owner.user.sub, since=now - SHOWN, events=ACTS, before=before, limit=PER_PAGE + 1
        )
    shown = found[:PER_PAGE]
    older = f"{ACTIVITY}?before={shown[-1].event.id}" if len(found) > PER_PAGE else None
    return page(request, ActivityPage(tuple(map(_act, shown)), older, newest=before is None))


def _before(request: Request) -> int | None:
    """The place in the trail that the query names; anything else is as if nothing were said."""
    given = request.query_params.get("before", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 18 else None


def _act(activity: Activity) -> Act:
    event = activity.event
    icon, title = ACTS[event.event]
    step = next((step for step in STEPS if step.method == event.details.get("method")), None)
    to_app = say("Signed in to %(app)s", app=activity.app) if event.event == "sign_in" and activity.app else None
    facts: tuple[Phrase | None, ...] = (
        Moment(event.at),
        None if to_app else activity.app,
        step.title if step and event.actor == "anonymous" else None,
        browser_of(activity.user_agent) if activity.user_agent else None,
        event.address,
    )
    kind = step.title if step else say("Way to sign in")
    return Act(icon, to_app or Text(title.message, {"kind": kind}), tuple(fact for fact in facts if fact is not None))
