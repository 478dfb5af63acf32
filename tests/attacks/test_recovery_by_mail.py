"""Resets and confirmations by mail, walked past, used again, raced, poisoned, and turned into a way in."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from idp.authn.accounts import parse_email
from idp.authn.throttle import MOST_MISSES
from idp.base.clock import system_clock
from idp.model.mail_link import LinkKind
from idp.store.database import transaction
from idp.store.mail_links import create_link
from idp.store.outbox import text_of as opened
from idp.store.users import get_user
from idp.web.mail_link import new_link
from tests.attacks.test_enumeration import _plain
from tests.attacks.test_guessing import missed_before
from tests.cluster import _MASTER, Cluster, totp_code
from tests.driver import PASSWORD, Browser, Rig, authorization, code_of, mails, running
from tests.notify.gateways import Service, eventually, service
from tests.web.account.people import error_on, make_codes, sign_in
from tests.web.conftest import rig
from tests.web.recovering import (
    ADDRESS,
    NEW,
    alice,
    ask,
    count,
    events,
    follow,
    link_for,
    prove_address,
    reset_mails,
    secret_of,
)

__all__ = ["rig"]


async def alice_with_app(rig: Rig) -> tuple[Browser, str]:
    """Her browser, and the seed of her app; her address is proved."""
    owner = await alice(rig)
    return owner, await owner.add_totp(rig)


async def unchanged(rig: Rig) -> bool:
    """Whether her password is what it was, and no reset is in the trail."""
    page = await sign_in(rig.browser())
    return error_on(page) is None and "password_reset" not in await events(rig)


# A-67, and the part of A-34 that is about links.


async def test_A_67_straight_to_the_form(rig: Rig) -> None:
    """The link alone does not lead to a new password where a second factor is there (ASVS 6.4.3, 6.3.6)."""
    await alice_with_app(rig)
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    here = f"/recover/new-password?{step.url.query.decode()}"
    shown = await browser.get(here)
    assert shown.url.path == "/recover/step"
    refused = await browser.post(here, {"password": NEW})
    assert refused.status_code == 403
    assert 'data-method="totp"' in refused.text
    assert await unchanged(rig)


@pytest.mark.parametrize("method", ["password", "email", "none", "", "webauthn", "recovery"])
async def test_A_67_another_method_in_place_of_the_second_factor(rig: Rig, method: str) -> None:
    """(Keycloak CVE-2026-18963) Nothing but what the account has besides its password opens the form."""
    owner, _ = await alice_with_app(rig)
    await make_codes(owner)
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    query = step.url.query.decode()
    await browser.post(f"/recover/step/another-way?{query}", {"method": method})
    for form in ({"code": "", "password": PASSWORD, "username": "alice"}, {"credential": "{}"}, {}):
        refused = await browser.post(f"/recover/step?{query}&method={method}", form)
        assert refused.status_code == 400
    assert (await browser.post(f"/recover/new-password?{query}", {"password": NEW})).status_code == 403
    assert await unchanged(rig)


async def test_A_67_somebody_elses_factor(rig: Rig) -> None:
    """Whose step it is, is the link's to say, whatever the form says (A-31)."""
    await alice_with_app(rig)
    mallory = rig.browser()
    await mallory.register("mallory")
    seed = await mallory.add_totp(rig)
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    rig.clock.advance(30)
    refused = await browser.submit(code=code_of(seed, rig), username="mallory")
    assert (refused.status_code, error_on(refused)) == (400, "code_wrong")
    assert await unchanged(rig)


