"""What samples of pages are made of: an app, its wishes, and two days."""

from datetime import UTC, datetime

from idp.web.pages.parts import Client, Why

BANK = Client(
    "Example Bank",
    "bank.example",
    policy_uri="https://bank.example/privacy",
    tos_uri="https://bank.example/terms",
)
PHISHING_RESISTANT = Why("app", "phr", "Example Bank")
TWO_STEPS = Why("app", "mfa", "Example Bank")
REQUEST = (
    '{"challenge": "AAECAwQFBgcICQoLDA0ODw", "rpId": "localhost", "timeout": 300000, "userVerification": "required"}'
)
MARCH = datetime(2026, 3, 3, 9, 41, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
