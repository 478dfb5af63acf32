"""The cookies (ASVS 3.3): the session, the browser to which interactions are bound, the device, and the language.

The device is the browser as accounts know it that have signed in there. It outlives the browser's closing, and so does
the language, which alone is no secret.
"""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from idp.web.provider import Provider


def _name(provider: Provider, name: str) -> str:
    # The prefix demands Secure, which a plain http://localhost cannot give (RFC 6265bis §4.1.3.2).
    return f"__Host-idp_{name}" if provider.is_secure else f"idp_{name}"


def read(request: Request, provider: Provider, name: str) -> str | None:
    """The cookie's value, if it is there and of a size that we would have set."""
    value = request.cookies.get(_name(provider, name))
    return value if value is not None and 16 <= len(value) <= 64 else None


def read_short(request: Request, provider: Provider, name: str) -> str | None:
    """The value of a cookie that is no secret."""
    value = request.cookies.get(_name(provider, name))
    return value if value is not None and len(value) < 16 else None


def write(response: Response, provider: Provider, name: str, value: str, *, life: timedelta | None = None) -> None:
    """Set the cookie for that long, or until the browser closes: HttpOnly, SameSite=Lax, Secure wherever it can be."""
    response.set_cookie(
        _name(provider, name),
        value,
        max_age=None if life is None else int(life.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=provider.is_secure,
    )


def clear(response: Response, provider: Provider, name: str) -> None:
    """Take the cookie away."""
    response.delete_cookie(_name(provider, name), path="/", httponly=True, samesite="lax", secure=provider.is_secure)
