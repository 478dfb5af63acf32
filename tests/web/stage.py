"""Where hostile input arrives: a provider at which everything that can be under way is under way."""

import re
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx2

from tests.attacks.passkeys import add_passkey, authenticator, ceremony_on, decoded
from tests.driver import CALLBACK, PASSWORD, VERIFIER, Browser, Rig, authorization, code_of, exchange, mails
from tests.texting import newest_code
from tests.web.account.people import codes_on, sign_in
from tests.web.losing import remind_ripe
from tests.web.recovering import NEW, follow, prove_address, secret_of

ENVIRON = {
    "IDP_RATE_LIMITS": "off",
    "IDP_SMS_URL": "outbox:",
    "IDP_FACTOR_RECOVERY_DELAY": "24h",
    "IDP_TRUSTED_DEVICE_DAYS": "30",
}
NUMBERS = "+4477009001"
CODE_LIFE = timedelta(minutes=1)
"""After this long an app shows a code that was not used yet."""

Parameters = list[tuple[str, str]]


@dataclass
class Stage:
    """A provider with a user at work, set anew now and then, as hostile requests sign out and use up what waits.

    ``values`` are what an honest request would send. ``met`` counts, for each path and method, the
    answers by their status.
    """

    rig: Rig
    browser: Browser
    stranger: Browser
    values: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    met: dict[tuple[str, str], Counter[int]] = field(default_factory=dict)

    async def set(self) -> None:
        """A user with every second step, all that can wait for an answer, a live code and tokens."""
        if self.sent % 750 == 0:
            self.values |= await self._lost()
        self.browser, name = self.rig.browser(), f"user{self.sent}"
        self.values |= await self._account(name)
        self.values |= await self._elsewhere(name)
        self.values |= await self._resets(name)
        for value in ("code", "login", "consent", "select_account"):
            prompt = None if value == "code" else value
            answer = await self.browser.http.get(authorization(prompt=prompt))
            self.values[value] = part("code" if prompt is None else "interaction", answer)
        self.values["step"] = await self._between(name)
        self.values["totp"] = code_of(self.values["secret"], self.rig)

    async def _account(self, name: str) -> dict[str, str]:
        """A new account, signed in and allowing the client, with an app, a passkey, a telephone and recovery codes."""
        browser, rig = self.browser, self.rig
        await browser.get(authorization(prompt="create", scope="openid offline_access"))
        await browser.register(name)
        tokens = (await exchange(rig, part("code", await browser.submit(decision="allow")))).json()
        secret = await browser.add_totp(rig)
        device = authenticator(rig.issuer, credential_id=f"the passkey of {name}".encode())
        await add_passkey(browser, device)
        await browser.get("/account/authenticators/add-phone")
        await browser.submit(phone=f"{NUMBERS}{self.sent % 90 + 10}")
        await browser.submit(code=await newest_code(rig))
        codes = codes_on(await browser.post("/account/recovery-codes", {}))
        await browser.get("/account/email")
        await browser.submit(email=f"{name}@new.test")
        page = await browser.get("/account/authenticators")
        credential = re.search(r"/account/authenticators/(\w+)/remove", page.text)
        asked = ceremony_on(await browser.get("/account/authenticators/add-passkey"))
        another = authenticator(rig.issuer, credential_id=f"another of {name}".encode())
        assert credential
        return {
            **{value: tokens[value] for value in ("access_token", "id_token", "refresh_token")},
            "username": name,
            "credential": credential[1],
            "secret": secret,
            "recovery": codes[0],
            "confirm": (await self._mail("verify_email")),
            "attestation": another.make(asked.challenge, user_handle=decoded(asked.options["user"]["id"])),
            "assertion": device.use(asked.challenge),
        }

    async def _elsewhere(self, name: str) -> dict[str, str]:
        """The same user in another browser, which is trusted from then on."""
        other, rig = self.rig.browser(), self.rig
        rig.clock.advance(CODE_LIFE)
        await other.get(authorization())
        page = await other.submit(username=name, password=PASSWORD)
        await other.get(f"/login?interaction={page.url.params['interaction']}&method=totp")
        await other.submit(code=code_of(self.values["secret"], rig), trust="1")
        rig.clock.advance(CODE_LIFE)
        page = await self.browser.get("/account/sessions")
        session = re.search(r"/account/sessions/(\w+)/end\"", page.text)
        trusted = re.search(r"/account/sessions/trusted/(\w+)/ask-again", page.text)
        assert session, page.text
        assert trusted, page.text
        return {"session": session[1], "trusted": trusted[1]}

    async def _resets(self, name: str) -> dict[str, str]:
        """Links for a new password: one to be opened, and one that was opened in our browser and waits for a step.

        A third one, of an account that has no second step, waits there for the new password.
        """
        await prove_address(self.rig, name, f"{name}@mail.test")
        await self.rig.browser().register(f"plain{name}")
        await prove_address(self.rig, f"plain{name}", f"plain{name}@mail.test")
        found = {}
        for value, username in (("reset", name), ("proved", f"plain{name}")):
            asking = self.rig.browser()
            self.rig.clock.advance(timedelta(seconds=1))
            await asking.get("/recover")
            await asking.submit(username=username)
            found[f"{value}_link"] = await self._mail("reset_password")
            page = await follow(self.browser, f"/recover/password?link={found[f'{value}_link']}")
            found[value] = str(page.url.params["interaction"])
        return found

    async def _between(self, name: str) -> str:
        """A sign-in in our browser that has the password and waits for the second step, our session not being asked."""
        await self.browser.get(authorization(prompt="login", max_age="0"))
        page = await self.browser.submit(username=name, password=PASSWORD)
        return str(page.url.params["interaction"])

    async def _lost(self) -> dict[str, str]:
        """Somebody who has lost all second steps, and has waited for long enough: the link that says no, and yes."""
        rig, name = self.rig, f"lost{self.sent}"
        owner, asking = rig.browser(), rig.browser()
        await owner.register(name)
        await prove_address(rig, name, f"{name}@mail.test")
        await owner.add_totp(rig)
        page = await sign_in(asking, username=name)
        await asking.get(str(page.url).replace("/login?", "/recover/factor?"))
        await asking.submit()
        cancel = await self._mail("factor_recovery_asked")
        rig.clock.advance(timedelta(hours=24))
        await remind_ripe(rig)
        return {"cancel": cancel, "finish": await self._mail("factor_recovery_ripe")}

    async def _mail(self, kind: str) -> str:
        """The secret in the link of the last mail of this kind."""
        return secret_of([mail for mail in await mails(self.rig) if mail.kind == kind][-1].link)

    def honest(self, path: str, choice: int) -> tuple[str, Parameters, Parameters]:
        """The path, the query and the body of an honest request to a route."""
        if path.startswith("/oauth/"):
            return (path, *self._protocol(path, choice))
        values, query = self.values, self._query(path, choice)
        user = [("username", values["username"]), ("password", PASSWORD)]
        code = (values["totp"], values["recovery"])[choice % 2]
        account = [("email", f"new{self.sent}@b.test"), ("phone", "+4930123456")]
        forms: dict[str, Parameters] = {
            "/login": (user, [("code", code), ("trust", "1")], [("credential", values["assertion"])])[choice % 3],
            "/register": [("username", f"new{self.sent}"), user[1], *account],
            "/recover": user[:1],
            "/recover/password": [("link", values["reset_link"])],
            "/recover/new-password": [("password", NEW)],
            "/recover/step": [("code", code)],
            "/recover/factor/cancel": [("link", values["cancel"])],
            "/recover/factor/finish": [("link", values["finish"]), ("password", PASSWORD)],
            "/confirm-email": [("link", values["confirm"])],
            "/consent": [("decision", ("allow", "deny")[choice % 2])],
            "/login/choose": [("account", values["access_token"])],
            "/account/authenticators/add-totp": [("code", code), ("name", "app")],
            "/account/authenticators/add-passkey": [("credential", values["attestation"]), ("name", "key")],
            "/account/authenticators/add-phone": [account[1], ("code", code)][choice % 2 : choice % 2 + 1],
            "/account/passkey-upgrade": [("credential", values["attestation"])],
            "/account/password": [("current_password", PASSWORD), ("password", NEW), ("end_others", "1")],
            "/account/profile": [("name", "Alice"), ("given_name", "Alice"), ("locale", "de"), ("zoneinfo", "UTC")],
            "/account/delete": [("confirmation", values["username"])],
            "/account/email": account[:1],
        }
        method = [("method", ("totp", "password", "webauthn", "sms", "recovery")[choice % 5])]
        return self._filled(path, choice), query, forms.get(path, [*method, ("name", "renamed"), ("code", code)])

    def _filled(self, path: str, choice: int) -> str:
        """The path with something that is there, more often than not."""
        key = "trusted" if "trusted" in path else "session" if "sessions" in path else "credential"
        named = "web" if "client_id" in path else self.values[key]
        return re.sub(r"\{[\w:]+\}", ("%00x", "'", "%C2%85", *[named] * 5)[choice % 8], path)

    def _query(self, path: str, choice: int) -> Parameters:
        values, method = self.values, ("totp", "password", "webauthn", "sms", "recovery")[choice % 5]
        if "/step" in path or "/new-password" in path:
            return [("interaction", values[("reset", "proved")["new" in path]]), ("method", method)]
        if path in {"/recover/password", "/confirm-email", "/recover/factor/cancel", "/recover/factor/finish"}:
            return [("link", values[_LINKS[path]])]
        if path.startswith("/account/authenticators/"):
            return [("return_to", f"/login?interaction={values['step']}")] if choice % 2 else []
        waits = (
            "consent" if "consent" in path else "select_account" if "choose" in path or "forget" in path else "login"
        )
        return [("interaction", values[(waits, "step")[choice % 2]]), *([("method", method)] if choice % 3 else [])]

    def _protocol(self, path: str, choice: int) -> tuple[Parameters, Parameters]:
        if path == "/oauth/authorize":
            good = parse_qsl(authorization().partition("?")[2])
            return (good, []) if choice % 2 else ([], good)
        token = self.values[("access_token", "id_token", "refresh_token")[choice % 3]]
        if path == "/oauth/logout":
            asked = [("id_token_hint", self.values["id_token"]), ("post_logout_redirect_uri", "https://rp.test/")]
            return (asked, []) if choice % 2 else ([], asked)
        if path != "/oauth/token":
            return [], [("token", token), *([("access_token", token)] if "userinfo" in path else [])]
        code = [("code", self.values["code"]), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)]
        grants: tuple[Parameters, ...] = (
            [("grant_type", "authorization_code"), *code],
            [("grant_type", "refresh_token"), ("refresh_token", self.values["refresh_token"])],
            [("grant_type", "client_credentials"), ("scope", "api")],
        )
        return [], grants[choice % 3]

    def headers(self, path: str) -> Parameters:
        """How an honest request to an endpoint shows who asks: a client's secret, or the token that is presented."""
        if path == "/oauth/userinfo":
            return [("authorization", f"Bearer {self.values['access_token']}")]
        if path in {"/oauth/token", "/oauth/introspect", "/oauth/revoke"}:
            return [("authorization", "Basic " + b64encode(f"web:{self.rig.secret}".encode()).decode())]
        return []

    def count(self, path: str, method: str, answer: httpx2.Response) -> None:
        """Keep what a route has answered."""
        self.met.setdefault((path, method), Counter())[answer.status_code] += 1


_LINKS = {
    "/recover/password": "reset_link",
    "/confirm-email": "confirm",
    "/recover/factor/cancel": "cancel",
    "/recover/factor/finish": "finish",
}


def part(name: str, answer: httpx2.Response) -> str:
    """A parameter of the address to which an answer leads."""
    parameters = dict(parse_qsl(urlsplit(answer.headers.get("location", "")).query))
    assert name in parameters, (answer.status_code, answer.headers, answer.text)
    return parameters[name]
