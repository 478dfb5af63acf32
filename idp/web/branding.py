"""What the operator has set (``/branding.css``, ``/branding/logo``) and the logos of apps (``/logos/``)."""

from starlette.requests import Request
from starlette.responses import Response

from idp.store.client_logos import find_logo
from idp.store.database import transaction
from idp.web.provider import provider_of

FOREVER = "public, max-age=31536000, immutable"
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For a picture that is opened as a page of its own: an SVG may style itself, and run or fetch nothing."""


async def css(request: Request) -> Response:
    """The style sheet of the accent; 404 where none is set."""
    found = provider_of(request).pages.brand.css
    return _kept(request, found.encode(), "text/css") if found else Response(status_code=404)


async def logo(request: Request) -> Response:
    """The operator's logo; 404 where none is set."""
    found = provider_of(request).pages.brand.logo
    if found is None:
        return Response(status_code=404)
    response = _kept(request, found.content, found.media_type)
    response.headers["Content-Security-Policy"] = PICTURE_POLICY
    return response


async def client_logo(request: Request) -> Response:
    """Our copy of an app's logo, under the digest of its content; 404 where there is none."""
    async with transaction(provider_of(request).pool) as conn:
        content = await find_logo(conn, request.path_params["digest"])
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type="image/png", headers={"Cache-Control": FOREVER})


def _kept(request: Request, content: bytes, media_type: str) -> Response:
    """What may be kept for a year where its address names its version."""
    kept = FOREVER if request.url.query.startswith("v=") else "no-cache"
    return Response(content, media_type=media_type, headers={"Cache-Control": kept})
