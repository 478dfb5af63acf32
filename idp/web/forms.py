"""Forms as they come in: bounded, single, clean, and from our own pages where they must be."""

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from idp.base.uri import origin
from idp.oauth.errors import InvalidRequest, PageError
from idp.oauth.parameters import LONGEST_VALUE, MOST_PARAMETERS, single
from idp.web.provider import provider_of

LARGEST_BODY = 128 * 1024

# As it is sent, most characters percent-encoded; the value itself is measured once it is decoded.
_LONGEST_FIELD = 4 * LONGEST_VALUE


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a url-encoded form by name; raises InvalidRequest for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidRequest("The content type must be application/x-www-form-urlencoded.")
    try:
        form = await request.form(max_fields=MOST_PARAMETERS, max_files=0, max_part_size=_LONGEST_FIELD)
    except HTTPException as fault:
        if fault.status_code != 400:
            # Too large or too slow: there is a status for that.
            raise
        raise InvalidRequest("The form cannot be read.", detail=str(fault.detail)) from fault
    except ClientDisconnect as fault:
        raise InvalidRequest("The form is not complete.") from fault
    return single((name, value) for name, value in form.multi_items() if isinstance(value, str))


async def read_page_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours; raises PageError when another site sent it (A-51).

    Browsers say where a form comes from. What says nothing is no browser of today; it gets as far as the cookies that
    it brings, and these are SameSite=Lax.
    """
    site, came_from = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site not in {None, "same-origin", "none"} or came_from not in {None, *_own_origins(request)}:
        raise PageError("cross_site", status=403, detail=f"{site} {(came_from or '')[:200]}")
    try:
        return await read_form(request)
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault


def _own_origins(request: Request) -> set[str]:
    """The issuer's origin, and that of the host that was asked for: ``KnownHost`` lets no stranger's through."""
    own = origin(provider_of(request).issuer)
    scheme = own.partition(":")[0]
    return {own, f"{scheme}://{request.headers['host']}"}


def query(request: Request) -> dict[str, str]:
    """The parameters of the query by name; raises InvalidRequest as ``single`` does."""
    return single(request.query_params.multi_items())
