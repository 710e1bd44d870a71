"""Where a connector may connect to."""

from __future__ import annotations

import pytest

from orgloop_connectors._egress import Refused, check_address, check_allowed, url_faults


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:18789",
        "https://hooks.slack.com/services/T/B/x",
        "http://[::1]:8080/x?y=z",
        "http://nas.local/",
    ],
)
def test_an_operator_may_name_any_host(url: str) -> None:
    """Loopback and the private network too."""
    assert url_faults(url) == []


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "http://"),
        ("example.com/x", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://example.com/", "http://"),
        ("http:///x", "no host"),
        ("http://user:pw@example.com/", "user name"),
        ("http://127.0.0.1#@good\\x", "backslash"),
        ("http://a b/", "space"),
        ("http://a\nb/", "control character"),
        ("https://{{payload.host}}/x", "never taken from an event"),
        ("http://example.com:70000/", "is no URL"),
        ("http://[::1/", "is no URL"),
        ("http://example.com/" + "x" * 9000, "characters"),
    ],
)
def test_what_is_wrong_with_a_url_is_said(url: str, fault: str) -> None:
    """As a sentence that goes on from the name of the key."""
    (said,) = url_faults(url)

    assert fault in said


ALLOWED = ("hooks.example.com", "callbacks.example.com:8443", "[::1]", "[::2]:8080")


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [
        ("https", "hooks.example.com", None),
        ("http", "hooks.example.com", None),
        ("https", "HOOKS.example.com.", 443),
        ("https", "callbacks.example.com", 8443),
        ("http", "::1", None),
        ("http", "::2", 8080),
    ],
)
def test_an_event_may_name_an_allowed_host(scheme: str, host: str, port: int | None) -> None:
    """At the usual port, or at the one that is allowed with it."""
    check_allowed(scheme, host, port, b"", ALLOWED)


@pytest.mark.parametrize(
    ("scheme", "host", "port", "userinfo", "why"),
    [
        ("https", "evil.com", None, b"", "not among the allowed hosts"),
        ("https", "hooks.example.com.evil.com", None, b"", "not among"),
        ("https", "evilhooks.example.com", None, b"", "not among"),
        ("https", "", None, b"", "not among"),
        ("http", "hooks.example.com", 22, b"", "hooks.example.com:22"),
        ("https", "callbacks.example.com", None, b"", "not among"),
        ("http", "::2", None, b"", "not among"),
        ("file", "hooks.example.com", None, b"", "only http:// and https://"),
        ("https", "hooks.example.com", None, b"a:b", "user name"),
    ],
)
def test_an_event_may_name_no_other(scheme: str, host: str, port: int | None, userinfo: bytes, why: str) -> None:
    """Whole names are compared, ports count, and nothing but HTTP is spoken."""
    with pytest.raises(Refused, match=why):
        check_allowed(scheme, host, port, userinfo, ALLOWED)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "::169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "100.100.100.200",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_an_event_reaches_no_address_of_the_machines_surroundings(address: str) -> None:
    """However it is written, and whatever name has led there."""
    with pytest.raises(Refused, match="own surroundings"):
        check_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.0.0.7", "140.82.112.3", "2606:50c0:8000::153"])
def test_other_addresses_are_reached_once_their_host_is_allowed(address: str) -> None:
    """An allowed name may well be one of the operator's own network."""
    check_address(address)
