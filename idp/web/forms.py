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
    sites, origins = (request.headers.getlist(name) for name in ("sec-fetch-site", "origin"))
    if not ({"same-origin", "none"}.issuperset(sites) and _own_origins(request).issuperset(origins)):
        raise PageError("cross_site", status=403, detail=f"{' '.join(sites)} {' '.join(origins)}"[:200])
    try:
        return await read_form(request)
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault


def _own_origins(request: Request) -> set[str]:
    """The issuer's origin, and that of the host that was asked for: ``KnownHost`` lets no stranger's through."""
    own = origin(provider_of(request).issuer)
    scheme = own.partition(":")[0]
    return {own, f"{scheme}://{request.headers['host']}"}


async def read_parameters(request: Request) -> dict[str, str]:
    """What an endpoint that takes GET and POST was asked, by the query and the form together.

    Raises InvalidRequest as ``single`` does: a parameter in both is included twice (RFC 6749 §3.1, A-27).
    """
    pairs = request.query_params.multi_items()
    if request.method == "POST":
        pairs += (await read_form(request)).items()
    return single(pairs)
