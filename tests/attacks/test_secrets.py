"""After a whole journey over two servers nothing secret is found, in no encoding: not in a log, not in any table."""

import base64
import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import httpx2
import pyotp
import pytest

from idp.base.clock import Clock, system_clock
from idp.base.entropy import system_entropy, token
from idp.cli.logs import formatter
from idp.store.database import connection, transaction
from tests import driver
from tests.attacks.passkeys import add_passkey, authenticator, use_passkey
from tests.cluster import BASIC, SECRET, Cluster, answer_of, authorization, code_grant, tables_of
from tests.driver import VERIFIER, Browser, Rig, call, mails, running
from tests.notify.gateways import Service, eventually, service
from tests.texting import SMS, code_in, newest_code, texts
from tests.web.inviting import invite
from tests.web.losing import link_of_text, remind_ripe, texted
from tests.web.recovering import follow, secret_of
from tests.web.trusting import put_into

PASSWORD = "Nineteen purple walruses 7"
CHANGED = "Twenty amber walruses 8 "
WRONG = "Eighteen green walruses 6"


class Journey:
    """What was secret on the way, by what it is."""

    def __init__(self, open_browser: Callable[[], Browser], clock: Clock = system_clock) -> None:
        self._open_browser, self._clock = open_browser, clock
        self.secrets: dict[str, str] = {"client secret": SECRET, "verifier": VERIFIER}
        self.codes: list[str] = []

    def keep(self, name: str, value: str) -> str:
        """Remember a secret, and hand it on."""
        assert len(value) >= 16
        self.secrets[f"{name} {len(self.secrets)}"] = value
        return value

    def browser(self) -> Browser:
        """A browser whose every cookie is remembered."""
        browser = self._open_browser()
        browser.http.event_hooks["response"].append(self._cookies)
        return browser

    async def _cookies(self, answer: httpx2.Response) -> None:
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            if value := rest.partition(";")[0].strip('"'):
                self.keep(name, value)

    def otp(self, seed: str) -> str:
        """What the app with this seed shows now."""
        code = str(pyotp.TOTP(seed).at(self._clock()))
        return self.typed(code)

    def typed(self, code: str) -> str:
        """Remember a code of a few digits, and hand it on."""
        self.codes.append(code)
        return code

    def found_in(self, kept: dict[str, str]) -> list[tuple[str, str]]:
        """What is secret, and where it was found nevertheless."""
        found = [
            (name, place)
            for name, secret in self.secrets.items()
            for written in forms_of(secret)
            for place, text in kept.items()
            if written in text
        ]
        # Six digits are found in any clock; of these, look beside the times.
        for place, text in kept.items():
            timeless = re.sub(r"\d\d:\d\d:\d\d[.,]\d+", "", text)
            found += [("a code", place) for code in self.codes if re.search(rf"\b{code}\b", timeless)]
        return found


async def sign_up(journey: Journey, issuer: str) -> Browser:
    """A new account with an app, a passkey and recovery codes, and a browser in which it is signed in."""
    browser = journey.browser()
    await browser.get("/register")
    form = {"username": "carol", "password": PASSWORD, "email": "carol@mail.example", "phone": ""}
    assert (await browser.submit(**form)).url.path == "/account"
    page = await browser.get("/account/authenticators/add-totp")
    found = re.search(r"secret=([A-Z2-7]+)", page.text)
    assert found
    seed = journey.keep("seed", found[1])
    await browser.submit(code="000000")
    assert (await browser.submit(code=journey.otp(seed))).url.path == "/account/authenticators"
    device = authenticator(issuer)
    assert (await add_passkey(browser, device)).url.path == "/account/authenticators"
    page = await browser.post("/account/recovery-codes", {})
    shown = re.findall(r"[a-z2-7]{4}(?:-[a-z2-7]{4}){3}", page.text)
    assert len(set(shown)) == 10
    for code in shown:
        journey.keep("recovery code", code)
        journey.keep("recovery code", code.replace("-", ""))
    await browser.post("/account/sign-out", {})
    # In again, by the passkey and by a recovery code, after what fails.
    other = journey.browser()
    await other.get("/login")
    await use_passkey(other, device, user_verified=False)
    assert (await use_passkey(other, device)).url.path == "/account"
    third = journey.browser()
    await third.get("/login")
    await third.submit(username="carol", password=journey.keep("password", WRONG))
    await third.submit(username=journey.keep("password", PASSWORD), password="typed into the other field")
    await third.submit(username="carol", password=PASSWORD)
    assert third.page is not None
    here = f"/login?{third.page.url.query.decode()}"
    await third.post(f"{here}&method=totp", {"code": shown[0]})
    assert (await third.post(f"{here}&method=recovery", {"code": shown[1].upper()})).url.path == "/account"
    form = {"current_password": PASSWORD, "password": journey.keep("password", CHANGED)}
    assert (await third.post("/account/password", form)).url.path == "/account/authenticators"
    return third


