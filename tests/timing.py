"""Measures whether the time of an answer tells who has an account (G16), and writes the table of docs/security.md.

A tool to run by hand (`make timing`) on a quiet machine; no part of the test suite. A server of its own is started,
with all its limits on, and 1,000 samples of each kind are taken in turns, each round in a new order.
"""

import asyncio
import math
import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from html import unescape
from itertools import count
from pathlib import Path

import httpx2

from idp.authn import throttle
from idp.base.digest import PasswordHasher
from idp.base.entropy import identifier, system_entropy
from idp.model.credential import WebAuthnCredential
from idp.model.user import User
from idp.store import users, webauthn_credentials
from idp.store.database import Connection, open_pool, transaction
from idp.store.embedded import EmbeddedPostgres
from tests.cli.test_serve import Serving

DOCUMENT = Path(__file__).parents[1] / "docs" / "security.md"
BEGIN, END = "<!-- timing -->", "<!-- end of timing -->"
SAMPLES = 1000
WARM_UP = 20
PEOPLE = 50
MAILED = 1000
"""So many people that none of them is written to more often than is allowed, in either comparison."""
PASSWORD = "correct horse battery staple"
WRONG = "another long enough passphrase"

MOST_SECONDS, MOST_SHARE, LEAST_P = 0.005, 0.05, 0.01


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two kinds of answers, and how much their times differ; times in seconds."""

    what: str
    median: float
    other_median: float
    p: float

    @property
    def verdict(self) -> str:
        """What G16 says of it."""
        apart = abs(self.median - self.other_median)
        if apart > max(MOST_SECONDS, MOST_SHARE * max(self.median, self.other_median)):
            return "differs"
        return "alike" if self.p > LEAST_P else "within the bound"


def mann_whitney(left: Sequence[float], right: Sequence[float]) -> float:
    """The two-sided p of the Mann-Whitney U test by its normal approximation, with ties and continuity corrected."""
    n, m = len(left), len(right)
    ranks: dict[float, float] = {}
    ties = below = 0
    for value, times in sorted(Counter((*left, *right)).items()):
        ranks[value] = below + (times + 1) / 2
        ties += times**3 - times
        below += times
    u = sum(ranks[value] for value in left) - n * (n + 1) / 2
    variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)))
    if variance == 0:
        return 1.0
    z = max(abs(u - n * m / 2) - 0.5, 0) / math.sqrt(variance)
    return math.erfc(z / math.sqrt(2))


def compare(what: str, left: Sequence[float], right: Sequence[float]) -> Comparison:
    """Two rows of samples as a comparison."""
    return Comparison(what, statistics.median(left), statistics.median(right), mann_whitney(left, right))


def judged(samples: dict[str, list[float]]) -> dict[str, list[float]]:
    """The same samples; raises ValueError where many were answered too quickly to have been judged at all."""
    for kind, taken in samples.items():
        if sum(took < statistics.median(taken) / 4 for took in taken) > len(taken) / 100:
            raise ValueError(f"{kind}: many answers took less than a quarter of the median, as if a limit had been met")
    return samples


def take_turns(kinds: Mapping[str, Callable[[], float]], samples: int, order: random.Random) -> dict[str, list[float]]:
    """So many samples of each kind, each round in a new order; the first rounds only warm up."""
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(samples + WARM_UP):
        for kind in order.sample(tuple(kinds), len(kinds)):
            took = kinds[kind]()
            if number >= WARM_UP:
                taken[kind].append(took)
    return taken


class Prober:
    """One connection to the server, kept alive, with cookies of the same shape at every request."""

    def __init__(self, issuer: str) -> None:
        self.http = httpx2.Client(base_url=issuer, timeout=30)
        self.numbers, self.networks = count(), count()
        self.sign_in = self._form("/login")

    def _form(self, path: str) -> str:
        page = self.http.get(path, follow_redirects=True)
        found = re.search(r'<form method="post"\s+action="([^"]+)"', page.text)
        assert found, page.text
        return unescape(found[1])

    def _post(self, path: str, fields: dict[str, str], status: int, sign: str) -> float:
        # Each sample comes from a network of its own, so that no limit on guessing is met and none has to be lifted.
        number = next(self.networks)
        headers = {"X-Forwarded-For": f"10.{number // 256 % 256}.{number % 256}.7"}
        begun = time.perf_counter()
        answer = self.http.post(path, data=fields, headers=headers)
        took = time.perf_counter() - begun
        assert answer.status_code == status, (answer.status_code, answer.text)
        assert sign in answer.text + answer.headers.get("location", ""), answer.text
        return took

    def try_password(self, username: str) -> float:
        """How long a wrong password for this name takes; every answer must be the same refusal."""
        fields = {"username": username, "password": WRONG}
        return self._post(self.sign_in, fields, 400, 'data-error="wrong_credentials"')

    def try_somebody(self, kind: str) -> float:
        """A wrong password for one of the people of this kind; those of the kind ``nobody`` do not exist."""
        return self.try_password(f"{kind}-{next(self.numbers) % PEOPLE:04}")

    def try_spent(self) -> float:
        """The address of an account whose name has been tried beyond every limit for strangers."""
        return self.try_password("spent-0000@mail.example")

    def try_fresh(self) -> float:
        """An address that is nobody's; one and the same each time, so that it meets its limit where the other does."""
        return self.try_password("nobdy-0000@mail.example")

    def register(self, email: str) -> float:
        """How long it takes to register a free name with this address, in a browser that has just come."""
        self.http.cookies.clear()
        action = self._form("/register")
        fields = {"username": f"fresh-{next(self.numbers):06}", "password": PASSWORD, "email": email, "phone": ""}
        return self._post(action, fields, 303, "/account")

    def recover(self, kind: str) -> float:
        """How long it takes to ask for a new password in the name of one of the people of this kind."""
        username = f"{kind}-{next(self.numbers) % MAILED:04}"
        return self._post("/recover", {"username": username}, 303, "/recover/sent")

    def after_recover(self, kind: str) -> float:
        """How long the next answer takes on the connection on which one of them has just asked for a new password."""
        self.recover(kind)
        begun = time.perf_counter()
        answer = self.http.get("/recover")
        took = time.perf_counter() - begun
        assert answer.status_code == 200, answer.text
        return took


