"""Which gateway the address in a setting means."""

from email.headerregistry import Address
from urllib.parse import urlsplit

from idp.notify.gateway import Gateway
from idp.notify.services import check_service, service_gateway
from idp.notify.smtp import MailServer, one_line, smtp_gateway

_SMTP = ("smtp", "smtps")


def check_address(url: str) -> None:
    """Raise ValueError, with a text that repeats nothing of it, unless the address is one of a gateway."""
    if _scheme(url) in _SMTP:
        MailServer.parse(url)
    else:
        check_service(url)


def mail_gateway(url: str, name: str, address: str) -> Gateway:
    """The gateway at this address, for mail that comes from that name and address; raises ValueError as above."""
    if _scheme(url) in _SMTP:
        return smtp_gateway(MailServer.parse(url), Address(one_line(name), addr_spec=address))
    return service_gateway(url, one_line(name))


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme.lower()
    except ValueError:
        raise ValueError("give a URL") from None
