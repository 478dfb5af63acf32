"""The one meeting place: settings become a pool, keys and a clock, and these become routes."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


async def live(_request: Request) -> Response:
    """Whether the process answers at all."""
    return PlainTextResponse("ok\n")


def build(settings: object) -> Starlette:
    """The application for these settings."""
    return Starlette(routes=[Route("/health/live", live)])


def from_environment() -> Starlette:
    """The application that the environment describes, for uvicorn."""
    return build(None)
