from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.authn.assurance import assess
from idp.authn.methods import in_force
from idp.authn.policy import (
    Enrolment,
    Outlook,
    Reason,
    Requirement,
    counting,
    is_waivable,
    lacking,
    of_organisation,
    on_trusted_device,
    outlook,
    required,
    reset_steps,
    upheld,
)
from idp.model.assurance import ACR_VALUES, Evidence, meets
from idp.model.credential import Authenticator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PASSWORD = Authenticator("password", "Password")
APP = Authenticator("totp", "App", "app")
SPARE = Authenticator("totp", "Spare app", "spare")
KEY = Authenticator("webauthn", "Key", "key", device_bound=True)
PASSKEY = Authenticator("webauthn", "Passkey", "passkey", user_verified=True)
TRUSTED = Authenticator("webauthn", "Trusted", "trusted", device_bound=True, attested=True)
MAIL = Authenticator("email", "Mail")
NUMBER = Authenticator("sms", "Number", "phone")
CODES = Authenticator("recovery", "Codes")
BY_ITSELF = replace(PASSKEY, voluntary=True)
ALL = (PASSWORD, APP, SPARE, KEY, PASSKEY, TRUSTED)


def names(found: tuple[Authenticator, ...]) -> str:
    return " ".join(str(one.name) for one in found)


def look(acr: str, shown: tuple[Authenticator, ...], has: tuple[Authenticator, ...]) -> Outlook:
    return outlook(Requirement(acr), tuple(one.evidence(NOW) for one in shown), has, NOW)


REQUIRED = {
    "nothing asked, one factor": (None, None, (PASSWORD,), "1fa", []),
    "nobody known yet": (None, None, (), "1fa", []),
    "a second factor is asked for": (None, None, (PASSWORD, APP), "mfa", ["account"]),
    "a passkey is two factors": (None, None, (PASSKEY,), "mfa", ["account"]),
    "two apps and no password cannot be mfa": (None, None, (APP, SPARE), "1fa", []),
    "the request": ("phr", None, (PASSWORD,), "phr", ["application_request"]),
    "a request for one factor is no reason": ("1fa", None, (PASSWORD,), "1fa", []),
    "the client": (None, "mfa", (PASSWORD,), "mfa", ["application_policy"]),
    "the highest first": (
        "mfa",
        "phr",
        (PASSWORD, APP),
        "phr",
        ["application_policy", "application_request", "account"],
    ),
    "a request cannot lower the account": ("1fa", None, (PASSWORD, APP), "mfa", ["account"]),
}


@pytest.mark.parametrize(("requested", "client_min", "has", "acr", "kinds"), REQUIRED.values(), ids=REQUIRED)
def test_required(
    requested: str | None, client_min: str | None, has: tuple[Authenticator, ...], acr: str, kinds: list[str]
) -> None:
    """ASVS 6.3.3."""
    found = required(requested=requested, client_min=client_min, authenticators=has)
    assert found.acr == acr
    assert [reason.kind for reason in found.reasons] == kinds


def test_what_is_voluntary_is_not_asked_for_and_serves() -> None:
    """Its owner may not know that it is there."""
    by_itself = replace(PASSKEY, voluntary=True)
    found = required(requested=None, client_min=None, authenticators=(PASSWORD, by_itself))
    assert found == Requirement("1fa")
    assert outlook(Requirement("phr"), (), (PASSWORD, by_itself), NOW).ways == (by_itself,)
    asked = required(requested=None, client_min=None, authenticators=(PASSWORD, APP, by_itself))
    assert asked.acr == "mfa"


def test_a_reason_keeps_its_own_level() -> None:
    found = required(requested="phr", client_min="mfa", authenticators=())
    assert found.reasons == (Reason("application_request", "phr"), Reason("application_policy", "mfa"))


def test_the_strongest_group_counts_beside_the_installation() -> None:
    assert of_organisation("mfa", ["mfa", "phr"]) == (Reason("group", "phr"), Reason("installation", "mfa"))
    assert of_organisation(None, []) == ()


WEEK = timedelta(days=7)
GROUP = Reason("group", "mfa")

