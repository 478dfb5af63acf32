"""What nobody expected: what is told of it, what is kept of it, and that the server goes on (ASVS 16.5)."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from idp.store.database import transaction
from idp.web.middleware import CSP, HEADERS
from tests.cluster import Cluster, authorization

INSIDE = ("interactions", "asyncpg", "Traceback", "SELECT", "INSERT", "psql", ".py", "Undefined", "relation")


@pytest.fixture
async def broken(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The servers, on a database that lacks a table: no fault that a line of ours has foreseen."""
    async with transaction(cluster.pool) as conn:
        await conn.execute("ALTER TABLE interactions RENAME TO interactions_away")
    try:
        yield cluster
    finally:
        async with transaction(cluster.pool) as conn:
            await conn.execute("ALTER TABLE IF EXISTS interactions_away RENAME TO interactions")


def entries(cluster: Cluster, after: int) -> list[dict[str, Any]]:
    """What the servers have logged since then."""
    return [json.loads(line) for line in cluster.said()[after:].splitlines()]


def told(answer: httpx2.Response) -> str:
    """All of an answer that says something: its headers and its text."""
    return f"{answer.headers} {answer.text}"


async def test_16_5_1_and_16_3_4_and_16_5_4_an_error_that_nobody_expected(broken: Cluster) -> None:
    """A page with a reference, or an error in JSON; all of it in the log, and in the log alone; the server goes on."""
    before = len(broken.said())
    pids = [process.pid for process in broken.processes]
    references = set()
    for worker in broken.workers:
        async with broken.http(worker, faults=True) as http:
            for path in ("/login", authorization("spa"), "/register"):
                page = await http.get(path, headers={"accept": "text/html"})
                bare = await http.get(path, headers={"accept": "application/json"})
                assert (page.status_code, bare.status_code) == (500, 500)
                assert bare.json() == {"error": "server_error"}
                for answer in (page, bare):
                    assert [word for word in INSIDE if word in told(answer)] == []
                    assert answer.headers["content-security-policy"] == CSP
                    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
                    assert "set-cookie" not in answer.headers
                assert page.headers["x-request-id"] in page.text
                references |= {answer.headers["x-request-id"] for answer in (page, bare)}
            assert (await http.get("/.well-known/jwks.json")).status_code == 200
    errors = [entry for entry in entries(broken, before) if entry["level"] == "error"]
    assert {entry["request"] for entry in errors} == references
    assert all("UndefinedTableError" in entry["exception"] for entry in errors)
    assert [process.poll() for process in broken.processes] == [None, None]
    assert [process.pid for process in broken.processes] == pids
    async with transaction(broken.pool) as conn:
        await conn.execute("ALTER TABLE interactions_away RENAME TO interactions")
    for worker in broken.workers:
        async with broken.http(worker) as http:
            assert (await http.get("/login")).status_code == 303


async def test_16_5_3_an_error_on_the_way_leaves_nothing_half_done(broken: Cluster) -> None:
    """A request that fails when its answer is to be kept gives no code, and no session."""
    bob = await broken.signed_in("bob", consent=())
    async with bob.http, broken.http(faults=True) as http:
        answer = await http.get(
            authorization("spa"), headers={"cookie": f"idp_session={bob.http.cookies['idp_session']}"}
        )
    assert (answer.status_code, "location" in answer.headers) == (500, False)
    assert (await broken.count("authorization_codes"), await broken.count("authorizations")) == (0, 0)


async def test_14_3_1_signing_out_clears_the_browser(cluster: Cluster) -> None:
    """The session's cookie goes at once, and no page that was shown may be kept (ASVS 14.3.2, 7.4.4)."""
    bob = await cluster.signed_in("bob")
    async with bob.http:
        shown = await bob.http.get("/account")
        assert shown.headers["cache-control"] == "no-store"
        gone = await bob.http.post("/account/sign-out", headers={"content-type": "application/x-www-form-urlencoded"})
        [cookie] = [each for each in gone.headers.get_list("set-cookie") if each.startswith("idp_session=")]
        assert re.search(r"max-age=0\b", cookie, re.IGNORECASE)
        again = await bob.http.get("/account")
    assert (again.status_code, again.headers["location"][:7]) == (303, "/login?")
