"""Sockets of people who are known: authentication, expiry and revocation."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import msgspec

from accounts.authentication import authenticate_token, session_is_alive
from accounts.sessions import revocation_channel
from accounts.tickets import ticket_redeem
from accounts.types import Identity, TokenError
from common.ws import messages
from common.ws.asgi import client_ip
from common.ws.clock import now_ms
from common.ws.consumer import StreamConsumer
from common.ws.hub import Hub
from common.ws.messages import MessageError

log = logging.getLogger(__name__)

# A socket that does not say who it is within this time is closed with 4003.
AUTH_WITHIN_S = 5.0
# After "auth_expired" a client has this long to authenticate again.
REAUTH_WITHIN_S = 3.0
# Revocations are told at once through Redis; this finds the ones that were not heard.
CHECK_SESSIONS_S = 3.0

_guards: WeakKeyDictionary[Hub, SessionGuard] = WeakKeyDictionary()


class AuthenticatedConsumer(StreamConsumer):
    """
    A namespace for known users: first message ``auth``, or ``?ticket=`` in the URL.

    A token may be renewed by another ``auth`` of the same account at any time.
    """

    operations: ClassVar[dict[str, tuple[type[msgspec.Struct], str]]] = {
        **StreamConsumer.operations,
        "auth": (messages.Auth, "handle_auth"),
    }

    async def opened(self) -> None:
        """Redeem a ticket from the URL, or wait for the first message."""
        self.identity: Identity | None = None
        self._deadline = self.hub.time() + AUTH_WITHIN_S
        self._close = (messages.CLOSE_AUTH_TIMEOUT, "AUTH_TIMEOUT")
        ticket = dict(self.query()).get("ticket")
        if ticket is not None:
            try:
                await self._authenticate(messages.Auth(op="auth", ticket=ticket))
            except MessageError as error:
                self.refuse(error)

    def closed(self) -> None:
        """Give back the account's place among its connections."""
        identity = getattr(self, "identity", None)
        if identity is not None:
            session_guard(self.hub).remove(self, identity)

    def sweep(self) -> None:
        """Close a socket that did not authenticate in time, or whose token ended."""
        identity = getattr(self, "identity", None)
        if not hasattr(self, "_deadline") or self.outbox.is_closing:
            return
        if self._deadline and self.hub.time() >= self._deadline:
            code, reason = self._close
            self.refuse(MessageError(reason, "Authenticate in time.", close_code=code))
        elif identity is not None and not self._deadline and now_ms() >= identity.expires_at_ms:
            self._deadline = self.hub.time() + REAUTH_WITHIN_S
            self._close = (messages.CLOSE_NOT_AUTHENTICATED, "AUTH_EXPIRED")
            self.outbox.put(messages.answer("auth_expired", None))

    def require_identity(self) -> Identity:
        """
        Return who is there.

        Raises:
            MessageError: NOT_AUTHENTICATED before ``auth``.
        """
        if self.identity is None:
            raise MessageError("NOT_AUTHENTICATED", "Authenticate first.")
        return self.identity

    async def handle_auth(self, message: messages.Auth) -> None:
        """Take a token or a ticket; a wrong one closes with 4001."""
        await self._authenticate(message)

    def revoked(self) -> None:
        """Be told that the session has ended."""
        self.refuse(
            MessageError(
                "TOKEN_REVOKED",
                "The session has ended.",
                close_code=messages.CLOSE_NOT_AUTHENTICATED,
            )
        )

    async def _authenticate(self, message: messages.Auth) -> None:
        if (message.token is None) == (message.ticket is None):
            raise MessageError("INVALID_MESSAGE", "Expected either a token or a ticket.")
        try:
            if message.token is not None:
                identity = await self.hub.database(authenticate_token, message.token)
            else:
                identity = await self.hub.database(
                    ticket_redeem, message.ticket or "", ip=client_ip(self.scope)
                )
        except TokenError as error:
            raise MessageError(
                error.code,
                "The token or ticket is not good.",
                close_code=messages.CLOSE_NOT_AUTHENTICATED,
            ) from None
        self._accept(identity)
        self.outbox.put(
            messages.answer(
                "authenticated",
                message.id,
                account_id=str(identity.account_id),
                expires_at=identity.expires_at_ms,
            )
        )

    def _accept(self, identity: Identity) -> None:
        guard = session_guard(self.hub)
        if self.identity is not None:
            if self.identity.account_id != identity.account_id:
                raise MessageError("FORBIDDEN", "This socket belongs to another account.")
            guard.remove(self, self.identity)
        self.set_tier(identity.tier)
        bound = self.limits.ws_connections_max
        if bound and guard.connections_of(identity) >= bound:
            raise MessageError(
                "TOO_MANY_CONNECTIONS",
                f"At most {bound} connections per account.",
                close_code=messages.CLOSE_LIMIT,
            )
        self.identity = identity
        self._deadline = 0.0
        guard.add(self, identity)


class SessionGuard:
    """Which sockets of this process belong to which session, and closes the ended ones'."""

    def __init__(self, hub: Hub) -> None:
        """Listen for revocations, and look for those that were missed."""
        self._hub = hub
        self._sessions: dict[int, set[AuthenticatedConsumer]] = {}
        self._accounts: dict[int, int] = {}
        hub.hear(revocation_channel(), self._heard)
        hub.spawn(self._check())

    def connections_of(self, identity: Identity) -> int:
        """Return how many sockets of an account this process holds."""
        return self._accounts.get(identity.account_id, 0)

    def add(self, consumer: AuthenticatedConsumer, identity: Identity) -> None:
        """Note a socket of a session."""
        self._sessions.setdefault(identity.session_id, set()).add(consumer)
        count = self._accounts.get(identity.account_id, 0)
        self._accounts[identity.account_id] = count + 1

    def remove(self, consumer: AuthenticatedConsumer, identity: Identity) -> None:
        """Forget a socket; may be called twice."""
        consumers = self._sessions.get(identity.session_id)
        if consumers is None or consumer not in consumers:
            return
        consumers.discard(consumer)
        if not consumers:
            del self._sessions[identity.session_id]
        self._accounts[identity.account_id] -= 1
        if not self._accounts[identity.account_id]:
            del self._accounts[identity.account_id]

    def _heard(self, data: bytes) -> None:
        if data.isdigit():
            self._end(int(data))

    def _end(self, session_id: int) -> None:
        for consumer in tuple(self._sessions.get(session_id, ())):
            consumer.revoked()

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SESSIONS_S)
            try:
                for session_id in await self._hub.database(_ended, tuple(self._sessions)):
                    self._end(session_id)
            except Exception:
                # The database is away: sessions stay as they were until it can be asked.
                log.exception("sessions_not_checked")


def session_guard(hub: Hub) -> SessionGuard:
    """Return the guard that goes with a hub."""
    guard = _guards.get(hub)
    if guard is None:
        guard = _guards[hub] = SessionGuard(hub)
    return guard


def _ended(session_ids: tuple[int, ...]) -> list[Any]:
    return [session_id for session_id in session_ids if not session_is_alive(session_id)]