async def test_A_67_a_link_used_twice(rig: Rig) -> None:
    """(Keycloak CVE-2026-37982) Nor does the page go on that was open in another browser."""
    await alice(rig)
    link, first, second = await link_for(rig), rig.browser(), rig.browser()
    for browser in (first, second):
        assert (await follow(browser, link)).url.path == "/recover/new-password"
    assert (await first.submit(password=NEW)).url.path == "/recover/done"
    refused = await second.submit(password="yet another long sentence")
    assert (refused.status_code, error_on(refused)) == (403, "link_gone")
    for gone in (await rig.browser().get(link), await rig.browser().post("/recover/password", {"link": link[-43:]})):
        assert error_on(gone) == "link_gone"
    assert (await events(rig)).count("password_reset") == 1
    assert (await sign_in(rig.browser(), NEW)).url.path == "/account"


@pytest.mark.parametrize(("minutes", "lives"), [(59, True), (60, False), (61, False)])
async def test_A_67_a_link_of_61_minutes(rig: Rig, minutes: int, lives: bool) -> None:
    """Dead at any stage: unopened, opened, and with the second factor shown."""
    _, seed = await alice_with_app(rig)
    link, early, proved = await link_for(rig), rig.browser(), rig.browser()
    await follow(early, link)
    rig.clock.advance(30)
    await follow(proved, link)
    assert (await proved.submit(code=code_of(seed, rig))).url.path == "/recover/new-password"
    rig.clock.advance(timedelta(minutes=minutes) - timedelta(seconds=30))
    assert (error_on(await rig.browser().get(link)) is None) is lives
    assert (error_on(await early.get(str(early.page.url if early.page else ""))) is None) is lives
    answer = await proved.submit(password=NEW)
    assert (answer.url.path == "/recover/done") is lives
    assert lives or (answer.status_code, error_on(answer)) == (403, "link_gone")


async def test_A_67_a_link_after_a_second_request(rig: Rig) -> None:
    """It opens nothing any more. Where it was opened before, it goes on: anybody may ask for a second one."""
    await alice(rig)
    first, browser = await link_for(rig), rig.browser()
    second = await link_for(rig)
    assert error_on(await rig.browser().get(first)) == "link_gone"
    assert error_on(await browser.post("/recover/password", {"link": secret_of(first)})) == "link_gone"
    assert await unchanged(rig)
    await follow(browser, second)
    third = await link_for(rig)
    assert (await browser.submit(password=NEW)).url.path == "/recover/done"
    assert error_on(await rig.browser().get(third)) == "link_gone"


async def test_A_67_a_link_after_a_change_of_the_password(rig: Rig) -> None:
    owner, other = await alice(rig), "a sentence that she chose herself"
    link, browser = await link_for(rig), rig.browser()
    await follow(browser, link)
    await owner.get("/account/password")
    await owner.submit(current_password=PASSWORD, password=other)
    assert error_on(await browser.submit(password=NEW)) == "link_gone"
    assert error_on(await rig.browser().get(link)) == "link_gone"
    assert (await sign_in(rig.browser(), other)).url.path == "/account"


async def test_A_67_a_confirmation_as_a_reset(rig: Rig) -> None:
    """(Keycloak #27357) And the other way round."""
    owner = await alice(rig)
    await owner.post("/account/email", {"email": "new@mail.test"})
    verify = next(mail.link for mail in await mails(rig) if mail.kind == "verify_email")
    reset = await link_for(rig)
    for path, link in (("/recover/password", verify), ("/confirm-email", reset)):
        assert error_on(await rig.browser().get(f"{path}?link={secret_of(link)}")) == "link_gone"
        refused = await rig.browser().post(path, {"link": secret_of(link)})
        assert (refused.status_code, error_on(refused)) == (403, "link_gone")
    assert await unchanged(rig)
    assert await count(rig, "SELECT count(*) FROM users WHERE email = 'new@mail.test'") == 0


async def test_A_67_a_right_reset_ends_her_sessions_and_what_was_under_way(rig: Rig) -> None:
    """Somebody who has her old password, a session, and a sign-in half done has none of them any more (A-72)."""
    intruder = await alice(rig)
    half_done = rig.browser()
    await half_done.get(authorization(acr_values="mfa"))
    assert (await half_done.submit(username="alice", password=PASSWORD)).status_code == 200
    waiting = str(half_done.page.url) if half_done.page else ""
    rig.clock.advance(1)
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    await browser.submit(password=NEW)
    assert (await intruder.get("/account")).url.path == "/login"
    assert 'data-method="password"' in (await half_done.get(waiting)).text, "it begins anew"
    assert (await half_done.get("/account")).url.path == "/login"