async def sign_in_to_app(journey: Journey, cluster: Cluster, browser: Browser) -> None:
    """Codes and tokens, used rightly, wrongly and twice."""
    await browser.get(authorization())
    code = journey.keep("code", answer_of(await browser.submit(decision="allow"))["code"])
    assert (await cluster.exchange(code, code_verifier="w" * 43)).status_code == 400
    code = journey.keep("code", answer_of(await browser.get(authorization()))["code"])
    tokens = (await cluster.exchange(code)).json()
    for name in ("access_token", "id_token", "refresh_token"):
        journey.keep(name, tokens[name])
        if tokens[name].count(".") == 2:
            journey.keep(f"signature of {name}", tokens[name].rpartition(".")[2])
    renewed = (await cluster.refresh(tokens["refresh_token"])).json()
    for name in ("access_token", "refresh_token"):
        journey.keep(name, renewed[name])
    assert (await cluster.userinfo(renewed["access_token"])).status_code == 200
    assert (await cluster.introspect(renewed["refresh_token"]))["active"] is True
    assert (await cluster.refresh(tokens["refresh_token"])).status_code == 400
    assert (await cluster.exchange(code)).status_code == 400
    await cluster.userinfo(renewed["access_token"][:-3] + "abc")
    wrong = journey.keep("client secret", token(system_entropy))
    async with cluster.http() as http:
        form = code_grant(code) | {"client_id": "web", "client_secret": wrong}
        await http.post("/oauth/token", data=form)
        await http.post("/oauth/token", data=form, headers={"authorization": BASIC})
        await http.get("/oauth/userinfo", params={"access_token": renewed["access_token"]})
        await http.get("/oauth/logout", params={"id_token_hint": tokens["id_token"] + "x"})
        for name in ("id_token_hint", "state", "login_hint", "client_id", "redirect_uri"):
            await http.get("/oauth/authorize", params={"client_id": "web", name: renewed["access_token"]})
    # Put into the wrong place, as it happens where an application is set up.
    swapped = base64.b64encode(f"{SECRET}:web".encode()).decode()
    async with cluster.http() as http:
        for secret in (SECRET, renewed["refresh_token"]):
            await http.post("/oauth/token", data={"client_id": secret, "client_secret": "web", "grant_type": "x"})
            await http.get("/oauth/authorize", params={"client_id": secret})
            for uri in (secret, f"https://rp-b.test/cb?token={secret}", f"https://rp-b.test/cb#token={secret}"):
                await http.get(authorization(redirect_uri=uri))
        await http.post("/oauth/token", data=form, headers={"authorization": f"Basic {swapped}"})
    assertion = journey.keep("client assertion", cluster.assertion())
    form = {"grant_type": "client_credentials", "client_assertion": assertion}
    answer = await cluster.post("/oauth/token", "m2m", **form)
    journey.keep("access_token", answer.json()["access_token"])
    await cluster.post("/oauth/token", "m2m", **form)
    await browser.get(f"/oauth/logout?id_token_hint={tokens['id_token']}")


def forms_of(secret: str) -> Iterator[str]:
    """The ways in which a secret could have been written down."""
    raw = secret.encode()
    yield from {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], raw.hex(), raw.hex().upper()}
    for before in range(3):
        # Wherever it begins within a longer text; the first and the last character depend on what is around.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw).decode().rstrip("=")[4 if before else 0 : -2]
    if re.fullmatch("[A-Z2-7]{32}", secret):
        seed = base64.b32decode(secret)
        yield from {seed.hex(), base64.b64encode(seed).decode().rstrip("="), secret.lower()}


async def test_A_75_no_secret_is_kept_in_the_clear(cluster: Cluster) -> None:
    """Passwords, codes, tokens, seeds, cookies and client secrets (ASVS 16.2.5, 13.3.1, 14.2.1)."""
    journey = Journey(cluster.browser)
    browser = await sign_up(journey, cluster.issuer)
    await sign_in_to_app(journey, cluster, browser)
    journey.keep("master key", cluster.environ["IDP_MASTER_KEY"])
    key = json.loads((await cluster.signing_key()).dump())
    for member in ("d", "p", "q"):
        journey.keep("signing key", key[member])
    kept = await cluster.everything_kept()
    assert len(journey.secrets) > 50
    assert "carol" in kept["audit_events"]
    assert "recovery_codes_renewed" in kept["audit_events"]
    assert "Application startup complete" in kept["log"]
    assert journey.found_in(kept) == []


