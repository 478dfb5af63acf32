"""The edge by itself, around applications of a few lines: addresses, hosts, ids, headers, bounds."""

import asyncio
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from idp.web.middleware import CSP, HEADERS, HSTS, LARGEST_HEAD, LONGEST_QUERY, edge
from tests.doubles import SeededEntropy

PROXIES = ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")
SEEN: list[Scope] = []


async def mirror(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the method, and keeps the scope; the body is read to its end first."""
    SEEN.append(scope)
    if scope["method"] == "POST":
        await Request(scope, receive).body()
    await PlainTextResponse(scope["method"])(scope, receive, send)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    app: ASGIApp = mirror,
    *,
    issuer: str = "https://idp.test",
    host: tuple[str, ...] = ("idp.test",),
    headers: tuple[tuple[str, str], ...] = (),
    receive: Receive | None = None,
    proxies: tuple[str, ...] = PROXIES,
    **scope: Any,
) -> Answer:
    """One request through the edge."""
    given = [("host", one) for one in host] + list(headers)
    request = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "client": ("198.51.100.9", 4711),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in given],
        **scope,
    }
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    networks = map(ip_network, proxies)
    inside = edge(app, issuer=issuer, entropy=SeededEntropy(), proxies=networks, body_seconds=0.05)
    await inside(request, receive or never, keep)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(message["body"] for message in sent[1:]))


async def never() -> Message:
    """A client that sends nothing more."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        pytest.param("198.51.100.9", ("203.0.113.5",), "198.51.100.9", id="an untrusted peer says who it is"),
        pytest.param("10.0.0.1", (), "10.0.0.1", id="nothing was forwarded"),
        pytest.param("10.0.0.1", ("203.0.113.5",), "203.0.113.5", id="one proxy"),
        pytest.param("10.0.0.1", ("203.0.113.66, 203.0.113.5",), "203.0.113.5", id="the client sent a list of its own"),
        pytest.param("10.0.0.1", ("203.0.113.5, 10.9.9.9, 192.0.2.7",), "203.0.113.5", id="three proxies"),
        pytest.param("10.0.0.1", ("203.0.113.66", "203.0.113.5", "10.2.2.2"), "203.0.113.5", id="several headers"),
        pytest.param("10.0.0.1", ("10.3.3.3, 10.2.2.2",), "10.3.3.3", id="proxies all the way"),
        pytest.param("10.0.0.1", ("a",), "10.0.0.1", id="rubbish"),
        pytest.param("10.0.0.1", ("203.0.113.66, a",), "10.0.0.1", id="rubbish hides nothing to its left"),
        pytest.param("10.0.0.1", ("203.0.113.66, unknown, 10.2.2.2",), "10.2.2.2", id="rubbish behind a proxy"),
        pytest.param("10.0.0.1", ("203.0.113.66, ",), "10.0.0.1", id="an empty entry"),
        pytest.param("10.0.0.1", ("203.0.113.5:443",), "203.0.113.5", id="with a port"),
        pytest.param("10.0.0.1", ("[2001:db9::5]:443",), "2001:db9::5", id="IPv6 with a port"),
        pytest.param("10.0.0.1", ("2001:DB9:0::5",), "2001:db9::5", id="IPv6 in another spelling"),
        pytest.param("10.0.0.1", ("fe80::1%one",), "10.0.0.1", id="an invented zone"),
        pytest.param("10.0.0.1", ("[", "]"), "10.0.0.1", id="brackets"),
        pytest.param("10.0.0.1", ("\xff\xfe",), "10.0.0.1", id="bytes"),
        pytest.param("10.0.0.1", ("9" * 30000,), "10.0.0.1", id="very long"),
        pytest.param("::ffff:10.0.0.1", ("203.0.113.5",), "203.0.113.5", id="a mapped proxy"),
        pytest.param("10.0.0.1", ("::ffff:203.0.113.5",), "203.0.113.5", id="a mapped client"),
        pytest.param("2001:db8::1", ("203.0.113.5",), "203.0.113.5", id="an IPv6 proxy"),
        pytest.param("no address", ("203.0.113.5",), "no address", id="a peer without an address"),
    ],
)
async def test_A_47_the_client_is_whom_the_trusted_proxies_saw(
    peer: str, forwarded: tuple[str, ...], client: str
) -> None:
    """A-47 (ASVS 4.1.3, 15.3.4)."""
    await ask(client=(peer, 4711), headers=tuple(("x-forwarded-for", one) for one in forwarded))
    assert SEEN[-1]["client"][0] == client


