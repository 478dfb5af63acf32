"""What the user must do next: one row for each reason (OpenID Connect Core §3.1.2.3)."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from idp.model.client import Client
from idp.oauth.claims import ClaimsRequest
from idp.oauth.prompts import Situation, next_need
from idp.oauth.request import AuthorizationRequest, RedirectTarget

CLIENT = Client("web", "Web", "none", datetime(2026, 1, 1, tzinfo=UTC))
REQUEST = AuthorizationRequest(RedirectTarget(CLIENT, "https://rp.test/cb", "query", None), scope=("openid",))
READY = Situation(REQUEST, "alice", signed_in=True, met=True, reachable=True, remembered=frozenset({"openid"}))


NATIVE = replace(REQUEST, target=RedirectTarget(CLIENT, "http://127.0.0.1:51004/cb", "query", None))
SCHEME = replace(REQUEST, target=RedirectTarget(CLIENT, "com.example.app:/cb", "query", None))
PROVED = replace(
    NATIVE, target=replace(NATIVE.target, client=replace(CLIENT, token_endpoint_auth_method="private_key_jwt"))
)


def asking(prompt: str) -> AuthorizationRequest:
    return replace(REQUEST, prompt=frozenset({prompt}))


def naming(**member: object) -> AuthorizationRequest:
    return replace(REQUEST, claims=ClaimsRequest(id_token={"sub": member}))


@pytest.mark.parametrize(
    ("situation", "prompt", "code"),
    [
        (replace(READY, request=asking("create")), "create", "login_required"),
        (replace(READY, request=asking("select_account")), "select_account", "account_selection_required"),
        (replace(READY, signed_in=False), "login", "login_required"),
        (replace(READY, hinted="bob"), "refuse", "login_required"),
        (replace(READY, request=naming(value="bob")), "refuse", "login_required"),
        (replace(READY, request=naming(values=["bob", 1, {}])), "refuse", "login_required"),
        (replace(READY, met=False), "step_up", "unmet_authentication_requirements"),
        (replace(READY, met=False, reachable=False), "enrol", "unmet_authentication_requirements"),
        (
            replace(
                READY,
                met=False,
                reachable=False,
                request_reachable=False,
                request=replace(REQUEST, acr_is_essential=True),
            ),
            "refuse",
            "unmet_authentication_requirements",
        ),
        (
            replace(READY, met=False, reachable=False, request=replace(REQUEST, acr_is_essential=True)),
            "enrol",
            "unmet_authentication_requirements",
        ),
        (replace(READY, reminder=True), "remind", "unmet_authentication_requirements"),
        (replace(READY, met=False, reminder=True), "step_up", "unmet_authentication_requirements"),
        (replace(READY, reminder=True, remembered=frozenset()), "remind", "unmet_authentication_requirements"),
        (replace(READY, remembered=frozenset()), "consent", "consent_required"),
        (replace(READY, request=asking("consent")), "consent", "consent_required"),
        (replace(READY, request=NATIVE), "consent", "consent_required"),
        (replace(READY, request=SCHEME), "consent", "consent_required"),
    ],
)
def test_the_first_thing_missing(situation: Situation, prompt: str, code: str) -> None:
    need = next_need(situation)
    assert need is not None
    assert (need.prompt, need.error.code) == (prompt, code)


@pytest.mark.parametrize(
    "situation",
    [
        READY,
        replace(READY, request=naming(essential=True)),
        replace(READY, request=naming(values=["bob", "alice"])),
        replace(READY, request=asking("create"), chosen=True),
        replace(READY, request=asking("consent"), approved=frozenset({"openid"})),
        replace(READY, request=NATIVE, approved=frozenset({"openid"})),
        replace(READY, request=PROVED),
        replace(READY, hinted="alice"),
        replace(READY, request=asking("none"), reminder=True),
    ],
)
def test_nothing_is_missing(situation: Situation) -> None:
    assert next_need(situation) is None