async def test_A_75_no_token_waits_with_a_request(cluster: Cluster) -> None:
    """A hint is a token, and an app may send by mistake what no request has: neither is kept meanwhile."""
    journey = Journey(cluster.browser)
    tokens = await cluster.tokens()
    misplaced = {
        name: journey.keep(name, token(system_entropy))
        for name in ("access_token", "client_secret", "code_verifier", "client_assertion", "password", "hinted_sub")
    }
    hint = journey.keep("id_token", tokens["id_token"])
    journey.keep("signature", hint.rpartition(".")[2])
    bob, mallory = await cluster.signed_in(consent=()), await cluster.signed_in("mallory", consent=())
    page = await bob.get(authorization(id_token_hint=hint, prompt="consent", **misplaced))
    assert page.url.path == "/consent"
    kept = await tables_of(cluster.pool)
    assert "code_challenge" in kept["interactions"]
    assert journey.found_in(kept) == []
    assert "code" in answer_of(await bob.submit(decision="allow")), "and it is heeded all the same"
    # In a request that waits, and in one that another account would answer.
    stranger = cluster.browser()
    await stranger.get(authorization(id_token_hint=hint, prompt="login"))
    await stranger.submit(username="mallory", password=driver.PASSWORD)
    for browser in (stranger, mallory):
        refused = stranger.page if browser is stranger else await mallory.get(authorization(id_token_hint=hint))
        assert refused is not None
        assert answer_of(refused)["error"] == "login_required"
    assert "hinted_sub" not in {event.event for event in await cluster.events(0)}
    for browser in (bob, mallory, stranger):
        await browser.http.aclose()


async def test_A_75_what_is_typed_as_a_name_may_be_a_password(cluster: Cluster) -> None:
    """On a page that was open for too long it is kept for the new one, and not in the clear."""
    journey, browser = Journey(cluster.browser), cluster.browser()
    await browser.get(authorization())
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE interactions SET expires_at = now() - interval '1 second'")
    page = await browser.submit(username=journey.keep("password", PASSWORD), password="typed into the other field")
    assert (page.status_code, f'value="{PASSWORD}"' in page.text) == (200, True)
    assert journey.found_in(await cluster.everything_kept()) == []
    await browser.http.aclose()


# By mail and by text.

DOORS = {**SMS, "IDP_EMAIL_CODES": "on", "IDP_TRUSTED_DEVICE_DAYS": "30"}


@contextmanager
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, io.StringIO]]:
    """What the log has meanwhile, as machines get it and as people do."""
    root, said = logging.getLogger(), {"json": io.StringIO(), "text": io.StringIO()}
    handlers = []
    for kind, stream in said.items():
        monkeypatch.setenv("IDP_LOG_FORMAT", kind)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter())
        root.addHandler(handler)
        handlers.append(handler)
    logging.getLogger("idp").setLevel(logging.INFO)
    try:
        yield said
    finally:
        for handler in handlers:
            root.removeHandler(handler)


