"""Whether the process lives, and whether it can serve."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.store.database import Unavailable, transaction
from idp.web.provider import provider_of


async def live(_request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """The database answers too; 503 if not."""
    try:
        async with transaction(provider_of(request).pool) as conn:
            await conn.fetchval("SELECT 1")
    except Unavailable:
        return JSONResponse({"status": "unavailable"}, status_code=503)
    return JSONResponse({"status": "ok"})
