"""A-76: whatever was begun before a change of credentials, by whoever it was, is worth nothing after it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from idp.store import known_devices, users
from idp.store.database import Connection, transaction
from idp.store.sessions import end_sessions_of
from tests.attacks.passkeys import authenticator, ceremony_on, decoded
from tests.driver import PASSWORD, Browser, Rig, authorization, call, code_of, exchange, mails, response_of, running
from tests.texting import SMS, newest_code
from tests.web.account.people import OTHER_PASSWORD, error_on, sign_in
from tests.web.losing import remind_ripe
from tests.web.recovering import ADDRESS, ask, follow, prove_address, reset_mails, secret_of

EVIL = "mallory@mail.test"
NUMBER = "+447700900666"
CARRY = {
    "interactions": "a sign-in or a reset half-way",
    "mail_links": "an address to confirm, a password to reset",
    "sent_codes": "a code on its way",
    "known_devices": "a browser that is known, trusted, or offered by the chooser",
    "factor_recoveries": "a removal of lost second steps",
    "totp_enrolments": "an app whose key was shown",
}
"""All tables of what can wait for a user: each row carries the generation under which it was begun."""
STAY = {
    "sessions": "ended by the change itself, where it ends any; their challenges carry a generation",
    "authorizations": "ended by the change itself, where it ends any",
    "totp_credentials": "what one signs in with",
    "webauthn_credentials": "what one signs in with",
    "recovery_codes": "what one signs in with",
    "consents": "what was allowed; it opens nothing by itself",
    "user_groups": "who asks what of whom",
    "known_networks": "where the account was used; it opens nothing",
}
"""All other tables of what belongs to a user, and why nothing in them can be gone on with."""

Go = Callable[[], Awaitable[bool]]
"""Goes on with what was begun; answers whether anything came of it."""


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with running(database, tmp_path, IDP_TRUSTED_DEVICE_DAYS="30", **SMS) as found:
        await found.add_client()
        yield found


@dataclass
class Scene:
    """alice with a password, a confirmed address and an app; a thief in a session of hers; a guest's browser."""

    rig: Rig
    owner: Browser
    seed: str
    thief: Browser = field(init=False)
    guest: Browser = field(init=False)
    password: str = PASSWORD

    def code(self) -> str:
        """A code of her app that was not used yet."""
        self.rig.clock.advance(60)
        return code_of(self.seed, self.rig)

    async def signed_in(self, **more: str) -> Browser:
        """A new browser in which both steps were shown."""
        browser = self.rig.browser()
        await sign_in(browser, self.password)
        assert (await browser.submit(code=self.code(), **more)).url.path == "/account"
        return browser

    async def value(self, sql: str) -> object:
        """One value from the database."""
        async with transaction(self.rig.app.state.provider.pool) as conn:
            return await conn.fetchval(sql)


async def scene_of(rig: Rig) -> Scene:
    owner = rig.browser()
    await owner.register()
    await prove_address(rig)
    found = Scene(rig, owner, await owner.add_totp(rig))
    found.guest = await found.signed_in(trust="1")
    await found.guest.post("/logout", {})
    found.thief = await found.signed_in()
    return found


# What can be begun.


async def change_of_address(scene: Scene) -> Go:
    await scene.thief.post("/account/email", {"email": EVIL})
    link = next(mail.link for mail in await mails(scene.rig) if mail.recipient == EVIL)

    async def go_on() -> bool:
        await scene.rig.browser().post("/confirm-email", {"link": secret_of(link)})
        return await scene.value("SELECT email FROM users") == EVIL

    return go_on


async def reset_link(scene: Scene) -> Go:
    await ask(scene.rig)
    link = (await reset_mails(scene.rig))[-1].link

    async def go_on() -> bool:
        return error_on(await scene.rig.browser().post("/recover/password", {"link": secret_of(link)})) is None

    return go_on


async def reset_under_way(scene: Scene) -> Go:
    await ask(scene.rig)
    browser = scene.rig.browser()
    page = await follow(browser, (await reset_mails(scene.rig))[-1].link)
    assert page.url.path == "/recover/step"

    async def go_on() -> bool:
        return error_on(await browser.get(str(page.url))) is None

    return go_on


async def sign_in_half_way(scene: Scene) -> Go:
    browser = scene.rig.browser()
    await browser.get(authorization())
    assert 'data-method="totp"' in (await browser.submit(username="alice", password=scene.password)).text

    async def go_on() -> bool:
        await browser.submit(code=scene.code())
        return (await browser.get("/account")).url.path == "/account"

    return go_on