async def by_mail_and_text(journey: Journey, rig: Rig) -> None:
    """An address and a number, confirmed; codes of both; a trusted browser; a reset, and the loss of a second step."""
    dora = journey.browser()
    await dora.get("/register")
    await dora.submit(username="dora", password=PASSWORD, email="dora@mail.example", phone="")
    link = journey.keep("link", secret_of((await mails(rig))[-1].link))
    await dora.post("/account/authenticators/add-phone", {"phone": "+447700900123"})
    code = journey.typed(await newest_code(rig))
    await dora.post("/account/authenticators/add-phone", {"code": journey.typed(f"{(int(code) + 1) % 1_000_000:06}")})
    assert (await dora.post("/account/authenticators/add-phone", {"code": code})).url.path == "/account/authenticators"
    await dora.post("/confirm-email", {"link": link})
    await put_into(rig, "mfa", "dora")
    await dora.post("/logout", {})
    await dora.get(driver.authorization())
    await dora.submit(username="dora", password=PASSWORD)
    page = await dora.submit(code=journey.typed(await newest_code(rig)), trust="1")
    assert page.url.path == "/consent"
    tokens = (await driver.exchange(rig, driver.response_of(await dora.submit(decision="allow"))["code"])).json()
    await dora.get(driver.authorization(id_token_hint=journey.keep("id_token", tokens["id_token"]), prompt="login"))
    # Codes by mail are for who has nothing stronger: somebody who was invited, and so has a mailbox confirmed.
    erin, invitation = journey.browser(), await invite(rig, "erin@mail.example")
    journey.keep("link", secret_of(invitation))
    await erin.get(invitation)
    await erin.submit(username="erin", password=PASSWORD, phone="", link=secret_of(invitation))
    other = journey.browser()
    await other.get("/login")
    await other.submit(username="erin", password=PASSWORD)
    by_mail = [text for _, text in await texts(rig, "mail")]
    assert (await other.submit(code=journey.typed(code_in(by_mail[-1])))).url.path == "/account"
    await other.get(invitation)
    rig.clock.advance(timedelta(minutes=11))
    await journey.browser().post("/recover", {"username": "dora"})
    link = journey.keep("link", secret_of((await mails(rig))[-1].link))
    forgetful = journey.browser()
    await follow(forgetful, f"/recover/password?link={link}")
    assert forgetful.page is not None
    here = forgetful.page.url.query.decode()
    await forgetful.post(f"/recover/step/send-code?{here}&method=sms", {})
    page = await forgetful.post(f"/recover/step?{here}&method=sms", {"code": journey.typed(await newest_code(rig))})
    assert page.url.path == "/recover/new-password"
    assert (await forgetful.submit(password=journey.keep("password", CHANGED))).url.path == "/recover/done"
    rig.clock.advance(timedelta(minutes=11))
    lost = journey.browser()
    await lost.get("/login")
    page = await lost.submit(username="dora", password=CHANGED)
    await lost.get(str(page.url).replace("/login?", "/recover/factor?"))
    await lost.submit()
    journey.keep("link", secret_of((await mails(rig))[-1].link))
    rig.clock.advance(timedelta(hours=73))
    await remind_ripe(rig)
    for _, _, text in await texted(rig):
        journey.keep("link", secret_of(link_of_text(text)))
    link = journey.keep(
        "link", secret_of(next(one for one in await mails(rig) if one.kind == "factor_recovery_ripe").link)
    )
    await lost.post("/recover/factor/finish", {"link": link, "password": journey.keep("password", WRONG)})
    done = await lost.post("/recover/factor/finish", {"link": link, "password": CHANGED})
    assert done.url.path == "/recover/factor/done"
    # Links that are over, and made up.
    for path in ("/recover/password", "/recover/factor/finish", "/recover/factor/cancel", "/confirm-email"):
        await lost.get(f"{path}?link={link}")
        await lost.post(path, {"link": link, "password": CHANGED})


