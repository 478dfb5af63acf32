"""Where others send a user's browser, what a form says beyond what it should, what a client asks beyond its due."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest

from idp.base.clock import system_clock
from idp.store import clients
from idp.store.database import transaction
from tests.cluster import Cluster, answer_of, is_error_page, sub_of
from tests.cluster import authorization as of_cluster
from tests.driver import (
    PASSWORD,
    Browser,
    Rig,
    authorization,
    call,
    claims_of,
    exchange,
    response_of,
    running,
)
from tests.web.account.people import text_of


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path) as found:
        await found.add_client(scope=("openid", "profile", "offline_access"))
        yield found


async def signed_in(rig: Rig, username: str) -> Browser:
    """The browser of a user who has just registered."""
    browser = rig.browser()
    await browser.register(username)
    return browser


async def is_signed_in(browser: Browser) -> bool:
    """Whether the account page is shown without further questions."""
    return (await browser.get("/account")).url.path == "/account"


async def id_token_of(rig: Rig, browser: Browser) -> str:
    """An ID token of the user of this browser."""
    await browser.get(authorization())
    answer = response_of(await browser.submit(decision="allow"))
    return str((await exchange(rig, answer["code"])).json()["id_token"])


@pytest.mark.parametrize(
    "step",
    [
        "/login",
        "/login/another-way",
        "/login/choose",
        "/login/other-account",
        "/login/cancel",
        "/register",
        "/consent",
    ],
)
async def test_A_52_a_flow_of_mallorys_is_nothing_in_alices_browser(rig: Rig, step: str) -> None:
    """Nor do forms sent there prove anything for mallory (ASVS 7.6.2, 10.1.2)."""
    alice, mallory = await signed_in(rig, "alice"), rig.browser()
    begun = urlsplit(str((await mallory.get(authorization())).url)).query
    refused = await alice.get(f"{step}?{begun}")
    assert refused.status_code in {400, 403}
    assert 'data-error="interaction_gone"' in refused.text
    for fields in ({"username": "alice", "password": PASSWORD}, {"decision": "allow"}):
        sent = await alice.http.post(f"{step}?{begun}", data=fields)
        assert sent.status_code in {400, 403, 405} or (sent.status_code, step) == (303, "/login/another-way")
        assert "idp_session" not in sent.cookies
    assert await is_signed_in(alice)
    assert not await is_signed_in(mallory)
    assert (await mallory.get(authorization())).url.path == "/login"


@pytest.mark.parametrize("target", ["https://evil.test/", "javascript:alert(1)", "https://rp.test/?x", "//rp.test/"])
async def test_A_55_after_a_sign_out_nobody_is_sent_astray(rig: Rig, target: str) -> None:
    alice = await signed_in(rig, "alice")
    hint = await id_token_of(rig, alice)
    answer = await alice.get(f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={quote(target, safe='')}")
    assert answer.status_code == 400
    assert 'data-error="logout_refused"' in answer.text
    assert target not in answer.text
    assert await is_signed_in(alice), "a refused request ends nothing"


async def test_A_55_a_registered_address_needs_its_hint(rig: Rig) -> None:
    """ASVS 3.7.2."""
    alice = await signed_in(rig, "alice")
    target = quote("https://rp.test/", safe="")
    assert (await alice.get(f"/oauth/logout?post_logout_redirect_uri={target}")).status_code == 400
    hint = await id_token_of(rig, alice)
    gone = await alice.http.get(f"/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={target}&state=xyz")
    assert (gone.status_code, gone.headers["location"]) == (303, "https://rp.test/?state=xyz")
    assert not await is_signed_in(alice)


async def test_A_55_and_A_56_over_two_servers(cluster: Cluster) -> None:
    """Refused or asked: the session lives on; asked for with its own hint: it is dead on both (A-70; ASVS 7.4.1)."""
    bob, alice = await cluster.signed_in("bob"), await cluster.signed_in("alice")
    async with bob.http, alice.http:
        tokens = (await cluster.exchange(await cluster.code(bob, scope="openid"))).json()
        hint = {"id_token_hint": tokens["id_token"]}
        for target in ("https://evil.test/", "javascript:alert(1)", "https://rp-a.test/", "https://rp-b.test/?x=1"):
            for given in (hint, {}):
                asked = {"post_logout_redirect_uri": target, "state": "x", **given}
                for answer in (
                    await bob.http.get("/oauth/logout", params=asked),
                    await bob.get("/oauth/logout?" + urlencode(asked)),
                    await bob.http.post("/logout", data=asked),
                ):
                    assert (is_error_page(answer), target in answer.text) == (True, False), (target, answer.text)
        for browser, given in ((alice, hint), (alice, {}), (bob, {}), (alice, hint | {"client_id": "web"})):
            page = await browser.http.get("/oauth/logout", params=given)
            assert (page.status_code, 'action="/logout"' in page.text) == (200, True)
            assert "set-cookie" not in page.headers
        other = await bob.http.get("/oauth/logout", params=hint | {"client_id": "spa"})
        assert is_error_page(other), "the hint is another client's"
        for browser in (bob, alice):
            assert answer_of(await browser.http.get(of_cluster(prompt="none")))["code"]
        secret = bob.http.cookies["idp_session"]
        asked = {"post_logout_redirect_uri": "https://rp-b.test/", "state": "x", **hint}
        gone = await bob.http.get("/oauth/logout", params=asked)
        assert (gone.status_code, gone.headers["location"]) == (303, "https://rp-b.test/?state=x")
    for worker in cluster.workers:
        async with cluster.http(worker) as http:
            account = await http.get("/account", headers={"cookie": f"idp_session={secret}"})
            bearer = {"authorization": f"Bearer {tokens['access_token']}"}
            assert (account.status_code, (await http.get("/oauth/userinfo", headers=bearer)).status_code) == (303, 401)


async def test_A_55_a_disabled_client_sends_nobody_anywhere(cluster: Cluster) -> None:
    """Neither to an address of its own, nor does its hint end a session."""
    bob = await cluster.signed_in("bob")
    async with bob.http:
        tokens = (await cluster.exchange(await cluster.code(bob, scope="openid"))).json()
        async with transaction(cluster.pool) as conn:
            await clients.set_disabled(conn, "web", system_clock())
        asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://rp-b.test/"}
        for answer in (await bob.http.get("/oauth/logout", params=asked), await bob.http.post("/logout", data=asked)):
            assert is_error_page(answer)
        assert (await bob.http.get("/account")).status_code == 200


async def test_A_56_nobody_else_signs_a_user_out(rig: Rig) -> None:
    """By a picture, by another user's hint, by a form of another site, by a form without the browser's cookie."""
    alice, bob = await signed_in(rig, "alice"), await signed_in(rig, "bob")
    hint = await id_token_of(rig, bob)
    for address in ("/oauth/logout", f"/oauth/logout?id_token_hint={hint}", "/logout", "/account/sign-out"):
        answer = await alice.http.get(address, headers={"Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "cross-site"})
        assert answer.status_code in {200, 405}
        assert await is_signed_in(alice), address
    for address in ("/logout", "/account/sign-out"):
        assert (await alice.http.post(address, data={}, headers={"Origin": "https://evil.test"})).status_code == 403
        assert await is_signed_in(alice), address
    async with rig.browser().http as stranger:
        await stranger.post("/logout", data={"id_token_hint": hint})
        # What another site posts comes without the cookie: the answer must not take it away from the browser.
        posted = await stranger.post("/oauth/logout", data={"state": "x"})
        assert (posted.status_code, posted.headers["location"]) == (303, "/oauth/logout?state=x")
        assert "set-cookie" not in posted.headers
    assert await is_signed_in(bob)


FORBIDDEN = {
    "sub": "chosen-by-me",
    "is_admin": "true",
    "email_verified": "true",
    "phone_verified": "true",
    "mfa_enabled": "true",
    "acr": "phr",
    "disabled_at": "",
    "password_hash": "x",
    "created_at": "2001-01-01",
    "profile": '{"name": "Root"}',
}


async def test_A_60_extra_fields_change_nothing(rig: Rig) -> None:
    """ASVS 15.3.3."""
    browser = rig.browser()
    await browser.get("/register")
    own = {"username": "mallory", "password": PASSWORD, "email": "m@mail.example", "phone": "+447700900123"}
    assert (await browser.submit(**own, **FORBIDDEN)).url.path == "/account"
    async with rig.app.state.provider.pool.acquire() as conn:
        row = await conn.fetchrow("SELECT sub, email_verified, phone_verified, profile, password_hash FROM users")
    assert (row["email_verified"], row["phone_verified"], row["profile"]) == (False, False, {})
    assert row["sub"] != "chosen-by-me"
    assert row["password_hash"].startswith("$argon2id$")


async def test_A_60_no_answer_holds_a_secret_or_a_hash(rig: Rig) -> None:
    """The pages of an account, and what a client is told of its tokens (ASVS 15.3.1)."""
    alice = await signed_in(rig, "alice")
    seed = await alice.add_totp(rig)
    await alice.get(authorization(scope="openid profile offline_access"))
    tokens = (await exchange(rig, response_of(await alice.submit(decision="allow"))["code"])).json()
    told = [(await alice.get(path)).text for path in ("/account", "/account/authenticators")]
    told += [
        (await call(rig, "/oauth/introspect", {"token": tokens[kind]})).text
        for kind in ("access_token", "refresh_token")
    ]
    async with rig.browser().http as http:
        told.append(
            (await http.get("/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})).text
        )
    secrets = [seed, rig.secret, "argon2", tokens["refresh_token"], *alice.http.cookies.values()]
    assert [secret for secret in secrets for text in told if secret in text] == []


async def test_A_73_nothing_is_given_that_was_not_allowed(rig: Rig) -> None:
    """ASVS 10.4.11, 10.7.1: not silently, not beyond the client's own, not by what a form adds."""
    alice = await signed_in(rig, "alice")
    silent = response_of(await alice.http.get(authorization(prompt="none")))
    assert silent["error"] == "consent_required"
    await alice.get(authorization(scope="openid profile email phone api"))
    answer = await alice.submit(decision="allow", scope="openid profile email api admin")
    tokens = (await exchange(rig, response_of(answer)["code"])).json()
    assert set(tokens["scope"].split()) == {"openid", "profile"}


