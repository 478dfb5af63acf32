"""Any other gateway, by its Apprise URL: some 170 services, and any HTTP one by ``json://host/path``."""

import logging
from typing import TYPE_CHECKING
from urllib.parse import quote

from idp.model.message import Message
from idp.notify.gateway import Gateway, NotTaken

if TYPE_CHECKING:
    from apprise import NotifyBase

TO = "{to}"
"""Stands in the URL where the recipient belongs."""
ANSWER_SECONDS = 10.0
_OPEN = ("json", "jsons", "form", "forms", "xml", "xmls")
"""Services that take any field, so that the recipient needs no place in the URL: it is the field ``to``."""
_SAMPLE = "+15551230000"


def check_service(url: str) -> None:
    """Raise ValueError, with a text that repeats nothing of it, unless Apprise knows what the URL means."""
    if TO not in url and url.partition("://")[0].lower() not in _OPEN:
        raise ValueError(f"write {TO} in the URL where the recipient belongs")
    if _service(url, _SAMPLE) is None:
        raise ValueError("give an address of the form smtp://host, json://host/path or another that Apprise knows")


def service_gateway(url: str, operator: str) -> Gateway:
    """The gateway at this Apprise URL; raises ValueError as ``check_service`` does."""
    check_service(url)
    from apprise import Apprise, AppriseAsset, NotifyFormat

    # At the level of debugging it would tell the log what messages say.
    logging.getLogger("apprise").setLevel(logging.INFO)
    asset = AppriseAsset(app_id=operator, app_desc=operator)

    async def hand_over(message: Message) -> None:
        # What a service would take for a second recipient, or for none.
        if not message.recipient or set(message.recipient) & set(" ,;<>\"'\r\n\t"):
            raise NotTaken("not a recipient", final=True)
        service = _service(url, message.recipient)
        if service is None:
            raise NotTaken("not a recipient that this service knows", final=True)
        one = Apprise(service, asset=asset)
        if not await one.async_notify(body=message.text, title=message.subject, body_format=NotifyFormat.TEXT):
            raise NotTaken("the service did not answer, or refused")

    return hand_over


def _service(url: str, recipient: str) -> "NotifyBase | None":
    # Imported where it is used: it takes a third of a second, which no command without such a gateway has to wait.
    from apprise import Apprise, NotifyBase

    there = quote(recipient, safe="")
    address = url.replace(TO, there) if TO in url else f"{url}{'&' if '?' in url else '?'}:to={there}"
    service = Apprise.instantiate(address)
    if not isinstance(service, NotifyBase):
        return None
    if "rto=" not in url:
        service.socket_read_timeout = ANSWER_SECONDS
    return service
