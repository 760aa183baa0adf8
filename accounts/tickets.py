"""One-time tickets: how a browser proves who it is when it opens a socket."""

import secrets
from typing import Any

import msgspec
from redis.exceptions import RedisError

from accounts.authentication import identity_of_session
from accounts.types import Identity, TokenError
from common import redis as common_redis
from common.errors import ApiError

LIFETIME_S = 30
_LENGTH_MAX = 64


class _Ticket(msgspec.Struct, frozen=True, array_like=True):
    session_id: int
    expires_at_ms: int
    ip: str


_decode = msgspec.msgpack.Decoder(_Ticket).decode


def ticket_create(*, identity: Identity, ip: str) -> str:
    """
    Return a ticket for the identity's session, good once, for 30 s, from one address.

    Raises:
        ApiError: 503 ``SERVICE_UNAVAILABLE`` without Redis.
    """
    ticket = secrets.token_urlsafe(32)
    value = msgspec.msgpack.encode(
        _Ticket(session_id=identity.session_id, expires_at_ms=identity.expires_at_ms, ip=ip)
    )
    try:
        common_redis.client().set(common_redis.key("ticket", ticket), value, ex=LIFETIME_S)
    except RedisError as error:
        raise ApiError(
            "SERVICE_UNAVAILABLE", "Tickets cannot be made at the moment.", 503
        ) from error
    return ticket


def ticket_redeem(ticket: str, *, ip: str) -> Identity:
    """
    Return the identity behind a ticket and use the ticket up.

    Blocks on Redis: an event loop calls it through a thread.

    Raises:
        TokenError: ``TICKET_INVALID`` (also from another address, and without Redis) or
            ``TOKEN_REVOKED``.
    """
    if not ticket or len(ticket) > _LENGTH_MAX or not ticket.isascii():
        raise TokenError("TICKET_INVALID")
    key = common_redis.key("ticket", ticket)
    try:
        # One transaction, so that of two sockets only one gets the value (GETDEL needs 6.2).
        pipeline = common_redis.client().pipeline(transaction=True)
        pipeline.get(key)
        pipeline.delete(key)
        value: Any = pipeline.execute()[0]
    except RedisError as error:
        raise TokenError("TICKET_INVALID") from error
    if value is None:
        raise TokenError("TICKET_INVALID")
    found = _decode(value)
    if found.ip != ip:
        raise TokenError("TICKET_INVALID")
    return identity_of_session(found.session_id, expires_at_ms=found.expires_at_ms)
