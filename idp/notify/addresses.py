"""Which gateway the address in a setting means."""

from email.headerregistry import Address
from urllib.parse import urlsplit

from idp.notify.gateway import Gateway
from idp.notify.services import check_service, service_gateway
from idp.notify.smtp import MailServer, one_line, smtp_gateway

_SMTP = ("smtp", "smtps")
OUTBOX = "outbox:"
"""Stands for no gateway at all: messages stay in the outbox, where a developer reads them."""


def check_address(url: str) -> None:
    """Raise ValueError, with a text that repeats nothing of it, unless the address is one of a gateway."""
    if _scheme(url) in _SMTP:
        MailServer.parse(url)
    else:
        check_service(url)


def stays_here(url: str) -> bool:
    """Whether the address stands for no gateway at all."""
    return url == OUTBOX


def check_sms_address(url: str) -> None:
    """Raise ValueError likewise, unless the address is one of a gateway for text messages."""
    if stays_here(url):
        return
    if _scheme(url) in _SMTP:
        raise ValueError("give an Apprise URL: a mail server does not send text messages")
    check_service(url)


def mail_gateway(url: str, name: str, address: str) -> Gateway:
    """The gateway at this address, for mail that comes from that name and address; raises ValueError as above."""
    if _scheme(url) in _SMTP:
        return smtp_gateway(MailServer.parse(url), Address(one_line(name), addr_spec=address))
    return service_gateway(url, one_line(name))


def sms_gateway(url: str, name: str) -> Gateway | None:
    """The gateway for text messages at this address, None where they stay in the outbox; raises ValueError as above."""
    check_sms_address(url)
    return None if stays_here(url) else service_gateway(url, one_line(name))


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        raise ValueError("give a URL") from None
