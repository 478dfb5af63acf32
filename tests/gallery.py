"""Every page as people may meet it: all samples, and the states of them that look different."""

from dataclasses import replace
from pathlib import Path

from idp.web.pages import (
    PAGES,
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
    Fault,
    NewPasswordPage,
    Page,
    Pages,
    PasswordPage,
    Person,
    ProfilePage,
    RecoveryCodesPage,
    RecoveryPage,
    RegisterPage,
    RemovePage,
    SentCodePage,
    SessionsPage,
    SignInPage,
    Slip,
    TotpPage,
    WebAuthnPage,
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
            sign_in, person=Person("alice"), other_account_url="/login", notice="Here it is again.", register_url=None
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
        "login-webauthn-failed": replace(webauthn, fault=Fault.of("webauthn_unknown")),
        "register-failed": replace(RegisterPage.sample(), username="alice", email="alice@", phone="1", faults=faults),
        "account-authenticators-none": AuthenticatorsPage(Person("alice"), (), ()),
        "account-authenticators-without-codes": replace(
            AuthenticatorsPage.sample(), codes="None yet", care="You have no recovery codes yet.", others=1
        ),
        "account-overview-calm": replace(AccountPage.sample(), care=None, email=None),
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
        "done-taken": replace(DonePage.sample(), title="This address is in use", advice=None, icon="alert"),
        "account-recovery-codes-none": RecoveryCodesPage(0, 0, None),
        "account-recovery-codes-not-yet": RecoveryCodesPage(0, 0, None, offered=False),
        "account-sessions-alone": SessionsPage(SessionsPage.sample().devices[:1]),
        "account-password-failed": replace(PasswordPage.sample(), fault=Fault.of("password_wrong", "current_password")),
        "account-password-first": replace(
            PasswordPage.sample(), has_one=False, fault=Fault.of("password_short", "password", minimum=8)
        ),
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
        "account-remove-last": RemovePage("/", "passkey", "Laptop", last=True),
    }