async def number(scene: Scene) -> Go:
    path = "/account/authenticators/add-phone"
    await scene.thief.post(path, {"phone": NUMBER})
    code = await newest_code(scene.rig)

    async def go_on() -> bool:
        await scene.thief.post(path, {"code": code})
        return await scene.value("SELECT phone FROM users") == NUMBER

    return go_on


async def app(scene: Scene) -> Go:
    page = await scene.thief.get("/account/authenticators/add-totp")
    uri = unescape(page.text.partition('href="otpauth://')[2].partition('"')[0])
    secret = parse_qs(urlsplit(uri).query)["secret"][0]

    async def go_on() -> bool:
        code = code_of(secret, scene.rig)
        await scene.thief.post("/account/authenticators/add-totp", {"code": code, "name": "of the thief"})
        return bool(await scene.value("SELECT count(*) FROM totp_credentials WHERE name = 'of the thief'"))

    return go_on


async def passkey(scene: Scene) -> Go:
    asked = ceremony_on(await scene.thief.get("/account/authenticators/add-passkey"))
    made = authenticator(scene.rig.issuer).make(asked.challenge, user_handle=decoded(asked.options["user"]["id"]))

    async def go_on() -> bool:
        await scene.thief.post(asked.action, {"credential": made, "name": "of the thief"})
        return bool(await scene.value("SELECT count(*) FROM webauthn_credentials WHERE NOT voluntary"))

    return go_on


async def passkey_by_itself(scene: Scene) -> Go:
    options = json.loads((await scene.thief.post("/account/passkey-upgrade/options", {})).text)
    handle, challenge = decoded(options["user"]["id"]), decoded(options["challenge"])
    made = authenticator(scene.rig.issuer).make(challenge, user_handle=handle)

    async def go_on() -> bool:
        await scene.thief.post("/account/passkey-upgrade", {"credential": made})
        return bool(await scene.value("SELECT count(*) FROM webauthn_credentials WHERE voluntary"))

    return go_on


async def trusted_browser(scene: Scene) -> Go:
    async def go_on() -> bool:
        await scene.guest.get(authorization())
        return (
            'data-method="totp"' not in (await scene.guest.submit(username="alice", password=scene.password)).text
            and "idp_session" in scene.guest.http.cookies
        )

    return go_on


async def chooser_entry(scene: Scene) -> Go:
    async def go_on() -> bool:
        return ">alice<" in (await scene.guest.get(authorization(prompt="select_account"))).text

    return go_on


async def removal_of_second_steps(scene: Scene) -> Go:
    browser = scene.rig.browser()
    page = await sign_in(browser, scene.password)
    await browser.get(str(page.url).replace("/login?", "/recover/factor?"))
    await browser.submit()

    async def go_on() -> bool:
        scene.rig.clock.advance(timedelta(hours=72))
        await remind_ripe(scene.rig)
        sent = [mail.link for mail in await mails(scene.rig) if mail.kind == "factor_recovery_ripe"]
        for link in sent:
            fields = {"link": secret_of(link), "password": scene.password}
            await scene.rig.browser().post("/recover/factor/finish", fields)
        return not await scene.value("SELECT count(*) FROM totp_credentials WHERE name <> 'of the thief'")

    return go_on


async def offline_grant(scene: Scene) -> Go:
    page = await scene.thief.get(authorization(scope="openid offline_access", prompt="consent"))
    assert page.url.path == "/consent", page.text
    answer = await scene.thief.submit(decision="allow")
    token = (await exchange(scene.rig, response_of(answer)["code"])).json()["refresh_token"]

    async def go_on() -> bool:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return (await call(scene.rig, "/oauth/token", form)).status_code == 200

    return go_on


BEGIN: tuple[Callable[[Scene], Awaitable[Go]], ...] = (
    change_of_address,
    reset_under_way,
    reset_link,
    sign_in_half_way,
    number,
    app,
    passkey,
    passkey_by_itself,
    offline_grant,
    chooser_entry,
    trusted_browser,
    # The last one, since it has to wait for three days.
    removal_of_second_steps,
)


# What the owner or an operator does.


async def reset(scene: Scene) -> None:
    scene.rig.clock.advance(timedelta(minutes=10))
    await ask(scene.rig)
    browser = scene.rig.browser()
    await follow(browser, (await reset_mails(scene.rig))[-1].link)
    await browser.submit(code=scene.code())
    assert (await browser.submit(password=OTHER_PASSWORD)).url.path == "/recover/done"
    scene.password = OTHER_PASSWORD


