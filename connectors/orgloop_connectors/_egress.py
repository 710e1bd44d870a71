"""
Where a connector may connect to: anywhere the operator says, and nowhere that an event says unless allowed by name.

Law: scheme, host and port of a destination come from the operator's file. Where one of them comes from an event, the
host must be in an allow-list, and no address it has may be one that machines keep for themselves (link-local, cloud
metadata, multicast): that is asked of the very address that is connected to, so a name that changes between two
look-ups gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import trio

if TYPE_CHECKING:
    import httpx2

MAX_URL_CHARS = 8192
"""How long a URL may be."""

SCHEMES = {"http": 80, "https": 443}
"""What we speak, and where it is spoken unless a URL says otherwise."""

_NEVER = frozenset(
    map(
        ipaddress.ip_address,
        [
            "100.100.100.200",  # metadata of Alibaba
            "168.63.129.16",  # Azure's wire server
            "192.0.0.192",  # metadata of Oracle
            "fd00:ec2::254",  # metadata of AWS
            "fd20:ce::254",  # metadata of Google
        ],
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNCLEAN = re.compile(r"[\s\x00-\x20\x7f\\]")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """A destination that may not be connected to; the message says why, and what would allow it."""


def url_faults(url: str) -> list[str]:
    """
    What is wrong with a URL of the operator's, who may name any host; empty if nothing is.

    >>> url_faults("ftp://example.com/")
    ['must begin with http:// or https://']
    """
    if len(url) > MAX_URL_CHARS:
        return [f"has {len(url)} characters; at most {MAX_URL_CHARS} are allowed"]
    if _UNCLEAN.search(url):
        return ["holds a space, a backslash or a control character; write it percent-encoded"]
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as exc:
        return [f"is no URL: {exc}"]
    return list(_faults_in(parts.scheme, parts.netloc, parts.hostname))


def _faults_in(scheme: str, netloc: str, host: str | None) -> Iterator[str]:
    if scheme not in SCHEMES:
        yield "must begin with http:// or https://"
    elif not host:
        yield "names no host"
    if "@" in netloc:
        yield "has a user name or a password in it; put them where they are not shown, such as auth"
    if "{" in netloc or "}" in netloc:
        yield "has a placeholder in its host: where to connect to is never taken from an event"


def check_allowed(scheme: str, host: str, port: int | None, userinfo: bytes, allowed: Collection[str]) -> None:
    """
    Raise :class:`Refused` unless a destination that came from an event is one of ``allowed``.

    An entry is a host, which allows the usual port of either scheme, or ``host:port``, which allows that one; an IPv6
    address is written in brackets.
    """
    if scheme not in SCHEMES:
        raise Refused(f"{scheme or 'no scheme'}:// is refused; only http:// and https:// are spoken")
    if userinfo:
        raise Refused("a URL with a user name or a password in it is refused")
    name = f"[{host.lower()}]" if ":" in host else host.lower().rstrip(".")
    usual = SCHEMES[scheme]
    entries = {entry.lower().rstrip(".") for entry in allowed}
    if f"{name}:{port or usual}" in entries or (name in entries and port in (None, usual)):
        return
    where = f"{name}:{port}" if port not in (None, usual) else name
    raise Refused(f"an event asks to connect to {where[:100]!r}, which is not among the allowed hosts")


def check_address(text: str) -> None:
    """Raise :class:`Refused` for an address that nothing made of an event may reach, however it is written."""
    address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    if address in _NEVER or address.is_link_local or address.is_multicast or address.is_unspecified:
        raise Refused(f"{address} is an address of the machine's own surroundings, and refused for what an event asks")


def _plain(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one, for the ways there are to write it so."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is None and int(address) >> 32 == 0 and int(address) > 1:
        inner = ipaddress.IPv4Address(int(address))  # ::a.b.c.d, deprecated and still understood
    return inner or address


def walled(inner: httpx2.AsyncBaseTransport) -> httpx2.AsyncBaseTransport:
    """A transport that looks a name up once, judges every address, and connects to one that it has judged."""
    import httpx2

    class Walled(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            host = request.url.raw_host.decode("ascii")
            addresses = await _look_up(host, request.url.port or 0)
            for address in addresses:
                check_address(address)
            # The name stays in the Host header, and is what the certificate must be for.
            request.extensions = {**request.extensions, "sni_hostname": host}
            failure: httpx2.TransportError = httpx2.ConnectError(f"{host} has no address")
            for address in addresses:
                request.url = request.url.copy_with(host=address)
                try:
                    return await inner.handle_async_request(request)
                except (httpx2.ConnectError, httpx2.ConnectTimeout) as exc:
                    failure = exc
            raise failure

        async def aclose(self) -> None:
            await inner.aclose()

    return Walled()


async def _look_up(host: str, port: int) -> list[str]:
    import httpx2

    try:
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise httpx2.ConnectError(f"{host} cannot be looked up: {exc}") from exc
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
