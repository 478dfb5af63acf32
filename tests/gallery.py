"""Every page as people may meet it: all samples, and the states of them that look different."""

from dataclasses import replace
from pathlib import Path

from idp.base.text import say, say_many
from idp.web.account.authenticators import NO_CODES
from idp.web.confirm_email import CLEARS, SIGN_IN_FIRST
from idp.web.pages import (
    PAGES,
    WORDS,
    AccountPage,
    ActivityPage,
    AddPhonePage,
    AddTotpPage,
    AppsPage,
    AuthenticatorsPage,
    ConfirmPage,
    DeletePage,
    DonePage,
    EmailPage,
    EnrolPage,
    ErrorPage,
    Fault,
    LinkPage,
    NewPasswordPage,
    Offer,
    Page,
    Pages,
    PasswordPage,
    Person,
    ProfilePage,
    RecoveryCodesPage,
    RecoveryPage,
    RegisterPage,
    RemoveFactorsPage,
    RemovePage,
    SentCodePage,
    SessionsPage,
    SignInPage,
    SignOutPage,
    Slip,
    TotpPage,
    WebAuthnPage,
    Why,
    WithdrawPage,
)

TEMPLATES = Path(__file__).parents[1] / "templates"


def pages(operator: str = "Example ID") -> Pages:
    """The templates of this checkout."""
    return Pages(operator, TEMPLATES)


def gallery() -> dict[str, Page]:
    """Pages by a short name that tells them apart."""
    samples = {name_of(kind): kind.sample() for kind in PAGES}
    return samples | _states()


def name_of(kind: type[Page]) -> str:
    """The short name of a page, which its template gives it."""
    return kind.template.removesuffix(".html").replace("/", "-").replace("_", "-")


_SEVEN_DAYS = say_many(
    "Your account cannot do this yet. You have 1 day to add one of these.",
    "Your account cannot do this yet. You have %(count)s days to add one of these.",
    7,
)


def _enforced() -> EnrolPage:
    """Two steps that the organisation asks for, of an account that has one."""
    offers = (
        Offer.passkey("/account/authenticators/add-passkey"),
        Offer.totp("/account/authenticators/add-totp"),
        Offer.phone("/account/authenticators/add-phone"),
    )
    return replace(
        EnrolPage.sample(),
        slip=Slip(EnrolPage.sample().slip.client, Why("organisation", "mfa")),
        text=say("Your account cannot do this yet. Add one of these, then go on."),
        offers=offers,
    )