@pytest.mark.parametrize("decision", ["", "yes", "ALLOW", "allow deny"])
async def test_A_73_only_allow_allows(rig: Rig, decision: str) -> None:
    alice = await signed_in(rig, "alice")
    await alice.get(authorization())
    assert (await alice.submit(decision=decision)).url.path == "/consent"
    assert response_of(await alice.http.get(authorization(prompt="none")))["error"] == "consent_required"


async def test_A_73_over_two_servers(cluster: Cluster) -> None:
    """Asked in silence, beyond the client's list, with more in the form, denied and then allowed (ASVS 10.4.11)."""
    bob = await cluster.signed_in("bob", consent=())
    async with bob.http:
        for scope in ("openid", "openid profile offline_access"):
            silent = answer_of(await bob.http.get(of_cluster(prompt="none", scope=scope)))
            assert (silent["error"], "code" in silent) == ("consent_required", False)
        beyond = answer_of(await bob.http.get(of_cluster(prompt="none", scope="admin address")))
        assert beyond["error"] == "invalid_scope"
        page = await bob.get(of_cluster(scope="openid profile admin"))
        denied = answer_of(await bob.submit(decision="deny"))
        assert denied["error"] == "access_denied"
        again = await bob.http.post(str(page.url), data={"decision": "allow"})
        assert "code=" not in again.headers.get("location", "")
        await bob.get(of_cluster(scope="openid profile admin"))
        more = {"scope": "openid profile email admin", "client_id": "spa", "redirect_uri": "https://evil.test/"}
        code = answer_of(await bob.submit(decision="allow", **more))["code"]
        tokens = (await cluster.exchange(code)).json()
        assert (tokens["scope"], claims_of(tokens["access_token"])["scope"]) == ("openid profile",) * 2
        wider = answer_of(await bob.http.get(of_cluster(prompt="none", scope="openid email")))
        assert wider["error"] == "consent_required"
        named = answer_of(
            await bob.http.get(of_cluster(prompt="none", scope="openid", claims='{"userinfo":{"email":null}}'))
        )
        assert named["error"] == "consent_required", "what a claim opens is asked like its scope"