async def test_A_34_no_link_gives_a_session(rig: Rig) -> None:
    """Neither a reset nor a confirmation, at any of their pages; nor does the reset's own proof count elsewhere."""
    owner, seed = await alice_with_app(rig)
    await owner.post("/account/email", {"email": "new@mail.test"})
    fresh = rig.browser()
    await follow(fresh, next(mail.link for mail in await mails(rig) if mail.kind == "verify_email"))
    assert "idp_session" not in fresh.http.cookies
    assert (await fresh.get("/account")).url.path == "/login"
    reset, browser = await link_for(rig), rig.browser()
    await follow(browser, reset)
    rig.clock.advance(30)
    proved = await browser.submit(code=code_of(seed, rig))
    for path in ("/login", "/account", "/oauth/authorize"):
        await browser.get(f"{path}?{proved.url.query.decode()}")
    assert "idp_session" not in browser.http.cookies
    await browser.get(str(proved.url))
    await browser.submit(password=NEW)
    assert "idp_session" not in browser.http.cookies
    assert (await browser.get("/account")).url.path == "/login"
    await browser.submit(username="alice", password=NEW)
    assert "idp_session" not in browser.http.cookies, "the second factor is asked for again"


async def test_6_3_6_a_mailbox_is_no_factor(rig: Rig) -> None:
    """Whoever reads her mail, and has nothing else of hers, has neither a session nor her password in the end."""
    await alice_with_app(rig)
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    for code in ("000000", "", PASSWORD):
        await browser.submit(code=code)
    await browser.post(f"/recover/new-password?{step.url.query.decode()}", {"password": NEW})
    assert "idp_session" not in browser.http.cookies
    assert await unchanged(rig)