async def change(scene: Scene, **more: str) -> None:
    await confirmed(scene)
    form = {"current_password": scene.password, "password": OTHER_PASSWORD, **more}
    assert (await scene.owner.post("/account/password", form)).url.path == "/account/authenticators"
    scene.password = OTHER_PASSWORD


async def change_and_end_others(scene: Scene) -> None:
    await change(scene, end_others="1")


async def end_others(scene: Scene) -> None:
    answer = await scene.owner.post("/account/sessions/end-others", {})
    assert (answer.status_code, answer.url.path) == (200, "/account/sessions")


async def shut_and_open(scene: Scene) -> None:
    """As `idp user disable` and `enable` do."""

    async def acts(conn: Connection, sub: str) -> None:
        await users.disable(conn, sub, scene.rig.clock())
        await end_sessions_of(conn, sub, scene.rig.clock())
        await known_devices.end_trust(conn, sub)
        await users.enable(conn, sub, scene.rig.clock())

    async with transaction(scene.rig.app.state.provider.pool) as conn:
        await acts(conn, await conn.fetchval("SELECT sub FROM users"))


async def confirmed(scene: Scene) -> None:
    """Let the owner have shown both steps lately."""
    page = await scene.owner.get("/account/password")
    if page.url.path == "/login":
        await scene.owner.submit(code=scene.code())


@pytest.mark.parametrize("begin", BEGIN, ids=lambda one: one.__name__)
async def test_a_thing_begun_can_be_gone_on_with_as_long_as_nothing_changes(
    rig: Rig, begin: Callable[[Scene], Awaitable[Go]]
) -> None:
    """Otherwise what is below would prove nothing."""
    scene = await scene_of(rig)
    go_on = await begin(scene)
    assert await go_on()


@pytest.mark.parametrize("act", [reset, change_and_end_others, end_others, shut_and_open], ids=lambda one: one.__name__)
async def test_A_76_nothing_that_was_begun_goes_on(rig: Rig, act: Callable[[Scene], Awaitable[None]]) -> None:
    scene = await scene_of(rig)
    begun = [(begin.__name__, await begin(scene)) for begin in BEGIN]
    await act(scene)
    assert [name for name, go_on in begun if await go_on()] == []


async def test_A_76_a_change_of_password_alone_ends_what_waits_and_no_session(rig: Rig) -> None:
    """The owner has said that other browsers stay signed in, and so do the apps that were allowed there."""
    scene = await scene_of(rig)
    begun = [(begin.__name__, await begin(scene)) for begin in BEGIN]
    await change(scene)
    assert (await scene.thief.get("/account")).url.path == "/account"
    assert [name for name, go_on in begun if await go_on()] == ["offline_grant"]


async def test_A_76_the_removal_of_lost_factors_ends_what_waits(rig: Rig) -> None:
    """What can wait beside it: a second factor that is shown meanwhile would end the removal itself."""
    scene = await scene_of(rig)
    before = [("offline_grant", await offline_grant(scene)), ("chooser_entry", await chooser_entry(scene))]
    await removal_of_second_steps(scene)
    rig.clock.advance(timedelta(hours=72))
    await remind_ripe(rig)
    kinds = (reset_under_way, reset_link, sign_in_half_way)
    begun = [*before, *[(begin.__name__, await begin(scene)) for begin in kinds]]
    link = next(mail.link for mail in await mails(rig) if mail.kind == "factor_recovery_ripe")
    form = {"link": secret_of(link), "password": PASSWORD}
    assert (await rig.browser().post("/recover/factor/finish", form)).url.path == "/recover/factor/done"
    assert [name for name, go_on in begun if await go_on()] == []


async def test_A_76_the_browser_of_the_change_stays_known(rig: Rig) -> None:
    """Its owner is no stranger there afterwards: it is offered by the chooser still."""
    scene = await scene_of(rig)
    await change_and_end_others(scene)
    assert ">alice<" in (await scene.owner.get(authorization(prompt="select_account"))).text
    await scene.owner.post("/logout", {})
    assert ">alice<" in (await scene.owner.get(authorization(prompt="select_account"))).text


async def test_A_76_every_table_of_what_belongs_to_a_user_is_thought_of(conn: Connection) -> None:
    """A new one has to be put into one of the two lists above, and what can wait has a generation."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT conrelid::regclass::text AS name FROM pg_constraint
        WHERE contype = 'f' AND confrelid = 'users'::regclass
        """
    )
    assert {row["name"] for row in rows} == {*CARRY, *STAY}
    columns = await conn.fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    known = {(row["table_name"], row["column_name"]) for row in columns}
    assert {table for table, column in known if column == "generation"} == {"users", *CARRY}
    challenges = {column for table, column in known if table == "sessions" and column.endswith("challenge")}
    assert len(challenges) == 2
    assert {("sessions", f"{column}_generation") for column in challenges} <= known