async def test_A_75_nor_what_comes_by_mail_and_text(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links, codes, the cookie of a trusted device; the outbox is sealed (ASVS 16.2.5, 14.2.1)."""
    with logged(monkeypatch) as said:
        async with running(database, tmp_path, **DOORS) as rig:
            await rig.add_client()
            journey = Journey(rig.browser, rig.clock)
            journey.keep("password", PASSWORD)
            await by_mail_and_text(journey, rig)
            kept = await tables_of(rig.app.state.provider.pool)
    assert len(journey.codes) >= 5
    assert len([name for name in journey.secrets if name.startswith("link")]) >= 5
    assert "idp_device" in " ".join(journey.secrets)
    assert "factor_recovery_done" in kept["audit_events"]
    assert "link_gone" in said["json"].getvalue()
    assert journey.found_in(kept | {kind: text.getvalue() for kind, text in said.items()}) == []


async def test_A_75_gateways_that_fail_tell_nothing(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what a message says, nor the operator's own credentials at the gateway."""
    with logged(monkeypatch) as said:
        async with service(Service(status=500)) as there:
            texting = f"json://op:gateway-secret-1@127.0.0.1:{there.port}/text/gateway-secret-2"
            gateways = {"IDP_SMS_URL": texting, "IDP_MAIL_URL": "smtp://op:gateway-secret-3@127.0.0.1:9"}
            async with running(database, tmp_path, **gateways) as rig:
                journey, browser = Journey(rig.browser, rig.clock), rig.browser()
                for number in (1, 2, 3):
                    journey.keep("gateway", f"gateway-secret-{number}")
                await browser.get("/register")
                await browser.submit(username="dora", password=PASSWORD, email="dora@mail.example", phone="")
                journey.keep("link", secret_of((await mails(rig))[-1].link))
                await browser.post("/account/authenticators/add-phone", {"phone": "+447700900123"})
                await eventually(lambda: bool(there.got), "the text is handed over")
                journey.typed(code_in(str(there.got)))
                for kind in ("sign_in_code", "verify_email"):
                    await eventually(lambda: f"({kind}), attempt 1" in said["text"].getvalue(), kind)  # noqa: B023
                kept = await tables_of(rig.app.state.provider.pool)
    assert journey.found_in(kept | {kind: text.getvalue() for kind, text in said.items()}) == []


# Crashes.

BROKEN = ("users", "sessions", "interactions", "authorization_codes", "refresh_tokens", "totp_credentials")
HASHES = ("\\\\x", "$argon2", "Failing row")
"""How a whole row would look in an error: its bytes, and the digest of a password."""


class Broken:
    """Randomness that is there no more."""

    def __call__(self, size: int) -> bytes:
        """Fail, in the midst of whatever needs it."""
        raise OSError(f"no {size} bytes to be had")


async def tour(journey: Journey, rig: Rig, owner: Browser, tokens: dict[str, str]) -> list[int]:
    """Requests that carry something secret, and how they were answered."""
    answers = []
    new = journey.browser()
    await new.get("/register")
    if new.page is not None and new.page.status_code == 200:
        answers.append(await new.submit(username=f"p{rig.clock():%H%M%S}", password=PASSWORD, email="", phone=""))
    answers.append(await owner.get(driver.authorization(id_token_hint=tokens["id_token"])))
    answers.append(
        await call(rig, "/oauth/token", {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    )
    answers.append(await owner.get("/account/authenticators/add-totp"))
    form = {"current_password": PASSWORD, "password": CHANGED}
    answers.append(await owner.post("/account/password", form))
    stranger = journey.browser()
    await stranger.get("/login")
    if stranger.page is not None and stranger.page.status_code == 200:
        answers.append(await stranger.submit(username="dora", password=PASSWORD))
    return [one.status_code for one in answers]


async def test_A_75_a_crash_tells_nothing(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception in the midst of handlers that hold secrets: its traceback has neither variables nor rows in it."""
    with logged(monkeypatch) as said:
        async with running(database, tmp_path) as rig:
            await rig.add_client()
            journey = Journey(lambda: rig.browser(raises=False), rig.clock)
            for secret in (PASSWORD, CHANGED):
                journey.keep("password", secret)
            owner, statuses = journey.browser(), []
            await owner.get("/register")
            await owner.submit(username="dora", password=PASSWORD, email="", phone="")
            await owner.get(driver.authorization(scope="openid offline_access"))
            code = journey.keep("code", driver.response_of(await owner.submit(decision="allow"))["code"])
            tokens = (await driver.exchange(rig, code)).json()
            for name in ("access_token", "id_token", "refresh_token"):
                journey.keep(name, tokens[name])
            for table in BROKEN:
                rig.clock.advance(1)
                async with connection(rig.app.state.provider.pool) as conn:
                    await conn.execute(f"ALTER TABLE {table} ADD CONSTRAINT broken CHECK (false) NOT VALID")
                statuses += await tour(journey, rig, owner, tokens)
                async with connection(rig.app.state.provider.pool) as conn:
                    await conn.execute(f"ALTER TABLE {table} DROP CONSTRAINT broken")
            for app in filter(None, (rig.app, rig.other)):
                provider = app.state.provider
                app.state.provider = replace(
                    provider, entropy=Broken(), tools=replace(provider.tools, entropy=Broken())
                )
            statuses += await tour(journey, rig, owner, tokens)
    assert statuses.count(500) >= 8, statuses
    told = {kind: text.getvalue() for kind, text in said.items()}
    for text in told.values():
        assert text.count("Traceback") >= statuses.count(500)
        assert "no 32 bytes to be had" in text, "the cause is told"
        assert "CheckViolationError" in text
        assert [one for one in HASHES if one in text] == []
    assert journey.found_in(told) == []


def test_A_75_the_search_finds() -> None:
    """What it looks for is what would be there."""
    for secret in (PASSWORD, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"):
        raw = secret.encode()
        for around in (b"", b"a", b"ab", b"abc"):
            for text in (
                base64.b64encode(around + raw + b"more").decode(),
                base64.urlsafe_b64encode(around + raw).decode(),
                (around + raw).hex(),
                quote(around + raw),
                json.dumps({"password": secret}),
            ):
                assert any(written in text for written in forms_of(secret)), text
