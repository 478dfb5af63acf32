"""Mail by SMTP, to a real server on this machine."""

import asyncio
import datetime
import ssl
from email.headerregistry import Address
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from idp.notify import smtp
from idp.notify.gateway import Gateway, NotTaken
from idp.notify.smtp import MailServer, compose, smtp_gateway
from tests.doubles import START
from tests.notify.gateways import ACCOUNT, Mailbox, mail_server, message

SENDER = Address("Bänk & Co", addr_spec="no-reply@id.example")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def gateway(mailbox: Mailbox, scheme: str = "smtp", account: str = "") -> Gateway:
    return smtp_gateway(MailServer.parse(f"{scheme}://{account}127.0.0.1:{mailbox.port}"), SENDER)


LOGIN = f"{ACCOUNT[0]}:{quote(ACCOUNT[1], safe='')}@"


async def test_a_mail_arrives_as_it_was_said() -> None:
    async with mail_server(Mailbox()) as mailbox:
        await gateway(mailbox)(message(subject="Grüße & <more>", text="Ä line & <b>another</b>\n\nend\n"))
    [mail] = mailbox.mails
    assert mailbox.recipients == [["alice@mail.test"]]
    assert (mail["To"], mail["Subject"]) == ("alice@mail.test", "Grüße & <more>")
    assert mail["From"].addresses == (SENDER,)
    assert mail["Date"].datetime == START
    assert (mail["Message-ID"], mail["Auto-Submitted"]) == ("<m1@id.example>", "auto-generated")
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().replace("\r\n", "\n") == "Ä line & <b>another</b>\n\nend\n"


@pytest.mark.parametrize("separator", ["\r\n", "\n", "\r", "\x0b", "\x85", "\u2028"])
async def test_A_57_a_line_break_in_a_header_begins_no_other(separator: str) -> None:
    evil = f"x{separator}Bcc: evil@mail.test{separator}{separator}body"
    sender = Address("Bank", addr_spec="no-reply@id.example")
    async with mail_server(Mailbox()) as mailbox:
        await gateway(mailbox)(message(subject=evil, text=f"{evil}\n.\nRCPT TO:<evil@mail.test>\n"))
    [mail] = mailbox.mails
    assert mail["Bcc"] is None
    assert mail["Subject"] == "x Bcc: evil@mail.test body"
    assert mailbox.recipients == [["alice@mail.test"]]
    assert "RCPT TO" in mail.get_content(), "a dot alone on a line ends no mail"
    assert compose(message(subject=evil), sender).as_bytes().count(b"\r\nBcc:") == 0


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "alice",
        "alice@",
        "alice@mail.test, evil@mail.test",
        "alice@mail.test\r\nBcc: evil@mail.test",
        "alice@mail.test\n",
        "<alice@mail.test>",
        'evil@mail.test,"alice"@mail.test',
        "alice@mail..test",
        "alice\u2028@mail.test",
        "alice\x85b@mail.test",
    ],
)
async def test_A_57_what_is_not_one_address_gets_no_mail(recipient: str) -> None:
    with pytest.raises(NotTaken) as caught:
        compose(message(recipient=recipient), SENDER)
    assert caught.value.final
    assert "alice" not in str(caught.value)


def test_the_domain_is_written_as_dns_has_it() -> None:
    """IDNA 2008: `ß` is a letter of its own, and not another domain's `ss`."""
    assert compose(message(recipient="a@Straße.test"), SENDER)["To"] == "a@xn--strae-oqa.test"


async def test_a_letter_outside_ascii_before_the_at_needs_a_server_that_takes_it() -> None:
    """RFC 6531"""
    async with mail_server(Mailbox()) as mailbox:
        with pytest.raises(NotTaken, match="SMTPNotSupported"):
            await gateway(mailbox)(message(recipient="jürgen@mail.test"))
    async with mail_server(Mailbox(), utf8=True) as mailbox:
        await gateway(mailbox)(message(recipient="jürgen@mail.test"))
    assert mailbox.recipients == [["jürgen@mail.test"]]


@pytest.mark.parametrize("account", ["", LOGIN], ids=["open", "account"])
async def test_tls_is_used_where_it_is_offered(certificate: Path, account: str) -> None:
    async with mail_server(Mailbox(), starttls=server_side(certificate), account=bool(account)) as mailbox:
        await gateway(mailbox, account=account)(message())
    assert mailbox.encrypted == [True]
    assert mailbox.logins == ([ACCOUNT[0]] if account else [None])


