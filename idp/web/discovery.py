"""The discovery documents (OpenID Connect Discovery 1.0 §4; RFC 8414 §3), from memory alone."""

import hashlib
import json
from functools import cache

from starlette.requests import Request
from starlette.responses import Response

from idp.oauth.metadata import metadata
from idp.web.answers import public_document
from idp.web.language import LANGUAGES
from idp.web.provider import provider_of

MAX_AGE = 300


async def discovery(request: Request) -> Response:
    """The metadata of this issuer, or 304 to one who has it already."""
    document, etag = _document(provider_of(request).issuer, provider_of(request).prompts)
    return public_document(request, document, etag=etag, max_age=MAX_AGE)


@cache
def _document(issuer: str, prompts: tuple[str, ...]) -> tuple[bytes, str]:
    said = metadata(issuer, [language.tag for language in LANGUAGES], prompts)
    document = json.dumps(said, separators=(",", ":")).encode()
    return document, f'"{hashlib.sha256(document).hexdigest()[:32]}"'
