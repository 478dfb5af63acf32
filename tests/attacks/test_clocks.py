"""A process whose machine has a wrong clock, beside one whose clock is right (A-79, F9)."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx2
import pytest
from joserfc import jws

from idp.base.clock import system_clock
from idp.base.jose import sign
from idp.base.lifeline import die_with_parent
from idp.cli.serve import server_command
from idp.settings import load_settings
from idp.store.database import transaction
from tests.cluster import BASIC, ROOT, Cluster, authorization, code_grant, totp_code
from tests.driver import PASSWORD, Browser, early_in_a_step
from tests.ports import free_port

SKEWS = {"+90s": 90, "-90s": -90, "+50min": 3000, "-50min": -3000, "+8d": 8 * 86400}


@dataclass(frozen=True)
class Skewed:
    """A server on the database of the cluster whose machine's clock is ahead by so many seconds."""

    skew: float
    base: str
    log: Path

    def entries(self) -> list[str]:
        """What it has said so far."""
        return [json.loads(line)["event"] for line in self.log.read_text().splitlines() if line.startswith("{")]


@pytest.fixture(scope="module", params=[pytest.param(skew, id=name) for name, skew in SKEWS.items()])
def skewed(serving_cluster: Cluster, scratch: Path, request: pytest.FixtureRequest) -> Iterator[Skewed]:
    port, skew = free_port(), float(request.param)
    environ = {**serving_cluster.environ, "IDP_PORT": str(port), "TEST_SKEW": str(skew)}
    command = ["tests.skewed:application" if ":application" in word else word for word in _command(environ)]
    log = scratch / f"skewed-{port}.log"
    bound = partial(die_with_parent, signal.SIGKILL, os.getpid())
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=said, stderr=said, preexec_fn=bound)
    try:
        deadline = time.monotonic() + 60
        while "Application startup complete" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield Skewed(skew, f"http://localhost:{port}", log)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def _command(environ: dict[str, str]) -> list[str]:
    return server_command(load_settings(environ))


def browser_at(cluster: Cluster, base: str) -> Browser:
    """A browser that meets this server alone."""
    return Browser(cluster.http(base), home=base.partition("//")[2])


async def test_A_79_a_machine_with_a_wrong_clock_is_not_ready_and_says_by_how_much(
    cluster: Cluster, skewed: Skewed
) -> None:
    async with cluster.http(skewed.base, faults=True) as http:
        for _ in range(3):
            answer = await http.get("/health/ready")
            assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "faults": ["clock_off"]})
        assert (await http.get("/health/live")).status_code == 200
    lines = [line for line in skewed.entries() if "this machine's clock" in line]
    direction = "ahead of" if skewed.skew > 0 else "behind"
    assert len(lines) == 1
    figure = float(lines[0].partition(" clock is ")[2].partition(" s ")[0])
    assert abs(figure - abs(skewed.skew)) < 2
    assert f" s {direction} the database's" in lines[0]
    async with cluster.http(cluster.workers[0]) as http:
        assert (await http.get("/health/ready")).json() == {"status": "ok"}


async def test_A_79_a_user_made_through_one_process_signs_in_at_the_other(cluster: Cluster, skewed: Skewed) -> None:
    for number, (made_at, used_at) in enumerate(((skewed.base, cluster.workers[0]), (cluster.workers[0], skewed.base))):
        maker = browser_at(cluster, made_at)
        async with maker.http:
            assert (await maker.register(f"newcomer{number}")).status_code == 200
        user = browser_at(cluster, used_at)
        async with user.http:
            await user.get(authorization("spa"))
            page = await user.submit(username=f"newcomer{number}", password=PASSWORD)
            assert page.url.path == "/consent", page.url


