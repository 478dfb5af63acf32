"""Which addresses are taken, and that a refusal repeats nothing of them."""

import re

import pytest

from idp.notify.addresses import check_address, mail_gateway
from idp.settings import SettingsError, load_settings
from tests.notify.gateways import Mailbox, Service, mail_server, message, service


@pytest.mark.parametrize(
    "url",
    [
        "smtp://localhost:1025",
        "smtps://u:p@mail.example",
        "SMTP://mail.example",
        "json://127.0.0.1/mail",
        "jsons://u:p@gateway.example/mail?:channel=x",
        "form://gateway.example",
        "mailtos://u:p@mail.example?to={to}",
        "sendgrid://abcd:from@mail.example/{to}",
    ],
)
def test_addresses_of_gateways(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("hunter2", "{to}"),
        ("smtp://", "of the form"),
        ("smtp://u:hunter2@mail.example/path", "of the form"),
        ("smtp://u:hunter2@mail.example?starttls=no", "of the form"),
        ("smtp://hunter2@mail.example", "a user name and a password"),
        ("smtp://u:hunter2@mail.example:99999", "the port"),
        ("smtp://[hunter2", "give a URL"),
        ("mailtos://u:hunter2@mail.example", "{to}"),
        ("https://hunter2.example/{to}", "Apprise"),
        ("nothing://hunter2/{to}", "Apprise"),
    ],
)
def test_other_addresses_are_refused_and_not_repeated(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        check_address(url)
    with pytest.raises(SettingsError) as refused:
        load_settings({"IDP_MAIL_URL": url})
    [fault] = refused.value.faults
    assert fault.startswith("IDP_MAIL_URL: ")
    assert "hunter2" not in fault


@pytest.mark.parametrize("address", ["no-reply", "a@b, c@d", "a@b\nBcc: c@d", "Bank <a@b>", "jürgen@mail.example"])
def test_mail_comes_from_one_address(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"IDP_MAIL_FROM": address})
    assert [fault.partition(":")[0] for fault in refused.value.faults] == ["IDP_MAIL_FROM"]


@pytest.mark.parametrize(
    ("issuer", "address"),
    [
        ("https://id.example/tenant", "no-reply@id.example"),
        ("http://localhost:8000", "no-reply@localhost"),
        ("http://[::1]:8000", "no-reply@localhost"),
    ],
)
def test_mail_comes_from_the_issuer_unless_told_otherwise(issuer: str, address: str) -> None:
    assert load_settings({"IDP_ISSUER": issuer}).mail_from == address


def test_a_wrong_issuer_is_one_fault() -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"IDP_ISSUER": "nonsense"})
    assert len(refused.value.faults) == 1


async def test_the_scheme_chooses_the_gateway() -> None:
    async with mail_server(Mailbox()) as mailbox, service(Service()) as one:
        await mail_gateway(f"smtp://127.0.0.1:{mailbox.port}", "The\nBank", "no-reply@id.example")(message())
        await mail_gateway(f"json://127.0.0.1:{one.port}/", "The\nBank", "no-reply@id.example")(message())
    assert len(one.got) == 1
    assert mailbox.mails[0]["From"] == "The Bank <no-reply@id.example>"
