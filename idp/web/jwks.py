"""The published keys: ``/.well-known/jwks.json`` (RFC 7517 §5), from memory alone."""

from starlette.requests import Request
from starlette.responses import Response

from idp.keys.ring import Ring
from idp.web.answers import public_document


async def jwks(request: Request) -> Response:
    """The JWK Set, or 304 to one who has it already; it never waits for the database."""
    ring: Ring = request.app.state.provider.keys.ring
    # The schedule keeps the promise of max-age: no key signs before every copy made under it has aged out.
    return public_document(request, ring.jwks, etag=ring.etag, max_age=ring.max_age)
