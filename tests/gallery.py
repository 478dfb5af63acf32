"""Every page as people may meet it: all samples, and the states of them that look different."""

from dataclasses import replace
from pathlib import Path

from idp.web.pages import (
    PAGES,
    AccountPage,
    AddTotpPage,
    AuthenticatorsPage,
    Fault,
    Page,
    Pages,
    PasswordPage,
    Person,
    RecoveryCodesPage,
    RecoveryPage,
    RegisterPage,
    RemovePage,
    SessionsPage,
    SignInPage,
    Slip,
    TotpPage,
    WebAuthnPage,
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
        "login-webauthn-second": replace(webauthn, used=None, steps=(2, 2), explain_phishing=False),
        "login-webauthn-failed": replace(webauthn, fault=Fault.of("webauthn_unknown")),
        "register-failed": replace(RegisterPage.sample(), username="alice", email="alice@", phone="1", faults=faults),
        "account-authenticators-none": AuthenticatorsPage(Person("alice"), (), ()),
        "account-authenticators-without-codes": replace(
            AuthenticatorsPage.sample(), codes="None yet", care="You have no recovery codes yet.", others=1
        ),
        "account-overview-calm": replace(AccountPage.sample(), care=None, email=None),
        "login-recovery-failed": replace(RecoveryPage.sample(), fault=Fault.of("recovery_wrong")),
        "account-recovery-codes-none": RecoveryCodesPage(0, 0, None),
        "account-recovery-codes-not-yet": RecoveryCodesPage(0, 0, None, offered=False),
        "account-sessions-alone": SessionsPage(SessionsPage.sample().devices[:1]),
        "account-password-failed": replace(PasswordPage.sample(), fault=Fault.of("password_wrong", "current_password")),
        "account-password-first": replace(
            PasswordPage.sample(), has_one=False, fault=Fault.of("password_short", "password", minimum=8)
        ),
        "account-add-totp-failed": replace(AddTotpPage.sample(), fault=Fault.of("code_wrong", "code")),
        "account-remove-last": RemovePage("/", "passkey", "Laptop", last=True),
    }