async def test_A_79_tokens_have_the_right_time_and_none_that_has_expired_is_taken(
    cluster: Cluster, skewed: Skewed
) -> None:
    browser = await cluster.signed_in("bob")
    async with browser.http:
        tokens = await _exchange(cluster, skewed.base, await cluster.code(browser))
        for name in ("id_token", "access_token"):
            claims = json.loads(jws.extract_compact(tokens[name].encode()).payload)
            now = system_clock().timestamp()
            assert now - 60 < claims["iat"] <= now + 5
            assert claims.get("auth_time", now) <= now + 5
        # What both take: a token of this moment, and a code of the other process.
        for base in (skewed.base, cluster.workers[0]):
            assert (await _userinfo(cluster, base, tokens["access_token"])).status_code == 200
        # What neither does: a token, a code, a session that ended ten seconds ago.
        claims = json.loads(jws.extract_compact(tokens["access_token"].encode()).payload)
        late = {**claims, "iat": int(now) - 3600, "exp": int(now) - 10}
        expired = sign(late, key=await cluster.signing_key(), typ="at+jwt")
        code = await cluster.code(browser)
        async with transaction(cluster.pool) as conn:
            past = system_clock() - timedelta(seconds=10)
            await conn.execute("UPDATE authorization_codes SET expires_at = $1", past)
            await conn.execute("UPDATE sessions SET expires_at = $1", past)
        for base in (skewed.base, cluster.workers[0]):
            assert (await _userinfo(cluster, base, expired)).status_code == 401
            async with cluster.http(base) as http:
                refused = await http.post(
                    "/oauth/token", data=code_grant(code, "web"), headers={"authorization": BASIC}
                )
            assert refused.json()["error"] == "invalid_grant"
            stale = browser_at(cluster, base)
            stale.http.cookies = browser.http.cookies
            async with stale.http:
                assert (await stale.get(authorization("web"))).url.path == "/login"


async def test_A_79_a_totp_step_is_that_of_the_database_and_works_once(cluster: Cluster, skewed: Skewed) -> None:
    await early_in_a_step()
    first = browser_at(cluster, skewed.base)
    async with first.http:
        await first.get(authorization("spa"))
        await first.submit(username="alice", password=PASSWORD)
        for steps in (2, 3, 4, -2, -3, -4):
            page = await first.submit(code=totp_code(steps=steps))
            assert page.url.path != "/consent", steps
        code = totp_code()
        assert (await first.submit(code=code)).url.path == "/consent"
    for base in (skewed.base, cluster.workers[0]):
        again = browser_at(cluster, base)
        async with again.http:
            await again.get(authorization("spa"))
            await again.submit(username="alice", password=PASSWORD)
            assert (await again.submit(code=code)).url.path != "/consent"


async def test_A_79_a_command_on_a_machine_with_a_wrong_clock_writes_the_databases_time(cluster: Cluster) -> None:
    added = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.skewed", "user", "add", "--username=carol", "--password-stdin", "--json"),
        cwd=ROOT,
        env={**cluster.environ, "TEST_SKEW": "90"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    told, _ = await added.communicate(PASSWORD.encode() + b"\n")
    assert added.returncode == 0
    async with transaction(cluster.pool) as conn:
        changed_at = await conn.fetchval(
            "SELECT password_changed_at FROM users WHERE sub = $1", json.loads(told)["sub"]
        )
    assert abs(changed_at - system_clock()) < timedelta(seconds=30)
    browser = browser_at(cluster, cluster.workers[0])
    async with browser.http:
        await browser.get(authorization("spa"))
        assert (await browser.submit(username="carol", password=PASSWORD)).url.path == "/consent"


async def _exchange(cluster: Cluster, base: str, code: str) -> dict[str, str]:
    async with cluster.http(base) as http:
        answer = await http.post("/oauth/token", data=code_grant(code, "web"), headers={"authorization": BASIC})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _userinfo(cluster: Cluster, base: str, bearer: str) -> httpx2.Response:
    async with cluster.http(base) as http:
        return await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {bearer}"})
