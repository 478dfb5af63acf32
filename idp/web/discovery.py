"""The discovery documents (OpenID Connect Discovery 1.0 §4; RFC 8414 §3), from memory alone."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.oauth.metadata import metadata
from idp.web.provider import provider_of


async def discovery(request: Request) -> Response:
    """The metadata of this issuer."""
    headers = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}
    return JSONResponse(metadata(provider_of(request).issuer), headers=headers)