async def test_A_73_claims_by_name_are_no_way_around_the_scopes_of_a_client(cluster: Cluster) -> None:
    """Of what `web` asks for by name it gets what its scopes could open, and no more (ASVS 10.4.11)."""
    async with transaction(cluster.pool) as conn:
        await conn.execute(
            "UPDATE users SET email = 'bob@mail.test', phone = '+447700900123' WHERE sub = $1", sub_of("bob")
        )
        await clients.update(conn, replace(await clients.lock_client(conn, "web"), scope=("openid", "email")))
    bob = await cluster.signed_in("bob", consent=())
    claims = '{"userinfo":{"email":null,"phone_number":{"essential":true}},"id_token":{"phone_number":null,"acr":null}}'
    async with bob.http:
        page = await bob.get(of_cluster(scope="openid", claims=claims))
        assert ("bob@mail.test" in page.text, "+447700900123" in page.text) == (True, False)
        tokens = (await cluster.exchange(answer_of(await bob.submit(decision="allow"))["code"])).json()
    assert "phone_number" not in claims_of(tokens["id_token"])
    told = (await cluster.userinfo(tokens["access_token"])).json()
    assert told == {"sub": sub_of("bob"), "email": "bob@mail.test"}


NATIVE = "http://127.0.0.1:51004/cb"


