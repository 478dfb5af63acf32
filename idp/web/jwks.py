"""The published keys: ``/.well-known/jwks.json`` (RFC 7517 §5), from memory alone."""

from starlette.requests import Request
from starlette.responses import Response

from idp.keys.ring import Ring


async def jwks(request: Request) -> Response:
    """The JWK Set, or 304 to one who has it already; it never waits for the database."""
    ring: Ring = request.app.state.provider.keys.ring
    headers = {
        # The schedule keeps this promise: no key signs before every copy made under it has aged out.
        "Cache-Control": f"public, max-age={ring.max_age}",
        "ETag": ring.etag,
        "Access-Control-Allow-Origin": "*",
    }
    if _is_known(request.headers.getlist("If-None-Match"), ring.etag):
        return Response(status_code=304, headers=headers)
    return Response(ring.jwks, media_type="application/json", headers=headers)


def _is_known(conditions: list[str], etag: str) -> bool:
    """Whether the caller's copy is the present one: weak comparison, a list, or ``*`` (RFC 9110 §13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for line in conditions for tag in line.split(",")]
    return etag in tags or tags == ["*"]