async def test_without_trusted_proxies_or_a_peer_nothing_is_believed() -> None:
    told = (("x-forwarded-for", "203.0.113.5"), ("x-forwarded-proto", "http"))
    await ask(client=("10.0.0.1", 1), proxies=(), headers=told)
    assert SEEN[-1]["client"] == ("10.0.0.1", 1)
    await ask(client=None, headers=told)
    assert SEEN[-1]["client"] is None


async def test_scheme_and_host_are_not_taken_from_a_proxy() -> None:
    told = (
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "host=evil.test;for=1.1.1.1"),
    )
    await ask(client=("10.0.0.1", 1), headers=told, scheme="https")
    assert (SEEN[-1]["scheme"], SEEN[-1]["client"][0]) == ("https", "10.0.0.1")


@pytest.mark.parametrize(
    ("issuer", "host", "status"),
    [
        ("https://idp.test", "idp.test", 200),
        ("https://idp.test", "IDP.test", 200),
        ("https://idp.test", "idp.test:443", 200),
        ("https://idp.test:443/tenant", "idp.test", 200),
        ("https://idp.test", "idp.test:8443", 421),
        ("https://idp.test:8443", "idp.test:8443", 200),
        ("https://idp.test:8443", "idp.test", 421),
        ("https://idp.test", "evil.test", 421),
        ("https://idp.test", "idp.test.evil.test", 421),
        ("https://idp.test", "evil.test#idp.test", 421),
        ("https://idp.test", "evil.test@idp.test", 421),
        ("https://idp.test", "idp.test.", 421),
        ("https://idp.test", "", 421),
        ("https://idp.test", "\xff", 421),
        ("https://idp.test", "localhost", 421),
        ("https://idp.test", "127.0.0.1:8000", 421),
        ("http://localhost:8000", "localhost:8000", 200),
        ("http://localhost:8000", "localhost:8001", 200),
        ("http://localhost:8000", "127.0.0.1:9", 200),
        ("http://localhost:8000", "[::1]:8000", 200),
        ("http://127.0.0.1:8000", "localhost", 200),
        ("http://127.9.9.9:1", "127.9.9.9:1", 200),
        ("http://[::1]", "[::1]:80", 200),
        ("http://localhost:8000", "evil.test:8000", 421),
        ("http://localhost:8000", "localhost.evil.test", 421),
        ("http://localhost:8000", "192.0.2.1:8000", 421),
        ("http://localhost:8000", "localhost:8000:1", 421),
        ("http://localhost:8000", "[::1", 421),
    ],
)
async def test_A_46_no_host_but_the_issuers_is_served(issuer: str, host: str, status: int) -> None:
    """A-46 (ASVS 3.5.4)."""
    answer = await ask(issuer=issuer, host=(host,))
    assert answer.status == status
    assert "location" not in answer.headers
    assert (await ask(issuer=issuer, host=(host,), path="/health/live")).status == 200


@pytest.mark.parametrize("host", [(), ("idp.test", "evil.test"), ("idp.test", "idp.test")])
async def test_one_host_and_no_more(host: tuple[str, ...]) -> None:
    assert (await ask(host=host)).status == 400


async def test_every_request_has_an_id_of_our_own() -> None:
    first = await ask(headers=(("x-request-id", "chosen-by-them"),))
    assert first.headers["x-request-id"] == SEEN[-1]["state"]["request_id"]
    assert len(first.headers["x-request-id"]) == 12
    assert first.headers["x-request-id"].isalnum()


