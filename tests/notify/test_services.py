"""Any other gateway by Apprise, to a real HTTP service on this machine."""

import pytest

from idp.notify.gateway import NotTaken
from idp.notify.services import service_gateway
from tests.notify.gateways import Service, message, service


async def test_a_json_service_gets_recipient_subject_and_text() -> None:
    async with service(Service()) as one:
        await service_gateway(f"json://127.0.0.1:{one.port}/path?-unused=1", "Bank")(message(recipient="a+b@mail.test"))
    [got] = one.got
    assert (got["to"], got["title"]) == ("a+b@mail.test", "Your password was changed")
    assert got["message"].strip() == message().text.strip()
    assert one.paths[0].startswith("/path")


async def test_an_sms_has_a_number_and_no_subject() -> None:
    async with service(Service()) as one:
        gateway = service_gateway(f"json://127.0.0.1:{one.port}/", "Bank")
        await gateway(message(channel="sms", recipient="+447700900123", subject="", text="123456 is your code."))
    [got] = one.got
    assert (got["to"], got["title"], got["message"]) == ("+447700900123", "", "123456 is your code.")


async def test_the_recipient_stands_where_the_url_says() -> None:
    async with service(Service()) as one:
        await service_gateway(f"json://127.0.0.1:{one.port}/send/{{to}}?:who={{to}}", "Bank")(message())
    assert one.got[0]["who"] == "alice@mail.test"
    assert "to" not in one.got[0]
    assert one.paths[0].split("?")[0] in ("/send/alice@mail.test", "/send/alice%40mail.test")


async def test_A_57_text_stays_text() -> None:
    evil = "</p><script>alert(1)</script>{{ 7*7 }}\\n :smile:"
    async with service(Service()) as one:
        await service_gateway(f"json://127.0.0.1:{one.port}/", "Bank")(message(text=evil))
    assert one.got[0]["message"] == evil


async def test_A_57_text_stays_text_where_a_service_wants_html() -> None:
    async with service(Service()) as one:
        gateway = service_gateway(f"json://127.0.0.1:{one.port}/?format=html", "Bank")
        await gateway(message(text="<script>alert(1)</script>"))
    assert "&lt;script&gt;" in one.got[0]["message"]
    assert "<script>" not in one.got[0]["message"]


@pytest.mark.parametrize("recipient", ["", "a@mail.test,b@mail.test", "a@mail.test b@mail.test", "a@mail.test\r\nX: y"])
async def test_A_57_what_is_not_one_recipient_gets_nothing(recipient: str) -> None:
    async with service(Service()) as one:
        with pytest.raises(NotTaken) as caught:
            await service_gateway(f"json://127.0.0.1:{one.port}/", "Bank")(message(recipient=recipient))
    assert caught.value.final
    assert one.got == []


@pytest.mark.parametrize("status", [302, 400, 429, 500, 503])
async def test_a_service_that_refuses(status: int) -> None:
    async with service(Service(status=status)) as one:
        with pytest.raises(NotTaken) as caught:
            await service_gateway(f"json://127.0.0.1:{one.port}/", "Bank")(message())
    assert not caught.value.final


async def test_a_service_that_does_not_answer() -> None:
    async with service(Service(seconds=30)) as one:
        with pytest.raises(NotTaken):
            await service_gateway(f"json://127.0.0.1:{one.port}/?rto=0.2", "Bank")(message())
    assert len(one.got) == 1


async def test_A_75_the_log_tells_nobody_what_was_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with service(Service()) as one:
        await service_gateway(f"json://user:hunter2@127.0.0.1:{one.port}/", "Bank")(message(text="code 654321"))
    for secret in ("654321", "hunter2", "alice@mail.test"):
        assert secret not in caplog.text
