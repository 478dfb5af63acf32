"""Who has an account is told by no answer: not by its status, its text, its headers or its cookies (its time: G16)."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from idp.authn.throttle import MOST_MISSES
from idp.base.entropy import identifier
from idp.model.attempt import Bucket, Tally
from idp.model.user import User
from idp.store import users
from idp.store.attempts import lock_tallies, record_tallies
from idp.store.database import Connection, transaction
from tests.cluster import Cluster
from tests.driver import PASSWORD, Rig, running

ADDRESS = "alice@mail.example"


@pytest.fixture
async def rig(database: str, tmp_path: Path) -> AsyncIterator[Rig]:
    """A provider that knows alice, disabled ``shut0`` and ``bare0``, who has no password."""
    async with running(database, tmp_path) as found:
        provider = found.app.state.provider
        hashed, now = await provider.tools.hasher.hash(PASSWORD), found.clock()
        alice = User(identifier(provider.entropy), "alice", now, now, email=ADDRESS, email_verified=True)
        async with transaction(provider.pool) as conn:
            people = (
                replace(alice, password_hash=hashed),
                User(identifier(provider.entropy), "shut0", now, now, password_hash=hashed, disabled_at=now),
                User(identifier(provider.entropy), "bare0", now, now),
            )
            for one in people:
                await users.create(conn, one, username_canonical=one.username, email_canonical=one.email)
        yield found


async def answer_to(rig: Rig, path: str, **fields: str) -> tuple[int, str, list[str], list[str]]:
    """What a browser that has just come gets for this form: status, text, names of headers, names of cookies.

    What is random or was typed is taken out of the text.
    """
    browser = rig.browser()
    await browser.get(path)
    answer = await _submit(browser.page, browser.http, fields)
    return answer.status_code, _plain(answer, fields), sorted(answer.headers), sorted(answer.cookies)


async def _submit(page: httpx2.Response | None, http: httpx2.AsyncClient, fields: dict[str, str]) -> httpx2.Response:
    assert page is not None
    action = re.search(r'<form method="post"\s+action="([^"]+)"', page.text)
    assert action
    return await http.post(action[1], data=fields)


def _plain(answer: httpx2.Response, fields: dict[str, str]) -> str:
    text = answer.text + answer.headers.get("location", "")
    for typed in filter(None, fields.values()):
        text = text.replace(typed, "TYPED")
    return re.sub(r"interaction=\w+|challenge&#34;: &#34;[\w-]+|challenge\W+[\w-]{22,}", "RANDOM", text)


WRONG = "not the right password at all"


@pytest.mark.parametrize("typed", ["alice", ADDRESS, "shut0", "bare0", "nobody@mail.example", "no name!", "?!"])
async def test_A_48_and_A_50_a_wrong_password_tells_nothing(rig: Rig, typed: str) -> None:
    """A known name, its address, one shut out, one without a password, and what can be no name (ASVS 6.3.8)."""
    told = await answer_to(rig, "/login", username=typed, password=WRONG)
    assert told == await answer_to(rig, "/login", username="nobody", password=WRONG)
    assert told[0] == 400
    assert 'data-error="wrong_credentials"' in told[1]


async def test_A_48_and_A_50_a_wrong_password_tells_two_servers_nothing(cluster: Cluster) -> None:
    """The same over HTTP: with a second factor, shut out, not proved, by address, unknown (ASVS 6.3.8)."""
    async with transaction(cluster.pool) as conn:
        await conn.execute("UPDATE users SET disabled_at = created_at WHERE username = 'mallory'")
        await conn.execute("UPDATE users SET email_verified = false WHERE username = 'bob'")
    told = []
    for typed in ("nobody", "alice", "mallory", "bob", "alice@example.test", "nobody@example.test"):
        browser = cluster.browser()
        await browser.get("/login")
        fields = {"username": typed, "password": WRONG}
        answer = await _submit(browser.page, browser.http, fields)
        told.append((answer.status_code, _plain(answer, fields), sorted(answer.headers), sorted(answer.cookies)))
        await browser.http.aclose()
    assert told == [told[0]] * len(told)
    assert told[0][0] == 400


async def test_A_48_neither_does_the_twelfth(rig: Rig) -> None:
    """Limits on guessing are the same for names that nobody has."""
    for _ in range(12):
        known = await answer_to(rig, "/login", username="alice", password=WRONG)
        assert known == await answer_to(rig, "/login", username="nobody", password=WRONG)


async def test_A_50_neither_does_a_factor_that_is_off_nor_an_address_that_is_not_proved(rig: Rig) -> None:
    """Whose codes were guessed at too often, and whose address is a mere claim; their owners are told."""
    owner = rig.browser()
    await owner.get("/register")
    await owner.submit(username="lock0", password=PASSWORD, email="claimed@mail.example", phone="")
    await owner.add_totp(rig)
    pool, now = rig.app.state.provider.pool, rig.clock()
    async with transaction(pool) as conn:
        tallies = await lock_tallies(conn, [Bucket("totp", (await _sub_of(conn, "lock0")), "")], now)
        await record_tallies(conn, {bucket: Tally(MOST_MISSES, 0, now, now) for bucket in tallies})
    nobody = await answer_to(rig, "/login", username="nobody", password=WRONG)
    for typed in ("lock0", "claimed@mail.example"):
        assert await answer_to(rig, "/login", username=typed, password=WRONG) == nobody
    browser = rig.browser()
    await browser.get("/login")
    page = await browser.submit(username="lock0", password=PASSWORD)
    assert page.status_code == 403
    assert 'data-error="factor_locked"' in page.text


async def _sub_of(conn: Connection, username: str) -> str:
    found = await users.find_by_username(conn, username)
    assert found is not None
    return found.sub


async def test_A_50_the_right_password_tells_its_owner(rig: Rig) -> None:
    status, text, *_ = await answer_to(rig, "/login", username="shut0", password=PASSWORD)
    assert status == 400
    assert 'data-error="account_unavailable"' in text


async def test_A_49_registration_does_not_tell_addresses(rig: Rig) -> None:
    """The address of somebody who has proved it and that of nobody (ASVS 6.3.8); a taken name is told, by choice."""
    filled = {"password": PASSWORD, "phone": ""}
    known = await answer_to(rig, "/register", username="fresh1", email=ADDRESS, **filled)
    assert known == await answer_to(rig, "/register", username="fresh2", email="nobody@mail.example", **filled)
    assert known[0] == 303
    taken = await answer_to(rig, "/register", username="alice", email="", **filled)
    assert 'data-error="username_taken"' in taken[1]
