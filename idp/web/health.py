"""Whether the process lives, and whether it can serve."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from idp.web.provider import provider_of


async def live(_request: Request) -> Response:
    """The process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> Response:
    """The process can serve; 503 if not, with what is wrong in the words of ``store.readiness.Fault``."""
    if faults := await provider_of(request).readiness.faults():
        return JSONResponse({"status": "unavailable", "faults": faults}, status_code=503)
    return JSONResponse({"status": "ok"})