# What is asked, what the user has, when it is due, the grace: then whether it may wait, None where nothing is lacking.
LACKING = {
    "it can be reached": (GROUP, (PASSWORD, APP), None, WEEK, None),
    "a factor that is locked is there": (GROUP, (PASSWORD, replace(APP, locked=True)), None, WEEK, None),
    "nobody was told yet": (GROUP, (PASSWORD,), None, WEEK, True),
    "there is time": (GROUP, (PASSWORD,), NOW + timedelta(seconds=1), WEEK, True),
    "time is up": (GROUP, (PASSWORD,), NOW, WEEK, False),
    "there is no grace": (GROUP, (PASSWORD,), None, timedelta(0), False),
    "an app is too little": (Reason("installation", "phr"), (PASSWORD, APP), None, WEEK, True),
}


@pytest.mark.parametrize(("reason", "has", "due_at", "grace", "may_wait"), LACKING.values(), ids=LACKING)
def test_what_is_lacking(
    reason: Reason, has: tuple[Authenticator, ...], due_at: datetime | None, grace: timedelta, may_wait: bool | None
) -> None:
    found = lacking((reason,), has, due_at=due_at, grace=grace, now=NOW)
    assert (found and found.may_wait) == may_wait
    assert upheld((reason,), found) == (() if may_wait else (reason,))


def test_only_what_is_lacking_waits() -> None:
    both = of_organisation("mfa", ["phr"])
    found = lacking(both, (PASSWORD, APP), due_at=None, grace=WEEK, now=NOW)
    assert found == Enrolment((Reason("group", "phr"),), None, may_wait=True)
    assert upheld(both, found) == (Reason("installation", "mfa"),)


TRUSTED_DEVICE = {
    "the account's two steps": ([("account", "mfa"), ("group", "mfa"), ("installation", "mfa")], "1fa", True),
    "the request's stay": ([("application_request", "mfa"), ("account", "mfa")], "mfa", False),
    "the client's stay": ([("application_policy", "mfa"), ("account", "mfa")], "mfa", False),
    "phr stays": ([("group", "phr"), ("account", "mfa")], "phr", False),
    "nothing is asked": ([], "1fa", False),
}


@pytest.mark.parametrize(("reasons", "acr", "waivable"), TRUSTED_DEVICE.values(), ids=TRUSTED_DEVICE)
def test_a_34_what_a_trusted_device_stands_in_for(reasons: list[tuple[str, str]], acr: str, waivable: bool) -> None:
    requirement = Requirement(reasons[0][1] if reasons else "1fa", tuple(Reason(*each) for each in reasons))
    assert on_trusted_device(requirement).acr == acr
    assert is_waivable(requirement) is waivable


# The level, what was shown, what the user has: then the ways, the weak ones.
OUTLOOK = {
    "password begins, even where an app was set up": ("mfa", (), (PASSWORD, APP), "Password", ""),
    "the password comes before a passkey": ("mfa", (), (APP, PASSKEY, PASSWORD), "Password Passkey", ""),
    "a passkey begins": ("1fa", (), (PASSKEY,), "Passkey", ""),
    "an app never begins": ("1fa", (), (APP,), "", ""),
    "a key without verification never begins": ("1fa", (), (KEY,), "", ""),
    "after the password, the app": ("mfa", (PASSWORD,), (PASSWORD, APP), "App", ""),
    "any of two apps": ("mfa", (PASSWORD,), (PASSWORD, APP, SPARE), "App Spare app", ""),
    "the passkey before the key before the app": (
        "mfa",
        (PASSWORD,),
        (PASSWORD, APP, KEY, PASSKEY),
        "Passkey Key App",
        "",
    ),
    "an app is too weak for phr": ("phr", (PASSWORD,), (PASSWORD, APP, KEY), "Key", "App"),
    "a step up asks for the key alone": ("phr", (PASSWORD, APP), (PASSWORD, APP, KEY), "Key", ""),
    "the other app stays weak": ("phr", (PASSWORD, APP), (PASSWORD, APP, SPARE, KEY), "Key", "Spare app"),
    "a password leads to phr with a key": ("phr", (), (PASSWORD, APP, KEY), "Password", "App"),
    "a password does not help a passkey": ("phr", (), (PASSWORD, PASSKEY), "Passkey", "Password"),
    "only the trusted one": ("phrh", (PASSWORD,), (PASSWORD, KEY, PASSKEY, TRUSTED), "Trusted", "Key Passkey"),
    "a passkey after a key without verification": ("phr", (KEY,), (KEY, PASSKEY), "Passkey", ""),
    "out of reach": ("phr", (PASSWORD,), (PASSWORD, APP), "", "App"),
    "nothing at all": ("1fa", (), (), "", ""),
}


