"""The fixed words for what went wrong."""

WORDS: dict[str, str] = {
    "account_unavailable": "You cannot sign in with this account now. Your organisation's help desk can tell you more.",
    "already_signed_in": "You are already signed in as {username}. Continue, or use another account.",
    "client_unknown": "We do not know the app that sent you here.",
    "code_dead": "Five wrong codes. Get a new one to go on.",
    "code_expired": "That code is older than 10 minutes. Get a new one.",
    "code_used": "That code was already used. Wait for the next one.",
    "code_wrong": "That code did not work. Wait for the next one in your app and enter it.",
    "confirmation_wrong": "That is not your user name. Enter it as it stands here to delete the account.",
    "email_invalid": "Enter an e-mail address like name@mail.example.",
    "email_needed": "You sign in with codes that go to this address. Add another way to sign in first.",
    "form_expired": "This page was open for too long. Nothing was changed. Here it is again.",
    "interaction_gone": "This sign-in has ended. Go back to the app and start again.",
    "last_factor": "This is your only way to sign in. Add another first.",
    "locale_unknown": "Enter a language tag like en or pt-BR.",
    "method_unknown": "That way is not one of yours. Choose one of these.",
    "password_context": "This password is close to your name or ours. Choose another.",
    "password_known": "This password is on lists of leaked passwords. Choose another.",
    "password_long": "Use at most 128 characters.",
    "password_short": "Use at least {minimum} characters. A few unrelated words are enough.",
    "password_wrong": "That is not your current password. Check it and try again.",
    "phone_invalid": "Enter the number with its country code, like +44 7700 900123.",
    "profile_characters": "Use letters, digits, spaces and ordinary signs.",
    "profile_long": "Use at most 64 characters.",
    "recovery_wrong": "That recovery code did not work. Check it, or use one that you have not used yet.",
    "redirect_uri_mismatch": "This sign-in link does not work. "
    "The app asked us to send you to an address that it has not registered.",
    "registration_throttled": "Too many accounts were made from your network just now. Try again in an hour.",
    "server_busy": "We cannot do this right now. Nothing was changed. Try again in a minute.",
    "sent_code_wrong": "That code did not work. Check it and enter it again, or get a new one.",
    "step_up_impossible": "{client} needs a sign-in that your account cannot do yet. Add a passkey, then go on.",
    "throttled": "Too many attempts. Wait 30 seconds, then try again. A passkey works at once.",
    "totp_limit": "You have as many authenticator apps as an account can have. Remove one first.",
    "username_characters": "Use letters, digits, dots, dashes and underscores, and begin with a letter or digit.",
    "username_short": "Use at least 3 characters.",
    "username_taken": "This user name is in use. Choose another.",
    "webauthn_cancelled": "Nothing was used. Try again, or use another way.",
    "webauthn_exists": "This device has a passkey for your account already. Add one on another device.",
    "webauthn_failed": "That passkey did not work here. Try again, or use another way.",
    "webauthn_limit": "You have as many passkeys as an account can have. Remove one first.",
    "webauthn_timeout": "Your browser stopped waiting. Try again.",
    "webauthn_unknown": "This passkey is not registered here any more. Use another, then remove it from your device.",
    "webauthn_uv": "This key did not check that it is you. Set a PIN on it, or use another way.",
    "wrong_credentials": "That user name and password do not match. Check both and try again, or use a passkey.",
    "zoneinfo_unknown": "Enter a time zone like Europe/Paris.",
}
"""What a page says for each cause, the cause being its ``data-error``."""

# What the script may show by itself; when adding, the same causes call for other advice.
CEREMONY_WORDS = {name: WORDS[name] for name in ("webauthn_cancelled", "webauthn_timeout", "webauthn_failed")}
CREATION_WORDS = {
    "webauthn_cancelled": "Nothing was added. Try again when you are ready.",
    "webauthn_timeout": WORDS["webauthn_timeout"],
    "webauthn_failed": "That did not work here. Try again, or use another device or key.",
    "webauthn_exists": WORDS["webauthn_exists"],
}
