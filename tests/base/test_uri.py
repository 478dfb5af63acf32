"""URIs, compared as strings (RFC 9700 §2.1) and with the loopback rule (RFC 8252 §7.3)."""

import pytest

from idp.base.uri import csp_source, local_path, matches, with_parameters


@pytest.mark.parametrize(
    ("registered", "given", "equal"),
    [
        ("https://rp-a.test/cb", "https://rp-a.test/cb", True),
        ("https://rp-a.test/cb", "https://rp-a.test.evil.test/cb", False),
        ("https://rp-a.test/cb", "https://rp-axtest/cb", False),
        ("https://rp-a.test/cb", "https://rp-a.test@evil.test/cb", False),
        ("https://rp-a.test/cb", "https://rp-a.test/cb/../x", False),
        ("https://rp-a.test/cb", "https://rp-a.test:443/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", True),
        ("http://[::1]/cb", "http://[::1]:51004/cb", True),
        ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb?x=1", False),
        ("http://127.0.0.1/cb", "http://localhost:51004/cb", False),
        ("http://localhost/cb", "http://localhost:51004/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:00080/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.test:51004/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.test/cb", False),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb", False),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb", False),
    ],
)
def test_A_01_to_A_04_redirect_uris(registered: str, given: str, equal: bool) -> None:
    assert matches(registered, given) is equal


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://rp.test/cb", "https://rp.test/cb?a=1+2"),
        ("https://rp.test/cb?bar=foo", "https://rp.test/cb?bar=foo&a=1+2"),
        ("https://rp.test/cb?", "https://rp.test/cb?a=1+2"),
    ],
)
def test_a_query_is_kept(uri: str, expected: str) -> None:
    assert with_parameters(uri, [("a", "1 2")]) == expected


@pytest.mark.parametrize("target", ["https://evil.test", "//evil.test", "/\\evil.test", "/a\nb", "javascript:1", None])
def test_A_54_only_paths_of_ours(target: str | None) -> None:
    assert local_path(target, "/account") == "/account"


def test_a_path_of_ours_is_kept() -> None:
    assert local_path("/login?interaction=abc", "/account") == "/login?interaction=abc"


@pytest.mark.parametrize(
    ("uri", "source"),
    [
        ("https://rp.test/cb?a=1", "https://rp.test"),
        ("https://rp.test", "https://rp.test"),
        ("https://rp.test:8443?a", "https://rp.test:8443"),
        ("http://127.0.0.1:51004/cb", "http://127.0.0.1:51004"),
        ("http://[::1]:3000/cb", "http://[::1]:3000"),
        ("com.example.app:/cb", "com.example.app:"),
        ("com.example.app://cb", "com.example.app:"),
        ("com.example.app://a;script-src *", "com.example.app:"),
        ("com.example.app://a;sandbox", "com.example.app:"),
        ("com.example.app://a, default-src *", "com.example.app:"),
        ("https://a;script-src *", None),
        ("https://rp.test;sandbox", None),
        ("https://rp.test:8443;sandbox/", None),
        ("https://rp.test'unsafe-inline'/", None),
        ("https://*/", None),
        ("https://alice@rp.test/", None),
        ("https:///cb", None),
        ("https:cb", None),
        ("https://rp.test\n/", None),
        ("*", None),
        ("'none'", None),
        ("/cb", None),
        ("", None),
    ],
)
def test_what_a_policy_calls_a_place(uri: str, source: str | None) -> None:
    """CSP3 §2.3.1: a source, or nothing; a policy cannot be added to."""
    assert csp_source(uri) == source