async def test_10_7_1_who_could_be_somebody_else_is_asked_for_each_time(cluster: Cluster) -> None:
    """Any program on the device can open a loopback port, and none may get a code in silence (RFC 8252 §8.6)."""
    bob = await cluster.signed_in("bob")
    async with bob.http:
        for _ in range(2):
            silent = answer_of(await bob.http.get(of_cluster("native", prompt="none", redirect_uri=NATIVE)), NATIVE)
            assert silent["error"] == "consent_required"
            assert (await bob.get(of_cluster("native", redirect_uri=NATIVE))).url.path == "/consent"
            assert answer_of(await bob.submit(decision="allow"), NATIVE)["code"]
        # An https address, or a secret at the token endpoint, is its owner's alone.
        for client_id, redirect_uri in (("spa", "https://rp-a.test/cb"), ("web", "https://rp-b.test/cb")):
            assert answer_of(await bob.http.get(of_cluster(client_id, prompt="none")), redirect_uri)["code"]
        async with transaction(cluster.pool) as conn:
            web = await clients.lock_client(conn, "web")
            await clients.update(conn, replace(web, redirect_uris=("http://localhost:3000/cb",)))
        at_home = of_cluster("web", prompt="none", redirect_uri="http://localhost:3000/cb")
        assert answer_of(await bob.http.get(at_home), "http://localhost:3000/cb")["code"]


async def test_10_7_2_the_question_names_the_client_and_what_it_will_get(cluster: Cluster) -> None:
    """With the real values, to whom, for whom, and for how long (ASVS 10.7.2)."""
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE users SET email = 'bob@mail.test' WHERE sub = $1", sub_of("bob"))
    bob = await cluster.signed_in("bob", consent=())
    async with bob.http:
        page = text_of(await bob.get(of_cluster(scope="openid email offline_access api admin")))
    for told in (
        "Allow App web to use your account?",
        "rp-b.test",
        "bob",
        "See your e-mail address bob@mail.test",
        "Stay connected Also while you are not using it",
        "Use one of its services for you api",
    ):
        assert told in page, page
    assert "admin" not in page
    assert "phone" not in page
