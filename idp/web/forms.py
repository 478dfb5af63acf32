"""Forms as they come in: bounded, single, clean, and from our own pages where they must be."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from idp.oauth.errors import InvalidRequest, PageError
from idp.oauth.parameters import single
from idp.web.provider import provider_of

LARGEST_BODY = 128 * 1024


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a url-encoded form by name; raises InvalidRequest for anything else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InvalidRequest("The content type must be application/x-www-form-urlencoded.")
    try:
        form = await request.form(max_fields=64, max_files=0)
    except HTTPException as fault:
        raise InvalidRequest("The form cannot be read.", detail=str(fault.detail)) from fault
    return single((name, value) for name, value in form.multi_items() if isinstance(value, str))


async def read_page_form(request: Request) -> dict[str, str]:
    """The fields of a form of ours; raises PageError when another site sent it (A-51)."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", provider_of(request).issuer)
    issuer = provider_of(request).issuer
    if site not in {"same-origin", "none"} or not (issuer == origin or issuer.startswith(f"{origin}/")):
        raise PageError("cross_site", status=403, detail=f"{site} {origin[:200]}")
    try:
        return await read_form(request)
    except InvalidRequest as fault:
        raise PageError("invalid_request", detail=str(fault)) from fault


def query(request: Request) -> dict[str, str]:
    """The parameters of the query by name; raises InvalidRequest as ``single`` does."""
    return single(request.query_params.multi_items())
