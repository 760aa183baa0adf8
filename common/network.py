"""Who is asking: the client's address, trusting only our own proxies."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

# An address to file under; nothing binds to it.
UNKNOWN = "0.0.0.0"  # noqa: S104  # nosec B104


def _valid(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None


def client_ip(request: HttpRequest) -> str:
    """Return the client's address; see :func:`forwarded_ip`."""
    return forwarded_ip(
        request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_FOR")
    )


def forwarded_ip(remote: str, forwarded: str | None) -> str:
    """
    Return the client's address from the socket's peer and ``X-Forwarded-For``.

    The header is ignored unless ``NUM_PROXIES`` says how many of our own proxies append to
    it; then the entry that the outermost of them wrote counts, and anything the client put
    before it does not.
    """
    peer = _valid(remote) or UNKNOWN
    proxies = settings.NUM_PROXIES
    if not proxies or not forwarded:
        return peer
    entries = forwarded.split(",")
    if len(entries) < proxies:
        return peer
    return _valid(entries[-proxies]) or peer


def limit_key(address: str) -> str:
    """Return what a limit counts for an address: IPv6 by its /64, which one customer has."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return address
