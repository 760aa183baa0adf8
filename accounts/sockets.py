"""Sockets of people who are known: authentication, expiry and revocation."""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar
from weakref import WeakKeyDictionary

import msgspec

from accounts.access import REFUSALS
from accounts.authentication import authenticate_token, credential_is_alive
from accounts.permissions import Permission
from accounts.sessions import revocation_channel
from accounts.signatures import SignedRequest, authenticate_signed
from accounts.tickets import ticket_redeem
from accounts.types import Identity, TokenError
from common.errors import ApiError
from common.ws import messages
from common.ws.asgi import client_ip
from common.ws.clock import now_ms
from common.ws.consumer import StreamConsumer
from common.ws.counts import COUNTS
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

    A token may be renewed by another ``auth`` of the same account at any time. A namespace of
    its own ``permission`` lets in only who has it; operations ask with :meth:`require`.
    """

    permission: ClassVar[Permission | None] = None

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
        elif identity is not None and not self._deadline and 0 < identity.expires_at_ms <= now_ms():
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

    def require(self, permission: Permission) -> Identity:
        """
        Return who is there, if role and key permit one thing.

        Raises:
            MessageError: NOT_AUTHENTICATED, PERMISSION_DENIED, TWO_FACTOR_ENFORCED or
                KEY_SCOPE.
        """
        identity = self.require_identity()
        code = identity.refusal(permission)
        if code is not None:
            raise MessageError(code, REFUSALS[code])
        return identity

    async def handle_auth(self, message: messages.Auth) -> None:
        """Take a token, a ticket or a key's signature; a wrong one closes with 4001."""
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
        given = [value for value in (message.token, message.ticket, message.key) if value]
        if len(given) != 1:
            raise MessageError("INVALID_MESSAGE", "Expected a token, a ticket or a key.")
        try:
            identity = await self._identify(message)
        except TokenError as error:
            raise MessageError(
                error.code,
                "The token or ticket is not good.",
                close_code=messages.CLOSE_NOT_AUTHENTICATED,
            ) from None
        except ApiError as error:
            raise MessageError(
                error.code,
                error.message,
                close_code=messages.CLOSE_NOT_AUTHENTICATED,
                details=error.details,
            ) from None
        self._accept(identity)
        self.outbox.put(
            messages.answer(
                "authenticated",
                message.id,
                account_id=str(identity.account_id),
                expires_at=identity.expires_at_ms or None,
            )
        )

    async def _identify(self, message: messages.Auth) -> Identity:
        if message.token:
            return await self.hub.database(authenticate_token, message.token)
        if message.ticket:
            return await self.hub.database(ticket_redeem, message.ticket, ip=client_ip(self.scope))
        window = message.recv_window
        signed = SignedRequest(
            key=message.key or "",
            timestamp=str(message.timestamp or ""),
            nonce=message.nonce or "",
            recv_window="" if window is None else str(window),
            signature=message.signature or "",
            method="GET",
            path=self.scope["path"],
            query="",
            body=b"",
        )
        return await self.hub.database(authenticate_signed, signed, ip=client_ip(self.scope))

    def _accept(self, identity: Identity) -> None:
        guard = session_guard(self.hub)
        if self.identity is not None and self.identity.account_id != identity.account_id:
            raise MessageError("FORBIDDEN", "This socket belongs to another account.")
        self._check_entry(identity)
        if self.identity is not None:
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

    def _check_entry(self, identity: Identity) -> None:
        code = "TWO_FACTOR_ENFORCED" if identity.must_enroll else None
        if self.permission is not None:
            code = identity.refusal(self.permission)
        if code is not None:
            raise MessageError(code, REFUSALS[code], close_code=messages.CLOSE_NOT_AUTHENTICATED)


class SessionGuard:
    """Which sockets of this process belong to which session or key; closes the ended ones'."""

    def __init__(self, hub: Hub) -> None:
        """Listen for revocations, and look for those that were missed."""
        self._hub = hub
        self._sockets: dict[int, set[AuthenticatedConsumer]] = {}
        self._identities: dict[int, Identity] = {}
        self._accounts: dict[int, int] = {}
        hub.hear(revocation_channel(), self._heard)
        hub.spawn(self._check())

    def connections_of(self, identity: Identity) -> int:
        """Return how many sockets of an account this process holds."""
        return self._accounts.get(identity.account_id, 0)

    def add(self, consumer: AuthenticatedConsumer, identity: Identity) -> None:
        """Note a socket of a session or key."""
        self._sockets.setdefault(identity.credential_id, set()).add(consumer)
        self._identities[identity.credential_id] = identity
        count = self._accounts.get(identity.account_id, 0)
        self._accounts[identity.account_id] = count + 1
        COUNTS.joined(consumer.namespace, identity.account_id)

    def remove(self, consumer: AuthenticatedConsumer, identity: Identity) -> None:
        """Forget a socket; may be called twice."""
        consumers = self._sockets.get(identity.credential_id)
        if consumers is None or consumer not in consumers:
            return
        consumers.discard(consumer)
        if not consumers:
            del self._sockets[identity.credential_id]
            del self._identities[identity.credential_id]
        COUNTS.left(consumer.namespace, identity.account_id)
        self._accounts[identity.account_id] -= 1
        if not self._accounts[identity.account_id]:
            del self._accounts[identity.account_id]

    def _heard(self, data: bytes) -> None:
        if data.isdigit():
            self._end(int(data))

    def _end(self, credential_id: int) -> None:
        for consumer in tuple(self._sockets.get(credential_id, ())):
            consumer.revoked()

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SESSIONS_S)
            try:
                known = tuple(self._identities.values())
                for credential_id in await self._hub.database(_ended, known):
                    self._end(credential_id)
            except Exception:
                # The database is away: sessions stay as they were until it can be asked.
                log.exception("sessions_not_checked")


def session_guard(hub: Hub) -> SessionGuard:
    """Return the guard that goes with a hub."""
    guard = _guards.get(hub)
    if guard is None:
        guard = _guards[hub] = SessionGuard(hub)
    return guard


def _ended(identities: tuple[Identity, ...]) -> list[int]:
    return [identity.credential_id for identity in identities if not credential_is_alive(identity)]