@pytest.mark.parametrize(("acr", "shown", "has", "ways", "weak"), OUTLOOK.values(), ids=OUTLOOK)
def test_outlook(
    acr: str, shown: tuple[Authenticator, ...], has: tuple[Authenticator, ...], ways: str, weak: str
) -> None:
    found = look(acr, shown, has)
    assert not found.met
    assert (names(found.ways), names(found.weak)) == (ways, weak)
    assert found.reachable == bool(ways)


def test_enough_is_enough() -> None:
    assert look("mfa", (PASSWORD, APP), ALL) == Outlook(met=True)
    assert look("mfa", (PASSKEY,), ALL) == Outlook(met=True)


def test_what_was_used_last_comes_first() -> None:
    recent = replace(APP, last_used_at=NOW - timedelta(days=1))
    older = replace(PASSKEY, last_used_at=NOW - timedelta(days=2))
    assert names(look("mfa", (PASSWORD,), (PASSWORD, older, recent, KEY)).ways) == "App Passkey Key"


def test_a_key_that_did_not_verify_may_do_so_now() -> None:
    shown = (replace(PASSKEY, user_verified=False),)
    assert names(look("phr", shown, (PASSKEY,)).ways) == "Passkey"


# What the user owns: then whether a code by mail is among what serves and is asked for.
MAIL_CODES = {
    "a password": ((PASSWORD,), True),
    "an app": ((PASSWORD, APP), False),
    "an app that is locked": ((PASSWORD, replace(APP, locked=True)), False),
    "a number": ((PASSWORD, NUMBER), False),
    "a key that does not verify": ((PASSWORD, KEY), False),
    "a passkey": ((PASSWORD, PASSKEY), False),
    "a passkey and no password": ((PASSKEY,), False),
    "a passkey that the browser made by itself": ((PASSWORD, BY_ITSELF), True),
    "recovery codes, which only stand in for it": ((PASSWORD, CODES), True),
}


@pytest.mark.parametrize(("owned", "serves"), MAIL_CODES.values(), ids=MAIL_CODES)
def test_6_3_6_a_code_by_mail_serves_where_there_is_nothing_stronger(
    owned: tuple[Authenticator, ...], serves: bool
) -> None:
    """Nor is it evidence for such an account, whenever it was shown, and whatever asks for it (ASVS 6.3.6)."""
    assert in_force((*owned, MAIL)) == ((*owned, MAIL) if serves else owned)
    has, shown = in_force((*owned, MAIL)), (PASSWORD.evidence(NOW), MAIL.evidence(NOW))
    assert counting(shown, has) == (shown if serves else shown[:1])
    for kind in ("account", "group", "installation", "application_request", "application_policy"):
        found = outlook(Requirement("mfa", (Reason(kind, "mfa"),)), shown, has, NOW)
        assert found.met is serves
        assert "Mail" not in f"{names(found.ways)} {names(found.weak)}"


def test_6_3_6_what_a_code_by_mail_has_shown_counts_no_more_once_no_codes_go_there() -> None:
    """Neither with the address gone nor with such codes switched off."""
    assert counting((PASSWORD.evidence(NOW), MAIL.evidence(NOW)), (PASSWORD,)) == (PASSWORD.evidence(NOW),)


def test_6_4_3_a_reset_by_mail_asks_for_the_stronger_factor_and_of_a_mailbox_for_nothing_more() -> None:
    assert reset_steps(in_force((PASSWORD, APP, MAIL))) == (APP,)
    assert reset_steps(in_force((PASSWORD, MAIL))) == ()


@given(st.sampled_from(ACR_VALUES), st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(ALL)))
def test_following_the_ways_always_ends_at_the_requirement(
    acr: str, shown: set[Authenticator], has: set[Authenticator]
) -> None:
    evidence: tuple[Evidence, ...] = tuple(one.evidence(NOW) for one in shown)
    for _ in range(3):
        found = outlook(Requirement(acr), evidence, tuple(has), NOW)
        if found.met:
            break
        if not found.ways:
            assert not found.reachable
            best = assess((*evidence, *(one.evidence(NOW) for one in has)))
            assert not evidence or best is None or not meets(best.acr, acr)
            return
        assert not set(found.ways) & set(found.weak)
        evidence = (*evidence, found.ways[-1].evidence(NOW))
    assert outlook(Requirement(acr), evidence, tuple(has), NOW).met
