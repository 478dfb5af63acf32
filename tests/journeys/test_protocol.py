"""Whole stories over HTTP, without a browser's script."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.driver import (
    CALLBACK,
    ISSUER,
    PASSWORD,
    Browser,
    Rig,
    authorization,
    call,
    claims_of,
    code_of,
    exchange,
    response_of,
    running,
)


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client()
        yield found


async def signed_in(rig: Rig) -> tuple[Browser, dict[str, str]]:
    """A user who has registered, allowed the client, and the authorization response."""
    browser = rig.browser()
    await browser.get(authorization(prompt="create", scope="openid profile offline_access"))
    await browser.register()
    return browser, response_of(await browser.submit(decision="allow"))


async def test_register_consent_exchange_userinfo(rig: Rig) -> None:
    """ASVS 10.7.1."""
    _, answer = await signed_in(rig)
    assert answer["state"] == "af0ifjsldkj"
    assert answer["iss"] == ISSUER
    tokens = (await exchange(rig, answer["code"])).json()
    claims = claims_of(tokens["id_token"])
    assert (claims["acr"], claims["amr"], claims["nonce"]) == ("1fa", ["pwd"], "n-0S6_WzA2Mj")
    assert claims["sid"]
    assert claims["jti"]
    async with rig.browser().http as http:
        found = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert found.json()["preferred_username"] == "alice"
    assert found.json()["sub"] == claims["sub"]


async def test_A_11_code_reused(rig: Rig) -> None:
    _, answer = await signed_in(rig)
    tokens = (await exchange(rig, answer["code"])).json()
    second = await exchange(rig, answer["code"])
    assert (second.status_code, second.json()["error"]) == (400, "invalid_grant")
    active = await call(rig, "/oauth/introspect", {"token": tokens["access_token"]})
    assert active.json() == {"active": False}
    refreshed = await call(
        rig, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    )
    assert refreshed.json()["error"] == "invalid_grant"


async def test_A_12_code_raced(rig: Rig) -> None:
    _, answer = await signed_in(rig)
    outcomes = await asyncio.gather(*(exchange(rig, answer["code"]) for _ in range(50)))
    statuses = sorted(each.status_code for each in outcomes)
    assert statuses == [200] + [400] * 49


@pytest.mark.parametrize(("age", "status"), [(55, 200), (65, 400)])
async def test_A_13_code_age(rig: Rig, age: int, status: int) -> None:
    _, answer = await signed_in(rig)
    rig.clock.advance(age)
    assert (await exchange(rig, answer["code"])).status_code == status


async def test_A_14_refresh_reuse(rig: Rig) -> None:
    _, answer = await signed_in(rig)
    first = (await exchange(rig, answer["code"])).json()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": first}
    second = (await call(rig, "/oauth/token", form)).json()["refresh_token"]
    assert (await call(rig, "/oauth/token", form)).json()["error"] == "invalid_grant"
    assert (await call(rig, "/oauth/token", {**form, "refresh_token": second})).json()["error"] == "invalid_grant"


async def test_A_15_refresh_raced(rig: Rig) -> None:
    _, answer = await signed_in(rig)
    secret = (await exchange(rig, answer["code"])).json()["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": secret}
    outcomes = await asyncio.gather(*(call(rig, "/oauth/token", form) for _ in range(50)))
    assert sorted(each.status_code for each in outcomes)[1:] == [400] * 49


async def test_A_29_password_alone_is_no_sign_in_where_a_second_factor_exists(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    secret = await browser.add_totp(rig)
    other = rig.browser()
    await other.get(authorization())
    page = await other.submit(username="alice", password=PASSWORD)
    assert 'data-method="totp"' in page.text
    silent = await other.get(authorization(prompt="none"))
    assert response_of(silent)["error"] == "login_required"
    assert 'id="username"' in (await other.get("/account")).text
    await other.get(authorization())
    await other.submit(username="alice", password=PASSWORD)
    rig.clock.advance(30)
    answer = response_of(await other.submit(code=code_of(secret, rig)))
    claims = claims_of((await exchange(rig, answer["code"])).json()["id_token"])
    assert (claims["acr"], claims["amr"]) == ("mfa", ["pwd", "otp", "mfa"])


async def test_A_39_totp_step_is_never_used_twice(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    secret = await browser.add_totp(rig)
    other = rig.browser()
    await other.get(authorization())
    await other.submit(username="alice", password=PASSWORD)
    page = await other.submit(code=code_of(secret, rig))
    assert page.status_code == 400
    assert 'data-error="code_used"' in page.text


async def test_prompt_none_and_sso(rig: Rig) -> None:
    """ASVS 7.6.1, 7.6.2."""
    assert response_of(await rig.browser().get(authorization(prompt="none")))["error"] == "login_required"
    browser, _ = await signed_in(rig)
    assert response_of(await browser.get(authorization(prompt="none")))["code"]
    wider = response_of(await browser.get(authorization(prompt="none", scope="openid email")))
    assert wider["error"] == "consent_required"
    higher = response_of(await browser.get(authorization(prompt="none", acr_values="phr")))
    assert higher["error"] == "unmet_authentication_requirements"


async def test_prompt_login_and_max_age_ask_again(rig: Rig) -> None:
    """ASVS 7.6.1."""
    browser, _ = await signed_in(rig)
    rig.clock.advance(10)
    page = await browser.get(authorization(prompt="login"))
    assert 'data-method="password"' in page.text
    answer = response_of(await browser.submit(username="alice", password=PASSWORD))
    first = claims_of((await exchange(rig, answer["code"])).json()["id_token"])["auth_time"]
    assert first == int(rig.clock().timestamp())
    assert response_of(await browser.get(authorization(max_age="1000")))["code"]
    rig.clock.advance(5)
    assert 'data-method="password"' in (await browser.get(authorization(max_age="1"))).text


async def test_step_up_offers_enrolment_on_the_spot(rig: Rig) -> None:
    """A-32, ASVS 6.3.3."""
    browser, _ = await signed_in(rig)
    page = await browser.get(authorization(acr_values="phr"))
    assert "needs a sign-in that your account cannot do yet" in page.text
    cancelled = response_of(await browser.get(re.search(r'href="(/login/cancel[^"]+)"', page.text)[1]))  # type: ignore[index]
    assert cancelled["error"] == "access_denied"
    essential = '{"id_token":{"acr":{"essential":true,"value":"phr"}}}'
    refused = response_of(await browser.get(authorization(claims=essential)))
    assert refused["error"] == "unmet_authentication_requirements"


async def test_consent_denied(rig: Rig) -> None:
    browser = rig.browser()
    await browser.get(authorization(prompt="create"))
    await browser.register()
    assert response_of(await browser.submit(decision="deny"))["error"] == "access_denied"


async def test_form_post(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    page = await browser.get(authorization(response_mode="form_post"))
    assert page.status_code == 200
    assert f'action="{CALLBACK}"' in page.text
    assert 'name="code"' in page.text
    assert "form-action 'self' https://rp.test" in page.headers["content-security-policy"]


async def test_logout_ends_the_session_and_its_tokens(rig: Rig) -> None:
    """A-70, ASVS 7.4.1."""
    browser, _ = await signed_in(rig)
    answer = response_of(await browser.get(authorization()))
    tokens = (await exchange(rig, answer["code"])).json()
    target = f"/oauth/logout?id_token_hint={tokens['id_token']}&post_logout_redirect_uri=https://rp.test/&state=x"
    gone = await browser.get(target)
    assert gone.headers["location"] == "https://rp.test/?state=x"
    assert response_of(await browser.get(authorization(prompt="none")))["error"] == "login_required"
    active = await call(rig, "/oauth/introspect", {"token": tokens["access_token"]})
    assert active.json() == {"active": False}


async def test_A_51_login_csrf(rig: Rig) -> None:
    browser = rig.browser()
    page = await browser.get("/login")
    evil = await browser.http.post(
        str(page.url), data={"username": "alice", "password": PASSWORD}, headers={"origin": "https://evil.test"}
    )
    assert evil.status_code == 403
    stranger = await rig.browser().http.post(str(page.url), data={"username": "alice", "password": PASSWORD})
    assert stranger.status_code == 403


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": "https://rp.test.evil.test/cb"},
        {"redirect_uri": "https://rp.test/cb/../x"},
        {"redirect_uri": None},
        {"client_id": "unknown"},
    ],
)
async def test_A_05_no_redirect_without_a_proven_target(rig: Rig, changes: dict[str, str | None]) -> None:
    answer = await rig.browser().get(authorization(**changes))
    assert answer.status_code == 400
    assert 'id="error"' in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"request": "x"}, "request_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"acr_values": "gold"}, "unmet_authentication_requirements"),
    ],
)
async def test_faults_go_back_to_the_client(rig: Rig, changes: dict[str, str | None], error: str) -> None:
    answer = response_of(await rig.browser().get(authorization(**changes)))
    assert (answer["error"], answer["state"], answer["iss"]) == (error, "af0ifjsldkj", ISSUER)


async def test_client_credentials_and_revocation(rig: Rig) -> None:
    token = (await call(rig, "/oauth/token", {"grant_type": "client_credentials", "scope": "api"})).json()[
        "access_token"
    ]
    assert (await call(rig, "/oauth/introspect", {"token": token})).json()["active"] is True
    assert (await call(rig, "/oauth/revoke", {"token": token})).status_code == 200
    assert (await call(rig, "/oauth/introspect", {"token": token})).json() == {"active": False}


async def test_discovery_is_valid_and_true(rig: Rig) -> None:
    """ASVS 10.4.4, 10.6.1."""
    from authlib.oidc.discovery import OpenIDProviderMetadata

    async with rig.browser().http as http:
        document = (await http.get("/.well-known/openid-configuration")).json()
        assert (await http.get(document["jwks_uri"])).json()["keys"]
    assert document["issuer"] == ISSUER
    assert document["code_challenge_methods_supported"] == ["S256"]
    # The validator insists on https, which a loopback issuer does not have.
    secure = {
        key: value.replace("http://localhost:8000", "https://idp.test") if isinstance(value, str) else value
        for key, value in document.items()
    }
    OpenIDProviderMetadata(secure).validate()


async def test_two_tabs(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    first = await browser.get("/login")
    assert "/account" in str(first.url)


async def test_A_31_the_second_step_belongs_to_the_first_ones_user(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    await browser.add_totp(rig)
    mallory = rig.browser()
    await mallory.register("mallory")
    seed = await mallory.add_totp(rig)
    rig.clock.advance(60)
    other = rig.browser()
    await other.get(authorization())
    await other.submit(username="alice", password=PASSWORD)
    page = await other.submit(code=code_of(seed, rig), username="mallory")
    assert 'data-error="code_wrong"' in page.text
    assert response_of(await other.get(authorization(prompt="none")))["error"] == "login_required"


async def test_A_33_changing_authenticators_asks_for_a_fresh_second_factor(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    await browser.add_totp(rig)
    listed = await browser.get("/account/authenticators")
    found = re.search(r'action="(/account/authenticators/[^/"]+/)rename"', listed.text)
    assert found
    rig.clock.advance(21 * 60)
    refused = await browser.http.post(f"{found[1]}remove", data={"x": "y"})
    assert refused.status_code == 403
    assert "Confirm that it is you" in refused.text
    asked = await browser.get("/account/authenticators/add-passkey")
    assert 'data-method="totp"' in asked.text
    assert found[1] in (await browser.get("/account/authenticators")).text


async def test_A_74_nobody_elses_authenticator_is_there(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    await browser.add_totp(rig)
    listed = await browser.get("/account/authenticators")
    found = re.search(r'action="(/account/authenticators/[^/"]+/)rename"', listed.text)
    assert found
    mallory = rig.browser()
    await mallory.register("mallory")
    assert (await mallory.http.post(f"{found[1]}remove", data={"x": "y"})).status_code == 404
    assert found[1] in (await browser.get("/account/authenticators")).text


async def test_a_client_may_demand_a_level_of_its_own(rig: Rig) -> None:
    """ASVS 6.3.3."""
    await rig.add_client("bank", min_acr="mfa")
    browser, _ = await signed_in(rig)
    page = await browser.get(authorization(client_id="bank"))
    assert 'id="add-totp"' in page.text
    assert 'id="add-passkey"' in page.text


async def test_id_token_hint_of_another_user(rig: Rig) -> None:
    browser, answer = await signed_in(rig)
    hint = (await exchange(rig, answer["code"])).json()["id_token"]
    rig.clock.advance(3600 - 60)
    assert response_of(await browser.get(authorization(prompt="none", id_token_hint=hint)))["code"]
    mallory = rig.browser()
    await mallory.get(authorization(prompt="create"))
    await mallory.register("mallory")
    await mallory.submit(decision="allow")
    refused = response_of(await mallory.get(authorization(prompt="none", id_token_hint=hint)))
    assert refused["error"] == "login_required"


async def test_select_account_and_another_account(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    page = await browser.get(authorization(prompt="select_account"))
    sub = re.search(r'name="account"\s+value="([^"]+)"', page.text)
    assert sub
    assert response_of(await browser.submit(account=sub[1]))["code"]
    await browser.get(authorization(prompt="select_account"))
    page = await browser.submit(account="")
    assert 'id="username"' in page.text


async def test_A_53_a_new_cookie_at_each_rise(rig: Rig) -> None:
    browser, _ = await signed_in(rig)
    before = browser.http.cookies["idp_session"]
    await browser.add_totp(rig)
    after = browser.http.cookies["idp_session"]
    assert before != after
    async with rig.browser().http as http:
        for secret, status in ((before, 303), (after, 200)):
            answer = await http.get("/account", headers={"cookie": f"idp_session={secret}"})
            assert answer.status_code == status


async def test_a_session_ends_idle_and_absolutely(rig: Rig) -> None:
    """G13, ASVS 7.3.1, 7.3.2."""
    browser, _ = await signed_in(rig)
    for _ in range(12):
        rig.clock.advance(59 * 60)
        assert response_of(await browser.get(authorization(prompt="none")))["code"]
    # Twelve hours are over: activity cannot stretch the absolute life.
    rig.clock.advance(13 * 60)
    assert response_of(await browser.get(authorization(prompt="none")))["error"] == "login_required"
    other = rig.browser()
    await other.get(authorization())
    await other.submit(username="alice", password=PASSWORD)
    rig.clock.advance(3601)
    assert response_of(await other.get(authorization(prompt="none")))["error"] == "login_required"


@pytest.mark.parametrize("method", ["totp", "nonsense", "webauthn", "password"])
async def test_A_30_an_empty_step_proves_nothing(rig: Rig, method: str) -> None:
    browser, _ = await signed_in(rig)
    await browser.add_totp(rig)
    other = rig.browser()
    await other.get(authorization())
    page = await other.submit(username="alice", password=PASSWORD)
    empty = await other.http.post(f"/login?{page.url.query.decode()}&method={method}", data={"x": "y"})
    assert empty.status_code == 400
    assert 'id="error"' in empty.text
    assert response_of(await other.get(authorization(prompt="none")))["error"] == "login_required"


async def test_what_was_proved_survives_the_refusal_of_the_request(rig: Rig) -> None:
    await signed_in(rig)
    essential = '{"id_token":{"acr":{"essential":true,"value":"phr"}}}'
    browser = rig.browser()
    await browser.get(authorization(claims=essential))
    refused = response_of(await browser.submit(username="alice", password=PASSWORD))
    assert refused["error"] == "unmet_authentication_requirements"
    assert response_of(await browser.get(authorization(prompt="none")))["code"]


async def test_id_token_hint_of_another_user_is_an_error_and_no_page(rig: Rig) -> None:
    _, answer = await signed_in(rig)
    hint = (await exchange(rig, answer["code"])).json()["id_token"]
    mallory = rig.browser()
    await mallory.get(authorization(prompt="create"))
    await mallory.register("mallory")
    await mallory.submit(decision="allow")
    assert response_of(await mallory.get(authorization(id_token_hint=hint)))["error"] == "login_required"
