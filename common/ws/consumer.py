"""
The base of all WebSocket consumers: one receive loop and one writer per connection.

Channels' own dispatch hops to a thread after every message to close database connections
and wraps each receive in new tasks; ``__call__`` is overridden, since nothing here touches
the database in its receive loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import msgspec
from channels.consumer import AsyncConsumer
from django.conf import settings

from common.network import limit_key
from common.tiers import Tier, TierLimits, limits_of
from common.ws import messages, topics
from common.ws.asgi import client_ip, deny
from common.ws.clock import now_ms
from common.ws.counts import COUNTS
from common.ws.hub import Hub, get_hub
from common.ws.messages import MessageError
from common.ws.outbox import Outbox, Send
from common.ws.protocol import abort, text_writer
from common.ws.public_feed import Subscription
from common.ws.rate import MessageRate
from common.ws.topics import Channel

log = logging.getLogger(__name__)

MESSAGE_BYTES_MAX = 65_536
BAD_JSON_MAX = 5
# Names under which clients try to put credentials into the URL, where every log keeps them.
_CREDENTIALS = frozenset(
    {"token", "access_token", "jwt", "auth", "authorization", "bearer", "api_key", "password"}
)
# What every JSON Web Token begins with.
_JWT_PREFIX = "eyJ"


class StreamConsumer(AsyncConsumer):
    """
    One connection: answers operations and carries the frames of its subscriptions.

    A subclass names the public ``kinds`` it serves, resolves symbols, and may add to
    ``operations``: op -> (message type, name of the coroutine method that handles it).
    """

    # What counters call it.
    namespace: ClassVar[str] = ""
    kinds: ClassVar[frozenset[str]] = frozenset()
    operations: ClassVar[dict[str, tuple[type[msgspec.Struct], str]]] = {
        "subscribe": (messages.Subscribe, "handle_subscribe"),
        "unsubscribe": (messages.Unsubscribe, "handle_unsubscribe"),
        "ping": (messages.Ping, "handle_ping"),
    }

    scope: dict[str, Any]
    hub: Hub
    outbox: Outbox
    limits: TierLimits

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Send) -> None:
        """Serve one connection from handshake to close."""
        self.scope = scope
        self.hub = get_hub()
        await receive()
        if self.hub.is_stopping:
            await deny(scope, send, 503, "SERVER_RESTART", "The server restarts.")
            return
        address = limit_key(client_ip(scope))
        if (
            len(self.hub.connections) >= settings.WS_MAX_CONNECTIONS
            or self.hub.addresses[address] >= settings.WS_MAX_CONNECTIONS_PER_IP
        ):
            await deny(scope, send, 429, "TOO_MANY_CONNECTIONS", "Too many connections.")
            return
        self.hub.addresses[address] += 1
        COUNTS.connections[self.namespace] += 1
        try:
            await send({"type": "websocket.accept"})
            await self._serve(receive, send)
        finally:
            COUNTS.connections[self.namespace] -= 1
            self.hub.addresses[address] -= 1
            if not self.hub.addresses[address]:
                del self.hub.addresses[address]

    async def _serve(self, receive: Any, send: Send) -> None:
        self.outbox = Outbox(send, text_writer(send))
        self.subscriptions: dict[str, Subscription] = {}
        self._bad_json = self._counted = 0
        self._aborted = asyncio.get_running_loop().create_future()
        self.set_tier(Tier.ANONYMOUS)
        self.hub.connections.add(self)
        reader = asyncio.ensure_future(self._read(receive))
        writer = asyncio.ensure_future(self.outbox.run())
        try:
            await asyncio.wait({reader, writer, self._aborted}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and not reader.cancelled() and reader.exception() is not None:
                log.error("websocket_reader_failed", exc_info=reader.exception())
                self.outbox.close(messages.CLOSE_ERROR, "INTERNAL_ERROR", drop=True)
            if self.outbox.is_closing and not self._aborted.done():
                await asyncio.wait({writer, self._aborted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.hub.connections.discard(self)
            for subscription in self.subscriptions.values():
                self.hub.public.unsubscribe(subscription)
            self.subscriptions.clear()
            self._count_subscriptions()
            if self.outbox.close_code is not None:
                COUNTS.closed[self.outbox.close_code] += 1
            self.closed()
            reader.cancel()
            writer.cancel()
            ended = await asyncio.gather(reader, writer, return_exceptions=True)
            # A client that is gone ends the writer with an OSError: nothing to tell.
            if isinstance(ended[1], Exception) and not isinstance(ended[1], OSError):
                log.error("websocket_writer_failed", exc_info=ended[1])
            if self._aborted.done():
                abort(send)
            self._aborted.cancel()

    async def opened(self) -> None:
        """Be called once, before the first message is read."""

    def closed(self) -> None:
        """Be called once, when the connection ends, however it does."""

    def sweep(self) -> None:
        """Be called about twice a second."""

    async def market_id(self, symbol: str, kind: str) -> int:
        """
        Return the id of a market by any accepted spelling, for a kind of channel.

        Raises:
            LookupError: if there is none.
            topics.UnknownChannelError: if that market has no such channel.
        """
        del kind
        raise LookupError(symbol)

    async def subscribe_private(self, channels: list[Channel], message: messages.Subscribe) -> None:
        """Subscribe to private channels; only some namespaces have them."""
        raise MessageError(
            "FORBIDDEN",
            "This namespace has no private channels.",
            channel=channels[0].text,
        )

    def unsubscribe_private(self, channel: Channel) -> None:
        """End a private subscription."""

    def subscription_count(self) -> int:
        """Return how many channels are subscribed."""
        return len(self.subscriptions)

    def set_tier(self, tier: Tier) -> None:
        """Apply the limits of a tier."""
        self.limits = limits_of(tier)
        self._rate = MessageRate(
            messages=self.limits.ws_messages, window_s=self.limits.ws_messages_window_s
        )

    def abort(self) -> None:
        """End the connection at once: its client does not read."""
        if not self._aborted.done():
            self._aborted.set_result(None)

    def refuse(self, error: MessageError, message_id: messages.ClientId = None) -> None:
        """Answer with an error, and close when the error says so."""
        self.outbox.put(messages.error_answer(error, message_id))
        if error.close_code is not None:
            self.outbox.close(error.close_code, error.code)

    async def _read(self, receive: Any) -> None:
        if not self._refuses_url():
            await self.opened()
        while not self.outbox.is_closing:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            COUNTS.messages += 1
            text = event.get("text")
            if text is None:
                self.outbox.close(messages.CLOSE_BINARY, "BINARY_NOT_SUPPORTED")
            elif len(text) > MESSAGE_BYTES_MAX:
                self.outbox.close(messages.CLOSE_TOO_LARGE, "MESSAGE_TOO_LARGE")
            elif not self._rate.take():
                self.refuse(
                    MessageError(
                        "RATE_LIMITED",
                        f"More than {self.limits.ws_messages} messages per "
                        f"{self.limits.ws_messages_window_s} s.",
                        close_code=messages.CLOSE_LIMIT,
                    )
                )
            else:
                await self._handle(text)

    async def _handle(self, text: str) -> None:
        message_id: messages.ClientId = None
        try:
            head = messages.decode_head(text)
            message_id = head.id
            operation = self.operations.get(head.op)
            if operation is None:
                known = ", ".join(self.operations)
                raise MessageError("UNKNOWN_TYPE", f'Expected "op" to be one of {known}.')
            kind, name = operation
            await getattr(self, name)(messages.decode_message(text, kind))
        except MessageError as error:
            if error.code == "INVALID_JSON":
                self._bad_json += 1
                if self._bad_json >= BAD_JSON_MAX:
                    error.close_code = messages.CLOSE_BAD_MESSAGES
            self.refuse(error, message_id)

    async def handle_ping(self, message: messages.Ping) -> None:
        """Answer a sign of life with the time."""
        self.outbox.put(messages.answer("pong", message.id, ts=now_ms()))

    async def handle_subscribe(self, message: messages.Subscribe) -> None:
        """
        Subscribe to all channels of a message or, if one is refused, to none.

        A channel that is subscribed already starts over with a snapshot.
        """
        texts = list(dict.fromkeys(message.channels))
        if not texts:
            raise MessageError("INVALID_MESSAGE", "Expected at least one channel.")
        channels = [await self.parse(text) for text in texts]
        public = [channel for channel in channels if channel.kind in topics.PUBLIC_KINDS]
        private = [channel for channel in channels if channel.kind in topics.PRIVATE_KINDS]
        new = sum(channel.text not in self.subscriptions for channel in public)
        bound = self.limits.ws_channels_max
        if bound and self.subscription_count() + new + len(private) > bound:
            raise MessageError(
                "TOO_MANY_SUBSCRIPTIONS", f"At most {bound} channels per connection."
            )
        if private:
            await self.subscribe_private(private, message)
        else:
            self.outbox.put(messages.answer("subscribed", message.id, channels=texts))
        for channel in public:
            known = self.subscriptions.pop(channel.text, None)
            if known is not None:
                self.hub.public.unsubscribe(known)
            self.subscriptions[channel.text] = self.hub.public.subscribe(channel, self.outbox)
        self._count_subscriptions()

    async def handle_unsubscribe(self, message: messages.Unsubscribe) -> None:
        """End subscriptions; those that were none are ignored."""
        for text in message.channels:
            subscription = self.subscriptions.pop(text, None)
            if subscription is not None:
                self.hub.public.unsubscribe(subscription)
                continue
            kind = topics.private_kind(text)
            if kind is not None:
                self.unsubscribe_private(Channel(text=text, kind=kind))
        self._count_subscriptions()
        self.outbox.put(messages.answer("unsubscribed", message.id, channels=message.channels))

    def _count_subscriptions(self) -> None:
        COUNTS.subscriptions += len(self.subscriptions) - self._counted
        self._counted = len(self.subscriptions)

    async def parse(self, text: str) -> Channel:
        """
        Return the channel a text names, if this namespace serves it.

        Raises:
            MessageError: UNKNOWN_CHANNEL, UNKNOWN_SYMBOL, or FORBIDDEN for a private
                channel that names an account.
        """
        head, separator, _ = text.partition(":")
        kind = topics.ALIASES.get(head, head)
        if kind in topics.PRIVATE_KINDS and separator and topics.private_kind(text) is None:
            raise MessageError(
                "FORBIDDEN", "Private channels are those of one's own account.", channel=text
            )
        if kind in topics.PUBLIC_KINDS and kind not in self.kinds:
            raise MessageError(
                "UNKNOWN_CHANNEL", "This namespace does not serve this channel.", channel=text
            )
        symbols: dict[str, int] = {}
        try:
            symbol = topics.symbol_of(text)
            if kind in self.kinds and symbol:
                symbols[symbol] = await self.market_id(symbol, kind)
            return topics.parse_channel(text, symbols.__getitem__)
        except topics.UnknownChannelError:
            raise MessageError(
                "UNKNOWN_CHANNEL", "There is no such channel.", channel=text
            ) from None
        except LookupError:
            raise MessageError("UNKNOWN_SYMBOL", "There is no such market.", channel=text) from None

    def query(self) -> list[tuple[str, str]]:
        """Return the parameters of the URL."""
        raw = self.scope.get("query_string", b"")
        return parse_qsl(raw.decode("latin-1"), keep_blank_values=True)

    def _refuses_url(self) -> bool:
        for name, value in self.query():
            if name.lower() in _CREDENTIALS or value.startswith(_JWT_PREFIX):
                self.refuse(
                    MessageError(
                        "TOKEN_IN_URL",
                        "Send the token as the first message, or use a one-time ticket.",
                        close_code=messages.CLOSE_NOT_AUTHENTICATED,
                    )
                )
                return True
        return False