async def test_tls_from_the_first_byte(certificate: Path) -> None:
    async with mail_server(Mailbox(), tls=server_side(certificate)) as mailbox:
        await gateway(mailbox, "smtps")(message())
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_elsewhere_a_certificate_has_to_hold(certificate: Path, scheme: str) -> None:
    ours = server_side(certificate)
    first = scheme == "smtps"
    async with mail_server(Mailbox(), tls=ours if first else None, starttls=None if first else ours) as mailbox:
        server = MailServer.parse(f"{scheme}://127.0.0.1:{mailbox.port}")
        with pytest.raises(NotTaken):
            await smtp_gateway(server, SENDER, trust=ssl.create_default_context())(message())
        trusting = ssl.create_default_context(cafile=str(certificate))
        await smtp_gateway(server, SENDER, trust=trusting)(message())
    assert len(mailbox.mails) == 1


def test_a_password_leaves_this_machine_by_tls_alone() -> None:
    def protection(url: str) -> dict[str, object]:
        return smtp._protection(MailServer.parse(url), None)

    assert protection("smtp://u:p@mail.example") == {"start_tls": True, "validate_certs": True}
    assert protection("smtps://u:p@mail.example") == {"use_tls": True, "validate_certs": True}
    assert protection("smtp://mail.example") == {"start_tls": None, "validate_certs": True}
    for here in ("localhost", "127.0.0.1", "[::1]"):
        assert protection(f"smtp://u:p@{here}") == {"start_tls": None, "validate_certs": False}


@pytest.mark.parametrize(
    ("mailbox", "fault", "final"),
    [
        (Mailbox(recipient_answer="550 no such user"), "recipient refused, [550]", True),
        (Mailbox(recipient_answer="450 come later"), "recipient refused, [450]", False),
        (Mailbox(answer="554 spam"), "SMTPDataError, 554", False),
        (Mailbox(answer="451 come later"), "SMTPDataError, 451", False),
    ],
    ids=["no-mailbox", "greylisted", "refused", "busy"],
)
async def test_a_refusal_is_told_without_names(mailbox: Mailbox, fault: str, final: bool) -> None:
    async with mail_server(mailbox):
        with pytest.raises(NotTaken) as caught:
            await gateway(mailbox)(message())
    assert (str(caught.value), caught.value.final) == (fault, final)


async def test_a_wrong_password_is_no_end() -> None:
    """The operator can mend it, and then the mail goes."""
    async with mail_server(Mailbox(), account=True) as mailbox:
        with pytest.raises(NotTaken, match=r"SMTPAuthenticationError, 535") as caught:
            await gateway(mailbox, account="relay:wrong@")(message())
    assert not caught.value.final


async def test_no_server() -> None:
    async with mail_server(Mailbox()) as mailbox:
        pass
    with pytest.raises(NotTaken, match="SMTPConnectError"):
        await gateway(mailbox)(message())


async def test_a_server_that_takes_the_mail_and_hangs_has_taken_it() -> None:
    """What counts is the answer to the mail (RFC 5321 §4.2.5); a second one would come otherwise."""

    class Rude(Mailbox):
        async def handle_QUIT(self, *_: object) -> str:
            await asyncio.sleep(30)
            return "221 Bye"

    async with mail_server(Rude()) as mailbox:
        await gateway(mailbox)(message())
    assert len(mailbox.mails) == 1


async def test_a_server_that_says_nothing_is_left_alone() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    try:
        one = MailServer("127.0.0.1", server.sockets[0].getsockname()[1])
        with pytest.raises(NotTaken, match="Timeout"):
            await smtp_gateway(one, SENDER, step_seconds=0.2)(message())
    finally:
        server.close()
        for writer in writers:
            writer.close()


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("mail.example", 25)),
        ("smtp://mail.example:2525/", MailServer("mail.example", 2525)),
        ("smtp://u%40x:p%2F@mail.example", MailServer("mail.example", 587, username="u@x", password="p/")),
        ("smtps://u:p@mail.example", MailServer("mail.example", 465, tls=True, username="u", password="p")),
    ],
)
def test_addresses(url: str, server: MailServer) -> None:
    assert MailServer.parse(url) == server


def test_a_password_shows_in_no_representation() -> None:
    assert "hunter2" not in repr(MailServer.parse("smtp://u:hunter2@mail.example"))


def test_headers_survive_a_long_name() -> None:
    mail: EmailMessage = compose(message(subject="x" * 300), SENDER)
    assert max(map(len, mail.as_bytes().split(b"\r\n"))) < 999