# Before an address was first confirmed.


async def strangers(rig: Rig) -> tuple[Browser, str, str]:
    """Somebody who registers with alice's address: the browser, a refresh token of an app, and the link in her mail."""
    mallory = rig.browser()
    await mallory.get("/register")
    await mallory.submit(username="alice", password=PASSWORD, email=ADDRESS, phone="")
    await mallory.add_totp(rig)
    await mallory.get(authorization(scope="openid offline_access"))
    answer = await mallory.submit(decision="allow")
    token = (await exchange(rig, response_of(answer)["code"])).json()["refresh_token"]
    return mallory, token, next(mail.link for mail in await mails(rig) if mail.kind == "verify_email")


async def confirm(browser: Browser, link: str) -> httpx2.Response:
    await browser.get(link)
    return await browser.submit(link=secret_of(link))


async def test_A_72_and_A_76_the_first_confirmation_ends_what_was_there_before_it(rig: Rig) -> None:
    """Whoever was there keeps neither session, nor token, nor factor, nor password; the owner chooses a new one."""
    mallory, token, link = await strangers(rig)
    hers = rig.browser()
    shown = await hers.get(link)
    assert "Sign in first" in shown.text
    done = await confirm(hers, link)
    assert (done.status_code, done.url.path) == (200, "/confirm-email/done")
    assert (await mallory.get("/account")).url.path == "/login"
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert (await call(rig, "/oauth/token", form)).json()["error"] == "invalid_grant"
    assert error_on(await sign_in(rig.browser())) == "wrong_credentials"
    onward = done.text.partition('href="/recover/new-password')[2].partition('"')[0]
    await hers.get(f"/recover/new-password{onward}")
    assert (await hers.submit(password=OTHER_PASSWORD)).url.path == "/recover/done"
    assert (await sign_in(rig.browser(), OTHER_PASSWORD)).url.path == "/account", (
        "no factor of a stranger's is asked for"
    )


async def test_A_76_a_reset_after_that_confirmation_asks_for_no_factor_of_a_strangers(rig: Rig) -> None:
    _, _, link = await strangers(rig)
    await confirm(rig.browser(), link)
    await ask(rig, ADDRESS)
    browser = rig.browser()
    assert (await follow(browser, (await reset_mails(rig))[-1].link)).url.path == "/recover/new-password"


async def test_a_confirmation_in_the_browser_that_is_signed_in_ends_nothing(rig: Rig) -> None:
    """Whoever has the mailbox and the session is the owner of both."""
    alice, token, link = await strangers(rig)
    shown = await alice.get(link)
    assert "Sign in first" not in shown.text
    assert (await confirm(alice, link)).url.path == "/confirm-email/done"
    assert (await alice.get("/account")).url.path == "/account"
    form = {"grant_type": "refresh_token", "refresh_token": token}
    assert (await call(rig, "/oauth/token", form)).status_code == 200


async def test_a_later_address_is_confirmed_anywhere_and_ends_no_session(rig: Rig) -> None:
    """The account has shown an address of its own before: whoever asks for another one has shown who they are."""
    scene = await scene_of(rig)
    await scene.owner.post("/account/email", {"email": "new@mail.test"})
    link = next(mail.link for mail in await mails(rig) if mail.recipient == "new@mail.test")
    assert (await confirm(rig.browser(), link)).url.path == "/confirm-email/done"
    assert (await scene.owner.get("/account")).url.path == "/account"


# A reset that is open.


async def test_A_67_an_outsider_does_not_end_a_reset_that_its_owner_has_open(rig: Rig) -> None:
    scene = await scene_of(rig)
    await ask(rig)
    browser = rig.browser()
    await follow(browser, (await reset_mails(rig))[-1].link)
    await browser.submit(code=scene.code())
    await ask(rig, address="192.0.2.7")
    assert (await browser.submit(password=OTHER_PASSWORD)).url.path == "/recover/done"
    assert (await sign_in(rig.browser(), OTHER_PASSWORD)).status_code == 200
    newer = (await reset_mails(rig))[-1].link
    assert error_on(await rig.browser().get(newer)) == "link_gone", "the outsider's is worth nothing any more"
