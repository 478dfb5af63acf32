"""One-time things raced over two processes on one database (G2, A-12, A-15, A-39): never two successes, no 5xx."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2

from idp.store.database import transaction
from tests.cluster import BASIC, Cluster, code_grant, totp_code
from tests.driver import PASSWORD

ROUNDS = 100
AT_ONCE = 50


async def raced(attempt: Callable[[int], Awaitable[httpx2.Response]]) -> list[httpx2.Response]:
    """The answers to so many attempts at once, half of them by each process, the one that succeeded first."""
    answers = await asyncio.gather(*(attempt(number) for number in range(AT_ONCE)))
    return sorted(answers, key=lambda answer: answer.status_code)


def won_once(answers: list[httpx2.Response]) -> bool:
    """Whether one of them has got tokens, and all others the very refusal that fits."""
    won, *lost = answers
    return won.status_code == 200 and {(one.status_code, one.json()["error"]) for one in lost} == LOST


LOST = {(400, "invalid_grant")}


async def test_A_12_and_A_15_codes_and_refresh_tokens(cluster: Cluster) -> None:
    """G2 (ASVS 10.4.2, 10.4.5)."""
    browser = await cluster.signed_in()
    # The servers themselves and not their proxy: connections that stay open leave more of the time for the race.
    async with browser.http, cluster.http(cluster.workers[0]) as one, cluster.http(cluster.workers[1]) as other:

        async def redeem(number: int, form: dict[str, str | None]) -> httpx2.Response:
            http = (one, other)[number % 2]
            return await http.post("/oauth/token", data=form, headers={"authorization": BASIC})

        for _ in range(ROUNDS):
            form = code_grant(await cluster.code(browser))
            assert won_once(await raced(lambda number, form=form: redeem(number, form)))  # type: ignore[misc]
            token = (await redeem(0, code_grant(await cluster.code(browser)))).json()["refresh_token"]
            form = {"grant_type": "refresh_token", "refresh_token": token}
            assert won_once(await raced(lambda number, form=form: redeem(number, form)))  # type: ignore[misc]


BROWSER = {"cookie": f"idp_browser={'b' * 43}"}


async def test_A_39_totp_steps(cluster: Cluster) -> None:
    """G2 (ASVS 6.5.1)."""
    async with cluster.http(cluster.workers[0]) as one, cluster.http(cluster.workers[1]) as other:
        for _ in range(ROUNDS):
            waiting = await waiting_for_a_code(cluster, one)
            # The same step again and again, as if each round were the first.
            async with transaction(cluster.pool) as conn:
                await conn.execute("UPDATE totp_credentials SET last_step = NULL")
                await conn.execute("TRUNCATE attempts")
            code = totp_code()

            async def enter(number: int, ids: list[str] = waiting, code: str = code) -> httpx2.Response:
                address = f"/login?interaction={ids[number]}&method=totp"
                return await (one, other)[number % 2].post(address, data={"code": code}, headers=BROWSER)

            statuses = [answer.status_code for answer in await raced(enter)]
            assert statuses == [303] + [400] * (AT_ONCE - 1)


async def waiting_for_a_code(cluster: Cluster, http: httpx2.AsyncClient) -> list[str]:
    """So many interactions of one browser in which the password was right a moment ago."""
    start = await http.get("/login", headers=BROWSER)
    location = start.headers["location"]
    await http.post(location, data={"username": "alice", "password": PASSWORD}, headers=BROWSER)
    async with transaction(cluster.pool) as conn:
        rows = await conn.fetch(
            """
            INSERT INTO interactions
                (id, browser_hash, parameters, return_to, fresh, sub, evidence, created_at, expires_at)
            SELECT id || number, browser_hash, parameters, return_to, fresh, sub, evidence, created_at, expires_at
            FROM interactions, generate_series(1, $2) AS number WHERE id = $1 AND sub IS NOT NULL
            RETURNING id
            """,
            location.partition("interaction=")[2],
            AT_ONCE,
        )
    assert len(rows) == AT_ONCE
    return [row["id"] for row in rows]
