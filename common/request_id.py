"""What follows a request from HTTP to command log and audit log: its id and its origin."""

import re
import secrets
from contextvars import ContextVar

HEADER = "X-Request-Id"

# What we accept from outside: short and harmless in a log line.
_SANE = re.compile(r"[A-Za-z0-9_.\-]{8,64}")
_current: ContextVar[str] = ContextVar("request_id", default="")
_client_ip: ContextVar[str] = ContextVar("client_ip", default="")


def make_request_id() -> str:
    """Return a new random request id."""
    return secrets.token_hex(12)


def accept_request_id(offered: str | None) -> str:
    """Return the offered id if it is sane, else a new one."""
    if offered and _SANE.fullmatch(offered):
        return offered
    return make_request_id()


def current_request_id() -> str:
    """Return the id of the request that this thread or task serves, "" outside of one."""
    return _current.get()


def bind_request_id(request_id: str) -> None:
    """Remember the id for this thread or task."""
    _current.set(request_id)


def current_client_ip() -> str:
    """Return the address that the request of this thread or task comes from, "" outside of one."""
    return _client_ip.get()


def bind_client_ip(address: str) -> None:
    """Remember the address for this thread or task."""
    _client_ip.set(address)
