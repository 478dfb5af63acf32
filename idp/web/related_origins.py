"""``/.well-known/webauthn``: the other origins on which our passkeys may be used (WebAuthn Level 3 §5.11)."""

import json

from starlette.requests import Request
from starlette.responses import Response

from idp.base.digest import sha256
from idp.web.answers import public_document
from idp.web.provider import provider_of

MAX_AGE = 300


async def related_origins(request: Request) -> Response:
    """All origins, our own first; 404 where there is no other."""
    origins = provider_of(request).tools.relying_party.origins
    if len(origins) == 1:
        # Every site may read the document, and that there is none as well.
        return Response(status_code=404, headers={"Access-Control-Allow-Origin": "*"})
    document = json.dumps({"origins": origins}, separators=(",", ":"))
    etag = f'"{sha256(document).hex()[:32]}"'
    return public_document(request, document.encode(), etag=etag, max_age=MAX_AGE)