async def test_every_answer_has_the_security_headers() -> None:
    """ASVS 3.4.1, 3.4.3, 3.4.4, 3.4.5, 3.4.6."""
    for answer in (await ask(), await ask(host=("evil.test",)), await ask(query_string=b"a" * (LONGEST_QUERY + 1))):
        expected = HEADERS | HSTS | {"Content-Security-Policy": CSP}
        for name, value in expected.items():
            assert answer.headers[name.lower()] == value
    assert "unsafe" not in CSP
    assert {"object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(CSP.split("; "))


async def test_a_plain_localhost_is_not_to_be_upgraded() -> None:
    answer = await ask(issuer="http://localhost:8000", host=("localhost:8000",))
    assert "strict-transport-security" not in answer.headers


async def test_an_answer_may_know_better() -> None:
    async def cached(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["form_target"] = "https://rp.test"
        await PlainTextResponse("", headers={"Cache-Control": "public"})(scope, receive, send)

    answer = await ask(cached)
    assert answer.headers["cache-control"] == "public"
    assert answer.headers["content-security-policy"].endswith("form-action 'self' https://rp.test")


@pytest.mark.parametrize(
    ("target", "policy"),
    [
        ("https://rp.test/cb?a=1", "form-action 'self' https://rp.test"),
        ("com.example.app://a;script-src *", "form-action 'self' com.example.app:"),
        ("com.example.app://a,default-src *", "form-action 'self' com.example.app:"),
        ("https://a;script-src *", "form-action 'self'"),
    ],
)
async def test_no_uri_adds_to_the_policy(target: str, policy: str) -> None:
    """Whatever was registered, even before it was looked at so closely."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["form_target"] = target
        await PlainTextResponse("")(scope, receive, send)

    sent = (await ask(page)).headers["content-security-policy"]
    assert sent.rpartition("; ")[2] == policy
    assert sent.startswith(CSP)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"query_string": b"a" * LONGEST_QUERY}, 200),
        ({"query_string": b"a" * (LONGEST_QUERY + 1)}, 414),
        ({"path": "/" + "a" * LONGEST_QUERY}, 414),
        ({"path": "/a\0b"}, 400),
        ({"path": "/a\nb"}, 400),
        ({"path": "/a\x85b"}, 400),
        ({"headers": (("x", "a" * (LARGEST_HEAD - 100)),)}, 200),
        ({"headers": (("x", "a" * LARGEST_HEAD),)}, 431),
        ({"headers": (("cookie", "a=b"),) * 5000}, 431),
    ],
)
async def test_what_no_honest_request_has_is_refused(changes: dict[str, Any], status: int) -> None:
    """ASVS 15.2.2."""
    assert (await ask(**changes)).status == status


async def test_F19_a_body_that_does_not_come_is_cut() -> None:
    with pytest.raises(Exception, match="408"):
        await ask(method="POST")


async def test_F19_a_body_that_drips_is_cut_all_the_same() -> None:
    drops = iter(range(200_000))

    async def drip() -> Message:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"a", "more_body": next(drops, None) is not None}

    with pytest.raises(Exception, match="408"):
        await ask(method="POST", receive=drip)


async def test_the_time_ends_with_the_body() -> None:
    whole = iter([{"type": "http.request", "body": b"a", "more_body": False}])
    late = asyncio.Event()

    async def receive() -> Message:
        for message in whole:
            return message
        await late.wait()
        return {"type": "http.disconnect"}

    async def patient(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        asyncio.get_running_loop().call_later(0.2, late.set)
        assert (await receive())["type"] == "http.disconnect"
        await PlainTextResponse("")(scope, receive, send)

    assert (await ask(patient, method="POST", receive=receive)).status == 200


async def test_head_is_served_as_get_without_the_content() -> None:
    answer = await ask(method="HEAD")
    assert (SEEN[-1]["method"], answer.status, answer.body) == ("GET", 200, b"")
    assert answer.headers["content-length"] == "3"
