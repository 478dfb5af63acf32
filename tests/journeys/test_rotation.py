"""Three rotations before the eyes of validators that are not ours and that keep the JWKS for its whole max-age."""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import jwt as pyjwt
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from idp.base.clock import system_clock
from idp.base.entropy import system_entropy
from idp.base.jwk import ALGORITHMS
from idp.base.seal import MasterKey
from idp.keys.custody import Custody, tend
from idp.keys.keyring import KeyRing
from idp.keys.schedule import Policy
from idp.store.database import Pool
from idp.web.jwks import jwks

ISSUER, AUDIENCE = "https://idp.test", "api"
# The real clock, but lives of seconds: so that libraries with clocks of their own take part.
POLICY = Policy(
    key_life=timedelta(seconds=2.5),
    max_age=timedelta(seconds=1),
    propagation=timedelta(seconds=1),
    token_life=timedelta(seconds=5),
    hint_life=timedelta(seconds=5),
)
PATIENCE_SECONDS = 60
STEP_SECONDS = 0.3
AGE_SECONDS = 2.0

# It never asks again for an unknown kid (cooldown), but only when its copy is max-age old.
NODE_VALIDATOR = """
import { createInterface } from 'node:readline'
import { createRemoteJWKSet, jwtVerify } from 'jose'
const [url, issuer, audience, maxAge] = process.argv.slice(2)
const options = { cacheMaxAge: Number(maxAge) * 1000, cooldownDuration: Number.MAX_SAFE_INTEGER }
const keys = createRemoteJWKSet(new URL(url), options)
for await (const line of createInterface({ input: process.stdin })) {
  const { token, alg } = JSON.parse(line)
  let verdict
  try {
    await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', algorithms: [alg] })
    verdict = 'accepted'
  } catch (error) {
    verdict = String(error)
  }
  console.log(JSON.stringify(verdict))
}
"""


@dataclass
class Provider:
    """As much of the provider as the endpoint reads."""

    keys: KeyRing


@pytest.fixture
async def keys(database: str, pool: Pool) -> AsyncIterator[KeyRing]:
    custody = Custody(pool, MasterKey(bytes(range(32))), POLICY, rsa_bits=2048, entropy=system_entropy)
    ring = KeyRing(custody, dsn=database, clock=system_clock)
    await ring.start()
    caring = asyncio.create_task(care(custody))
    yield ring
    caring.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await caring
    await ring.close()


async def care(custody: Custody) -> None:
    """The minute's round of the schedule, on a clock that runs faster."""
    while True:
        await asyncio.sleep(STEP_SECONDS)
        await tend(custody, system_clock())


@pytest.fixture
def published(keys: KeyRing) -> Iterator[str]:
    """The address of the JWKS on a server of its own."""
    app = Starlette(routes=[Route("/.well-known/jwks.json", jwks)])
    app.state.provider = Provider(keys)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/.well-known/jwks.json"
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def jose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the npm package `jose` and our validator in it; skips, saying so, where it cannot be had."""
    directory = tmp_path_factory.mktemp("node")
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("NOT TESTED with npm jose: node and npm are not installed")
    command = [npm, "install", "--prefix", str(directory), "--no-audit", "--no-fund", "jose@6"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"NOT TESTED with npm jose: it cannot be installed ({type(error).__name__})")
    (directory / "validator.mjs").write_text(NODE_VALIDATOR)
    return directory


class NodeValidator:
    """A service in JavaScript that validates with npm jose."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def judge(self, token: str, alg: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"token": token, "alg": alg}).encode() + b"\n")
        return str(json.loads(await self._process.stdout.readline()))


@contextlib.asynccontextmanager
async def node_validator(directory: Path, url: str) -> AsyncIterator[NodeValidator]:
    arguments = (url, ISSUER, AUDIENCE, str(POLICY.max_age.seconds))
    process = await asyncio.create_subprocess_exec(
        "node", str(directory / "validator.mjs"), *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    yield NodeValidator(process)
    process.terminate()
    await process.communicate()


class PythonValidator:
    """A service in Python that validates with PyJWT's PyJWKClient."""

    def __init__(self, url: str) -> None:
        self._client = pyjwt.PyJWKClient(url, lifespan=POLICY.max_age.seconds)

    async def judge(self, token: str, alg: str) -> str:
        return await asyncio.to_thread(self._judge, token, alg)

    def _judge(self, token: str, alg: str) -> str:
        try:
            key = self._client.get_signing_key_from_jwt(token)
            pyjwt.decode(token, key, algorithms=[alg], audience=AUDIENCE, issuer=ISSUER)
        except pyjwt.PyJWTError as error:
            return repr(error)
        return "accepted"


async def tokens(keys: KeyRing) -> dict[str, str]:
    """One access token of each algorithm, signed just now."""
    # `iat` is a whole second, as ours are, and never ahead of the clock.
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + POLICY.token_life.seconds}
    return {alg: await keys.sign(claims, alg=alg, typ="at+jwt") for alg in ALGORITHMS}


async def watch(keys: KeyRing, validator: NodeValidator | PythonValidator) -> None:
    """Have every token judged when it is new and again shortly before it expires, through three rotations."""
    signers: list[str] = []
    waiting: list[tuple[float, dict[str, str]]] = []
    ends = time.monotonic() + PATIENCE_SECONDS
    while len(signers) < 4 or waiting:
        now = time.monotonic()
        assert now < ends, "three rotations did not happen in time"
        ripe = [held for due, held in waiting if due <= now]
        waiting = [(due, held) for due, held in waiting if due > now]
        if len(signers) < 4:
            fresh = await tokens(keys)
            ripe.append(fresh)
            waiting.append((now + AGE_SECONDS, fresh))
        for held in ripe:
            verdicts = {alg: await validator.judge(token, alg) for alg, token in held.items()}
            assert verdicts == dict.fromkeys(ALGORITHMS, "accepted")
        kid = pyjwt.get_unverified_header(ripe[-1]["RS256"])["kid"] if ripe else signers[-1]
        signers += [] if kid in signers else [kid]
        await asyncio.sleep(STEP_SECONDS)


async def test_pyjwt_accepts_before_during_and_after(keys: KeyRing, published: str) -> None:
    await watch(keys, PythonValidator(published))


async def test_npm_jose_accepts_before_during_and_after(keys: KeyRing, published: str, jose: Path) -> None:
    async with node_validator(jose, published) as validator:
        await watch(keys, validator)