async def test_A_63_and_G5_who_reads_the_mail_switches_no_factor_off(rig: Rig) -> None:
    """Behind a link guessing ends at half of what there is, told to the owner; a sign-in has the other half."""
    _, seed = await alice_with_app(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        sub = await conn.fetchval("SELECT sub FROM users")
    await missed_before(rig, sub, MOST_MISSES // 2 - 1)
    browser = rig.browser()
    await follow(browser, await link_for(rig))
    assert error_on(await browser.submit(code="000000")) == "code_wrong"
    assert "factor_locked" not in await events(rig)
    assert "recovery_refused" in [mail.kind for mail in await mails(rig)]
    rig.clock.advance(timedelta(hours=2))
    fresh = rig.browser()
    step = await follow(fresh, await link_for(rig))
    assert (step.status_code, error_on(step)) == (403, "factor_locked")
    here = f"/recover/step?{step.url.query.decode()}&method=totp"
    assert error_on(await fresh.post(here, {"code": code_of(seed, rig)})) == "factor_locked"
    owner = rig.browser(address="203.0.113.9")
    await sign_in(owner)
    assert (await owner.submit(code=code_of(seed, rig))).url.path == "/account"


async def test_A_38_and_G5_behind_a_link_parallel_guesses_end_at_half_as_well(rig: Rig) -> None:
    """Ten apps leave ten misses, five of them to resets; of twenty guesses at once no more are judged."""
    await alice_with_app(rig)
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute(
            """
            INSERT INTO totp_credentials (id, sub, name, sealed_seed, created_at, confirmed_at)
            SELECT id || number, sub, name, sealed_seed, created_at, confirmed_at
            FROM totp_credentials, generate_series(1, 9) AS number
            """
        )
    browser = rig.browser()
    step = await follow(browser, await link_for(rig))
    url = f"/recover/step?{step.url.query.decode()}&method=totp"
    await asyncio.gather(*(browser.http.post(url, data={"code": "000000"}) for _ in range(20)))
    assert await count(rig, "SELECT misses FROM attempts WHERE factor = 'totp' AND source = ''") == 5


async def test_6_3_6_nor_is_a_code_that_goes_to_the_same_mailbox(database: str, tmp_path: Path) -> None:
    """With codes by mail switched on none is offered, sent or taken where a mail is to be backed by something else."""
    async with running(database, tmp_path, IDP_EMAIL_CODES="on") as rig:
        owner = rig.browser()
        await owner.register()
        await owner.add_totp(rig)
        await prove_address(rig)
        browser = rig.browser()
        step = await follow(browser, await link_for(rig))
        query, before = step.url.query.decode(), len(await mails(rig))
        assert 'data-method="email"' not in (await browser.get(f"/recover/step/another-way?{query}")).text
        await browser.post(f"/recover/step/another-way?{query}", {"method": "email"})
        await browser.post(f"/recover/step/send-code?{query}&method=email", {})
        refused = await browser.post(f"/recover/step?{query}&method=email", {"code": "123456"})
        assert (refused.status_code, error_on(refused)) == (400, "method_unknown")
        assert len(await mails(rig)) == before
        assert (await browser.post(f"/recover/new-password?{query}", {"password": NEW})).status_code == 403


async def test_A_67_and_A_34_ways_around_over_http(cluster: Cluster) -> None:
    """Straight to the form, another method, a link of another kind, one too old, one that was replaced: two servers."""
    address, now = parse_email("alice@example.test"), system_clock()
    assert address is not None
    secrets = {name: name * 8 + "xyz" for name in ("first", "other")}

    async def keep(secret: str, kind: LinkKind, *, before: timedelta = timedelta(0)) -> None:
        assert address is not None
        async with transaction(cluster.pool) as conn:
            user = await get_user(conn, "sub-of-alice")
            await create_link(conn, new_link(secret, kind, user, address, now - before))

    await keep(secrets["first"], "reset_password")
    await keep(secrets["other"], "verify_email")
    browser = cluster.browser()
    step = await follow(browser, f"/recover/password?link={secrets['first']}")
    assert step.url.path == "/recover/step"
    query = step.url.query.decode()
    assert (await browser.http.post(f"/recover/new-password?{query}", data={"password": NEW})).status_code == 403
    for method in ("password", "email", "sms", "recovery", "webauthn", "", "none"):
        form = {"username": "alice", "password": PASSWORD, "code": ""}
        refused = await browser.http.post(f"/recover/step?{query}&method={method}", data=form)
        assert refused.status_code == 400, method
    assert (await browser.http.post(f"/recover/new-password?{query}", data={"password": NEW})).status_code == 403
    for path, secret in (("/recover/password", secrets["other"]), ("/confirm-email", secrets["first"])):
        assert (await browser.http.post(path, data={"link": secret})).status_code == 403
    await keep("second" * 7, "reset_password", before=timedelta(minutes=61))
    for secret in (secrets["first"], "second" * 7):
        assert (await browser.http.post("/recover/password", data={"link": secret})).status_code == 403
    # The reset that was opened goes on: what anybody may ask for ends nobody's.
    assert (await browser.http.get(f"/recover/step?{query}")).status_code == 200
    assert await cluster.count("sessions") == 0
    async with transaction(cluster.pool) as conn:
        assert await conn.fetchval("SELECT password_hash FROM users WHERE username = 'alice'") == cluster.password_hash
    await browser.http.aclose()


async def test_A_67_one_of_many_at_once_resets(cluster: Cluster) -> None:
    """Eight requests over two processes, one link (G2)."""
    before, browser = await cluster.last_event(), cluster.browser()
    await browser.get("/recover")
    await browser.submit(username="alice")
    link = await _mailed(cluster)
    await follow(browser, link)
    form = await browser.submit(code=totp_code())
    assert form.url.path == "/recover/new-password"
    here = str(form.url)

    async def reset(number: int) -> httpx2.Response:
        return await browser.http.post(here, data={"password": f"{NEW} {number}"})

    answers = await asyncio.gather(*(reset(number) for number in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [403] * 7
    told = [event.event for event in await cluster.events(before)]
    assert told.count("password_reset") == 1
    await browser.http.aclose()


async def _mailed(cluster: Cluster) -> str:
    """The link that was mailed; the answer does not wait for it."""
    for _ in range(500):
        async with transaction(cluster.pool) as conn:
            row = await conn.fetchrow("SELECT id, sealed_text FROM outbox WHERE kind = 'reset_password'")
        if row is not None:
            [link] = re.findall(r"^(http\S+\?link=\S+)$", opened(row["id"], row["sealed_text"], _MASTER), re.MULTILINE)
            return str(link)
        await asyncio.sleep(0.01)
    raise AssertionError("no mail")


# who is written to, and what others learn of it.


@pytest.mark.parametrize(
    "typed", ["Alice", "ＡＬＩＣＥ", "alice ", "Alice@MAIL.test", "alice@mail.test\u200b", "alice@mail.tеst"]
)
async def test_A_36_a_look_alike_gets_no_mail(rig: Rig, typed: str) -> None:
    """(Django CVE-2019-19844) Whatever form was typed, the mail goes to the address as it is stored, or to nobody."""
    await alice(rig)
    await ask(rig, typed)
    assert {mail.recipient for mail in await mails(rig)} <= {ADDRESS}


@pytest.mark.parametrize("name", ["host", "x-forwarded-host", "forwarded", "x-original-host"])
@pytest.mark.parametrize("path", ["/recover", "/recover/password", "/confirm-email"])
async def test_A_46_a_foreign_host_and_the_links_in_mails(rig: Rig, name: str, path: str) -> None:
    """(Zitadel, four rounds) Refused, or the links are ours all the same."""
    await alice(rig)
    value = "host=evil.test" if name == "forwarded" else "evil.test"
    browser = rig.browser()
    answer = await browser.http.post("/recover", data={"username": "alice"}, headers={name: value})
    assert answer.status_code in {303, 400, 421}
    assert "evil" not in answer.headers.get("location", "")
    await browser.http.get(path, headers={name: value})
    for mail in await mails(rig):
        assert "evil" not in mail.text
        assert mail.link.startswith(f"{rig.issuer}/recover/password?link=")


async def answer_to(rig: Rig, typed: str) -> tuple[object, ...]:
    """What a browser that has just come gets after asking: both answers, without what was typed."""
    http = rig.browser().http
    first = await http.post("/recover", data={"username": typed})
    second = await http.get(first.headers["location"])
    fields = {"username": typed}
    return tuple(
        (one.status_code, _plain(one, fields), sorted(one.headers), sorted(one.cookies)) for one in (first, second)
    )


async def test_A_49_a_reset_does_not_tell_who_has_an_account(rig: Rig) -> None:
    """A proved address, a claimed one, a shut account, one held back, nobody, and what can be no name (ASVS 6.3.8)."""
    await alice(rig)
    for name in ("claimer", "shut0"):
        other = rig.browser()
        await other.get("/register")
        await other.submit(username=name, password=PASSWORD, email=f"{name}@mail.test", phone="")
    await prove_address(rig, "shut0", "shut0@mail.test")
    async with transaction(rig.app.state.provider.pool) as conn:
        await conn.execute("UPDATE users SET disabled_at = created_at WHERE username = 'shut0'")
    nobody = await answer_to(rig, "nobody")
    for typed in ("alice", ADDRESS, "claimer@mail.test", "shut0", "no name!", "", "alice", "alice", "alice"):
        assert await answer_to(rig, typed) == nobody, typed
    assert {mail.recipient for mail in await reset_mails(rig)} == {ADDRESS}


async def test_A_49_nothing_is_written_before_the_answer_has_gone(rig: Rig) -> None:
    """So the time of the answer cannot tell; what comes later is the same request's, and nobody waits for it."""
    await alice(rig)
    mails_at_the_answer: list[int] = []
    app, pool = rig.app, rig.app.state.provider.pool

    async def watched(scope: dict[str, object], receive: object, send: object) -> None:
        async def sending(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                async with transaction(pool) as conn:
                    mails_at_the_answer.append(await conn.fetchval("SELECT count(*) FROM outbox"))
            await send(message)  # type: ignore[operator]

        await app(scope, receive, sending)  # type: ignore[arg-type]

    transport = httpx2.ASGITransport(app=watched)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url=rig.issuer) as http:
        assert (await http.post("/recover", data={"username": "alice"})).status_code == 303
    assert mails_at_the_answer == [0]
    await app.state.provider.later.done()
    assert len(await reset_mails(rig)) == 1


async def test_A_49_no_answer_waits_for_the_mail_gateway(database: str, tmp_path: Path) -> None:
    """(Keycloak #26625) A gateway that hangs holds up neither a registration nor a reset (F16)."""
    async with service(Service(seconds=60)) as slow:
        url = f"json://127.0.0.1:{slow.port}/"
        async with running(database, tmp_path, IDP_MAIL_URL=url) as found:
            browser = found.browser()
            await browser.get("/register")
            made = browser.submit(username="alice", password=PASSWORD, email=ADDRESS, phone="")
            assert (await asyncio.wait_for(made, 20)).url.path == "/account"
            await eventually(lambda: bool(slow.got), "the gateway was not asked")
            await prove_address(found)
            assert (await asyncio.wait_for(ask(found), 20)).url.path == "/recover/sent"
            slow.hang_up()


async def test_A_72_somebody_who_claims_her_address_first_has_nothing_of_hers(rig: Rig) -> None:
    """Mallory registers alice2's address, adds an app and waits; alice2 asks for a reset, then signs up herself."""
    mallory = rig.browser()
    await mallory.get("/register")
    await mallory.submit(username="mallory", password=PASSWORD, email="alice2@mail.test", phone="")
    await mallory.add_totp(rig)
    claimed = next(mail.link for mail in await mails(rig) if mail.kind == "verify_email")
    await ask(rig, "alice2@mail.test")
    await ask(rig, "mallory")
    assert await reset_mails(rig) == [], "a mere claim gets no link"
    rig.clock.advance(timedelta(minutes=10))
    hers = rig.browser()
    await hers.get("/register")
    await hers.submit(username="alice2", password=NEW, email="alice2@mail.test", phone="")
    link = [mail.link for mail in await mails(rig) if mail.kind == "verify_email" and "“alice2”" in mail.text][-1]
    assert (await follow(hers, link)).url.path == "/confirm-email/done"
    assert error_on(await rig.browser().get(claimed)) == "link_gone", "nor can the older link be opened by mistake"
    async with transaction(rig.app.state.provider.pool) as conn:
        row = await conn.fetchrow("SELECT email, email_canonical, email_verified FROM users WHERE username = 'mallory'")
    assert row is not None
    assert tuple(row.values()) == (None, None, False)
    assert "alice2@mail.test" not in (await mallory.get("/account")).text
    await ask(rig, "alice2@mail.test")
    [mail] = await reset_mails(rig)
    assert mail.text.startswith("Hello alice2,")
    browser = rig.browser()
    form = await follow(browser, mail.link)
    assert form.url.path == "/recover/new-password", "no factor of mallory's stands in the way"
    await browser.submit(password="her own entirely new sentence")
    assert error_on(await sign_in(rig.browser(), PASSWORD, "alice2@mail.test")) == "wrong_credentials"
    assert (await sign_in(rig.browser(), "her own entirely new sentence", "alice2")).url.path == "/account"