def _states() -> dict[str, Page]:
    sign_in, totp, webauthn = SignInPage.sample(), TotpPage.sample(), WebAuthnPage.sample()
    faults = (
        Fault.of("username_taken", "username"),
        Fault.of("password_short", "password", minimum=15),
        Fault.of("email_invalid", "email"),
        Fault.of("phone_invalid", "phone"),
    )
    return {
        "login-password-failed": replace(sign_in, username="alice", fault=Fault.of("wrong_credentials")),
        "login-password-alone": replace(sign_in, slip=Slip(), passkey_options=None, register_url=None),
        "login-password-again": replace(
            sign_in, person=Person("alice"), other_account_url="/login", notice=WORDS["form_expired"], register_url=None
        ),
        "login-totp-failed": replace(totp, fault=Fault.of("code_wrong", "code")),
        "login-sent-code-not-yet": replace(SentCodePage.sample(), sent=False),
        "login-sent-code-failed": replace(SentCodePage.sample(), fault=Fault.of("code_dead")),
        "login-sent-code-mail": replace(SentCodePage.sample(), method="email", where="a•••@mail.example"),
        "account-add-phone-confirm": replace(AddPhonePage.sample(), number="+447700900123"),
        "account-add-phone-failed": replace(AddPhonePage.sample(), typed="1", fault=Fault.of("phone_invalid", "phone")),
        "account-add-phone-wrong": replace(
            AddPhonePage.sample(), number="+447700900123", fault=Fault.of("code_expired")
        ),
        "login-webauthn-second": replace(webauthn, used=None, steps=(2, 2), explain_phishing=False),
        "login-webauthn-failed": replace(webauthn, fault=Fault.of("webauthn_unknown"), unknown="AAECAwQFBgcICQoL"),
        "login-webauthn-alone": replace(webauthn, used=None, other_ways_url=None, explain_phishing=False),
        "register-failed": replace(RegisterPage.sample(), username="alice", email="alice@", phone="1", faults=faults),
        "register-invited": replace(
            RegisterPage.sample(),
            slip=Slip(),
            email="alice@mail.example",
            faults=(),
            invitation="SplxlOBeZQQYbYS6W",
        ),
        "register-invited-failed": replace(
            RegisterPage.sample(), slip=Slip(), email="alice@mail.example", invitation="SplxlOBeZQQYbYS6W"
        ),
        "error-sign-up-off": replace(
            ErrorPage.sample(),
            cause="sign_up_off",
            title=say("You cannot create an account here"),
            text=(say("This service does not let people create accounts themselves."),),
            facts=ErrorPage.sample().facts[2:],
            advice=say("If you have an account, sign in. If you need one, ask your help desk."),
            onward=(say("Sign in"), "/login"),
        ),
        "account-authenticators-none": AuthenticatorsPage(Person("alice"), (), ()),
        "account-authenticators-without-codes": replace(
            AuthenticatorsPage.sample(), codes=say("None yet"), care=NO_CODES, others=1
        ),
        "account-overview-calm": replace(AccountPage.sample(), care=None, email=None),
        "login-totp-trust": replace(totp, trust_days=30),
        "login-webauthn-trust": replace(webauthn, used=None, steps=(2, 2), explain_phishing=False, trust_days=1),
        "login-sent-code-trust": replace(SentCodePage.sample(), trust_days=30),
        "login-enrol-reminder": replace(
            _enforced(), title=say("Add a second step"), text=_SEVEN_DAYS, later_url="/login/later"
        ),
        "login-enrol-enforced": _enforced(),
        "login-recovery-failed": replace(RecoveryPage.sample(), fault=Fault.of("recovery_wrong")),
        "account-overview-unconfirmed": replace(AccountPage.sample(), waiting="alice@mail.example"),
        "account-email-none": EmailPage(Person("alice"), None, None),
        "account-email-failed": replace(
            EmailPage.sample(), typed="alice@", waiting=None, fault=Fault.of("email_invalid", "email")
        ),
        "account-email-needed": replace(EmailPage.sample(), fault=Fault.of("email_needed")),
        "new-password-failed": replace(
            NewPasswordPage.sample(), fault=Fault.of("password_short", "password", minimum=8)
        ),
        "remove-factors-failed": replace(RemoveFactorsPage.sample(), fault=Fault.of("password_wrong", "password")),
        "done-taken": replace(DonePage.sample(), title=say("This address is in use"), advice=None, icon="alert"),
        "link-clears": replace(
            LinkPage.sample(),
            title=say("Confirm your e-mail address"),
            text=say(
                "%(address)s was given for this account. Confirm it only if the account is yours.",
                address="alice@mail.example",
            ),
            button=say("Confirm address"),
            warning=CLEARS,
            onward=SIGN_IN_FIRST,
        ),
        "done-cleared": replace(
            DonePage.sample(),
            title=say("Your e-mail address is confirmed"),
            text=say("What was set up in the account before is removed. Choose a password to sign in with."),
            advice=None,
            onward=(say("Choose a password"), "/recover/new-password"),
        ),
        "sign-out-doubtful": replace(SignOutPage.sample(), is_doubtful=True),
        "account-recovery-codes-none": RecoveryCodesPage(0, 0, None),
        "account-recovery-codes-not-yet": RecoveryCodesPage(0, 0, None, offered=False),
        "account-sessions-alone": SessionsPage(SessionsPage.sample().devices[:1]),
        "account-sessions-trusted-elsewhere": replace(SessionsPage.sample(), trusted=SessionsPage.sample().trusted[1:]),
        "account-password-failed": replace(PasswordPage.sample(), fault=Fault.of("password_wrong", "current_password")),
        "account-password-first": replace(
            PasswordPage.sample(), has_one=False, fault=Fault.of("password_short", "password", minimum=8)
        ),
        "account-password-removable": replace(PasswordPage.sample(), passkeys=1, remove_url="/account/password/remove"),
        "account-password-removable-later": replace(PasswordPage.sample(), passkeys=2),
        "account-add-totp-failed": replace(AddTotpPage.sample(), fault=Fault.of("code_wrong", "code")),
        "account-apps-none": AppsPage(()),
        "account-withdraw-online": replace(WithdrawPage.sample(), app=AppsPage.sample().apps[0]),
        "account-activity-none": ActivityPage((), newest=False),
        "account-profile-failed": ProfilePage(
            Person("alice"),
            {"name": "Alice", "zoneinfo": "Paris"},
            (Fault.of("profile_characters", "nickname"), Fault.of("zoneinfo_unknown", "zoneinfo")),
        ),
        "account-delete-failed": replace(DeletePage.sample(), fault=Fault.of("confirmation_wrong", "confirmation")),
        "account-confirm-sensitive": replace(ConfirmPage.sample(), minutes=5),
        "account-remove-last": RemovePage("/", "webauthn", "Laptop", last=True),
    }