async def populate(server: EmbeddedPostgres) -> None:
    """People of each kind: with a password, shut out, and with nothing but a passkey."""
    hashed = await PasswordHasher().hash(PASSWORD)
    pool = await open_pool(server.dsn())
    async with transaction(pool) as conn:
        await _add(conn, "spent-0000", hashed)
        for number in range(PEOPLE):
            await _add(conn, f"known-{number:04}", hashed)
            sub = await _add(conn, f"shut0-{number:04}", hashed)
            await users.disable(conn, sub, datetime.now(UTC))
            await _add_passkey(conn, await _add(conn, f"pass0-{number:04}", None))
        for number in range(MAILED):
            await _add(conn, f"maild-{number:04}", hashed)
    await pool.close()


async def _add(conn: Connection, username: str, password_hash: str | None) -> str:
    now, email = datetime.now(UTC), f"{username}@mail.example"
    user = User(
        identifier(system_entropy),
        username,
        now,
        now,
        email=email,
        email_verified=True,
        password_hash=password_hash,
    )
    return (await users.create(conn, user, username_canonical=username, email_canonical=email)).sub


async def _add_passkey(conn: Connection, sub: str) -> None:
    credential = WebAuthnCredential(
        identifier(system_entropy),
        sub,
        "Passkey",
        system_entropy(32),
        b"public",
        0,
        "00000000-0000-0000-0000-000000000000",
        ("internal",),
        backup_eligible=True,
        backed_up=True,
        uv_initialized=True,
        discoverable=True,
        attested=False,
        created_at=datetime.now(UTC),
    )
    assert await webauthn_credentials.create(conn, credential)


def measure(issuer: str, samples: int) -> list[Comparison]:
    """All comparisons, against the server at this address."""
    prober, order = Prober(issuer), random.Random(7)  # noqa: S311 - the order of samples is no secret
    nobody, known, shut, passkey = "nobdy", "known", "shut0", "pass0"
    kinds = {kind: partial(prober.try_somebody, kind) for kind in (nobody, known, shut, passkey)}
    sign_in = judged(take_turns(kinds, samples, order))
    for _ in range(throttle.STRANGERS_PER_ACCOUNT):
        prober.try_password("spent-0000")
    beyond = take_turns({nobody: prober.try_fresh, "spent": prober.try_spent}, samples, order)
    addresses = {kind: partial(prober.register, f"{kind}-0001@mail.example") for kind in (nobody, known)}
    register = take_turns(addresses, samples, order)
    # Not `judged`: nothing is hashed here, so that no answer can be too quick.
    recover = take_turns({kind: partial(prober.recover, kind) for kind in (nobody, "maild")}, samples, order)
    after = take_turns({kind: partial(prober.after_recover, kind) for kind in (nobody, "maild")}, samples, order)
    return [
        compare("sign-in, wrong password: unknown name / known name", sign_in[nobody], sign_in[known]),
        compare("sign-in, wrong password: unknown name / disabled account", sign_in[nobody], sign_in[shut]),
        compare(
            "sign-in, wrong password: unknown name / account with a passkey alone", sign_in[nobody], sign_in[passkey]
        ),
        compare(
            "sign-in, wrong password: address of nobody / of a name that was tried beyond the limit",
            beyond[nobody],
            beyond["spent"],
        ),
        compare("registration: address of nobody / of somebody who has proved it", register[nobody], register[known]),
        compare("reset: unknown name / somebody who is written to", recover[nobody], recover["maild"]),
        compare(
            "the next answer after a reset: unknown name / somebody who is written to", after[nobody], after["maild"]
        ),
    ]


def table(comparisons: Sequence[Comparison], samples: int) -> str:
    """The table for the document."""
    rows = [
        f"| {one.what} | {1000 * one.median:.2f} / {1000 * one.other_median:.2f} | "
        f"{1000 * abs(one.median - one.other_median):.2f} | {one.p:.3f} | {one.verdict} |"
        for one in comparisons
    ]
    head = "| what is compared | medians (ms) | apart (ms) | p | verdict |\n|---|---|---|---|---|\n"
    return f"{head}{chr(10).join(rows)}\n\n{samples:,} samples of each kind, taken in turns over one connection.\n"


def with_table(text: str, written: str) -> str:
    """The document with the table between its markers; raises ValueError where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document lacks {BEGIN} or {END}")
    return f"{before}{begin}\n{written}{end}{after}"


def main(arguments: list[str]) -> int:
    """Measure with the given number of samples (1,000), print and write the table; 1 where answers differ in time."""
    samples = int(arguments[0]) if arguments else SAMPLES
    with tempfile.TemporaryDirectory(prefix="idp-timing-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        with Serving(home, IDP_TRUSTED_PROXIES="127.0.0.0/8,::1", IDP_RSA_BITS="2048") as serving:
            with EmbeddedPostgres(home / "data") as server:
                asyncio.run(populate(server))
            comparisons = measure(f"http://localhost:{serving.port}", samples)
    written = table(comparisons, samples)
    sys.stdout.write(written)
    if samples >= SAMPLES:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text("utf-8"), written), "utf-8")
    return 1 if any(one.verdict == "differs" for one in comparisons) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
