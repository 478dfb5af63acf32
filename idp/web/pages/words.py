"""The fixed words for what went wrong."""

from idp.base.text import Text, say

WORDS: dict[str, Text] = {
    "account_unavailable": say(
        "You cannot sign in with this account now. Your organisation's help desk can tell you more."
    ),
    "already_signed_in": say("You are already signed in as %(username)s. Continue, or use another account."),
    "client_unknown": say("We do not know the app that sent you here."),
    "code_dead": say("Five wrong codes. Get a new one to go on."),
    "code_expired": say("That code is older than 10 minutes. Get a new one."),
    "code_used": say("That code was already used. Wait for the next one."),
    "code_wrong": say("That code did not work. Wait for the next one in your app and enter it."),
    "confirmation_wrong": say("That is not your user name. Enter it as it stands here to delete the account."),
    "email_invalid": say("Enter an e-mail address like name@mail.example."),
    "email_needed": say("You sign in with codes that go to this address. Add another way to sign in first."),
    "form_expired": say("This page was open for too long. Nothing was changed. Here it is again."),
    "interaction_gone": say("This sign-in has ended. Go back to the app and start again."),
    "last_factor": say("This is your only way to sign in. Add another first."),
    "locale_unknown": say("Enter a language tag like en or pt-BR."),
    "method_unknown": say("That way is not one of yours. Choose one of these."),
    "password_context": say("This password is close to your name or ours. Choose another."),
    "password_known": say("This password is on lists of leaked passwords. Choose another."),
    "password_long": say("Use at most 128 characters."),
    "password_short": say("Use at least %(minimum)s characters. A few unrelated words are enough."),
    "password_wrong": say("That is not your current password. Check it and try again."),
    "phone_invalid": say("Enter the number with its country code, like +44 7700 900123."),
    "profile_characters": say("Use letters, digits, spaces and ordinary signs."),
    "profile_long": say("Use at most 64 characters."),
    "recovery_wrong": say("That recovery code did not work. Check it, or use one that you have not used yet."),
    "redirect_uri_mismatch": say(
        "This sign-in link does not work. The app asked us to send you to an address that it has not registered."
    ),
    "registration_throttled": say("Too many accounts were made from your network just now. Try again in an hour."),
    "server_busy": say("We cannot do this right now. Nothing was changed. Try again in a minute."),
    "sent_code_wrong": say("That code did not work. Check it and enter it again, or get a new one."),
    "step_up_impossible": say("%(client)s needs a sign-in that your account cannot do yet. Add a passkey, then go on."),
    "throttled": say("Too many attempts. Wait 30 seconds, then try again. A passkey works at once."),
    "totp_limit": say("You have as many authenticator apps as an account can have. Remove one first."),
    "username_characters": say("Use letters, digits, dots, dashes and underscores, and begin with a letter or digit."),
    "username_ending": say("Do not end the user name with a dot."),
    "username_scripts": say("Use letters and digits of one script. Mixed, they can look like another user name."),
    "username_short": say("Use at least 3 characters."),
    "username_taken": say("This user name is in use. Choose another."),
    "webauthn_cancelled": say("Nothing was used. Try again, or use another way."),
    "webauthn_exists": say("This device has a passkey for your account already. Add one on another device."),
    "webauthn_failed": say("That passkey did not work here. Try again, or use another way."),
    "webauthn_limit": say("You have as many passkeys as an account can have. Remove one first."),
    "webauthn_timeout": say("Your browser stopped waiting. Try again."),
    "webauthn_unknown": say(
        "This passkey is not registered here any more. Use another, then remove it from your device."
    ),
    "webauthn_uv": say(
        "This passkey or security key cannot sign you in alone. Set a PIN on it, or use it after your password."
    ),
    "wrong_credentials": say("That user name and password do not match. Check both and try again, or use a passkey."),
    "zoneinfo_unknown": say("Enter a time zone like Europe/Paris."),
}
"""What a page says for each cause, the cause being its ``data-error``."""

# What the script may show by itself; when adding, the same causes call for other advice.
CEREMONY_WORDS = {name: WORDS[name] for name in ("webauthn_cancelled", "webauthn_timeout", "webauthn_failed")}
CREATION_WORDS = {
    "webauthn_cancelled": say("Nothing was added. Try again when you are ready."),
    "webauthn_timeout": WORDS["webauthn_timeout"],
    "webauthn_failed": say("That did not work here. Try again, or use another device or key."),
    "webauthn_exists": WORDS["webauthn_exists"],
}
