"""Whether a password is known from a breach, asked of a service that does not learn which one is meant.

The service gets the first five characters of the password's digest and answers with the rest of all digests that begin
so, some hundreds of them (k-anonymity). It is asked for padding, so that the length of the answer tells nothing either.
"""

import asyncio
import unicodedata
from dataclasses import dataclass, field

import httpx2

from idp.base.digest import range_digest

SECONDS = 2.0
"""For the whole question: nobody waits longer for a service that is not ours."""
LARGEST_ANSWER = 256 * 1024
"""An answer has some 2,000 lines of 40 characters at most."""
PREFIX = 5


class BreachCheckFailed(Exception):
    """The service did not answer in time, or not as it should; nothing is known of the password."""


@dataclass(frozen=True, slots=True)
class BreachList:
    """A service with a range API, and the client by which it is asked."""

    url: str
    client: httpx2.AsyncClient = field(repr=False)

    async def has(self, password: str) -> bool:
        """Whether the password, in the form in which it would be kept, is known; raises BreachCheckFailed."""
        digest = range_digest(unicodedata.normalize("NFKC", password))
        prefix, rest = digest[:PREFIX], digest[PREFIX:]
        try:
            async with asyncio.timeout(SECONDS):
                answer = await self._ask(prefix)
        except TimeoutError:
            raise BreachCheckFailed("no answer in time") from None
        except httpx2.HTTPError as error:
            raise BreachCheckFailed(type(error).__name__) from None
        # What pads an answer was seen in no breach at all: its count is 0.
        return any(_suffix(line) == rest for line in answer.splitlines())

    async def _ask(self, prefix: str) -> str:
        headers = {"Add-Padding": "true", "Accept-Encoding": "identity", "User-Agent": "idp"}
        url = f"{self.url.rstrip('/')}/{prefix}"
        async with self.client.stream("GET", url, headers=headers) as response:
            if response.status_code != 200:
                raise BreachCheckFailed(f"status {response.status_code}")
            body = bytearray()
            async for piece in response.aiter_raw():
                body += piece
                if len(body) > LARGEST_ANSWER:
                    raise BreachCheckFailed("the answer is too long")
        try:
            return body.decode("ascii")
        except UnicodeDecodeError:
            raise BreachCheckFailed("the answer is not text") from None


def _suffix(line: str) -> str | None:
    """The digest of a line ``<the rest of the digest>:<count>``, None where the count is 0 or missing."""
    suffix, _, count = line.strip().partition(":")
    return suffix.upper() if count.isascii() and count.isdecimal() and int(count[:12]) > 0 else None


def breach_client() -> httpx2.AsyncClient:
    """A client that follows nobody elsewhere."""
    return httpx2.AsyncClient(timeout=SECONDS, follow_redirects=False)
