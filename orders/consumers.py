"""``/ws/user``: a trader's own orders, fills and balances, and order entry."""

from __future__ import annotations

from typing import ClassVar

import msgspec
from django.conf import settings
from django.utils.module_loading import import_string
from redis.exceptions import RedisError

from accounts.permissions import Permission
from accounts.sockets import AuthenticatedConsumer
from common.errors import ApiError, invalid_fields
from common.parsers import parse_object
from common.request_id import make_request_id
from common.ws import messages
from common.ws.frames import to_json
from common.ws.messages import MessageError
from common.ws.private_feed import PrivateSession, Resume
from common.ws.topics import BALANCES, FILLS, ORDERS, Channel
from markets.live.catalogue import catalogue
from orders.entry import DISCONNECT_FIELDS, OPERATIONS, optional_market
from orders.fields import read_body
from orders.render import render_fill, render_order
from orders.selectors import fills_of, orders_open
from orders.ws_disconnect import Wish, disconnect_watch
from orders.ws_entry import Entry, OrderDesk, require_trading
from wallets.render import render_balance
from wallets.selectors import balances_of

# Open orders in a snapshot: the largest number any limit tier allows, and room.
SNAPSHOT_ORDERS_MAX = 10_000
SNAPSHOT_FILLS = 50


class UserConsumer(AuthenticatedConsumer):
    """One trader's socket."""

    namespace = "user"
    operations: ClassVar[dict[str, tuple[type[msgspec.Struct], str]]] = {
        **AuthenticatedConsumer.operations,
        **dict.fromkeys(OPERATIONS, (Entry, "handle_entry")),
        "cancel_on_disconnect": (Entry, "handle_cancel_on_disconnect"),
    }

    async def opened(self) -> None:
        """Begin without private channels."""
        self._session: PrivateSession | None = None
        self._channels: dict[str, str] = {}
        self._desk = OrderDesk(self.hub, self.outbox)
        self._wish: tuple[str, Wish] | None = None
        await super().opened()

    def closed(self) -> None:
        """Leave the account's stream, and cancel its orders if that was wished."""
        session = getattr(self, "_session", None)
        if session is not None:
            self.hub.private.detach(session)
        wish = getattr(self, "_wish", None)
        if wish is not None:
            disconnect_watch(self.hub).fulfil(*wish)
        super().closed()

    async def handle_entry(self, message: Entry) -> None:
        """Hand an operation on orders to the exchange; its answer comes after the commit."""
        await self._desk.take(message, self.require_identity())

    async def handle_cancel_on_disconnect(self, message: Entry) -> None:
        """Wish, or wish no longer, that the end of this connection cancels open orders."""
        identity = self.require_identity()
        request_id = make_request_id()
        try:
            require_trading(identity)
            values = read_body(DISCONNECT_FIELDS, parse_object(bytes(message.params)), None)
            if "enabled" not in values:
                raise invalid_fields({"enabled": "REQUIRED"})
            await catalogue(self.hub).ready()
            market = optional_market(values)
            await self._set_wish(
                Wish(identity.account_id, market.market_id if market else 0)
                if values["enabled"]
                else None
            )
        except (ApiError, RedisError) as error:
            self._desk.answer_error(message, error, request_id)
            return
        data = {"enabled": values["enabled"], "symbol": market.symbol if market else None}
        self._desk.answer(message, (200, data), request_id)

    async def _set_wish(self, wish: Wish | None) -> None:
        watch = disconnect_watch(self.hub)
        field = self._wish[0] if self._wish is not None else watch.make_field()
        if wish is not None:
            # From here on, so that a connection that ends while this waits is covered too.
            self._wish = (field, wish)
            await watch.keep(field, wish)
        elif self._wish is not None:
            await watch.drop(field)
            self._wish = None

    def subscription_count(self) -> int:
        """Return how many channels are subscribed."""
        return len(self.subscriptions) + len(self._channels)

    async def subscribe_private(self, channels: list[Channel], message: messages.Subscribe) -> None:
        """
        Start the account's stream on these channels besides those there are.

        With ``from_seq`` and ``epoch`` what was missed is sent again if all of it is kept;
        else, and without them, every channel begins with a snapshot.
        """
        identity = self.require(Permission.ACCOUNT_VIEW)
        for number in (message.from_seq, message.epoch):
            if number is not None and not 0 <= number <= messages.SEQUENCE_MAX:
                raise MessageError("INVALID_MESSAGE", "from_seq or epoch is out of range.")
        resume = None
        if message.from_seq is not None:
            resume = Resume(epoch=message.epoch or 0, seq=message.from_seq)
        if self._session is None:
            self._session = PrivateSession(
                account_id=identity.account_id,
                outbox=self.outbox,
                feed=self.hub.private,
                load=self._load,
            )
            self.hub.private.attach(self._session)
        self._channels.update({channel.kind: channel.text for channel in channels})
        texts = [channel.text for channel in channels]
        self.outbox.put(messages.answer("subscribed", message.id, channels=texts))
        self._session.open(self._channels, resume)

    def unsubscribe_private(self, channel: Channel) -> None:
        """Leave out one channel of the stream."""
        if self._channels.pop(channel.kind, None) is not None and self._session is not None:
            self._session.leave(channel.kind)

    async def _load(self, account_id: int, kinds: frozenset[str]) -> dict[str, str]:
        return await self.hub.database(account_snapshot, account_id, kinds)


def account_snapshot(account_id: int, kinds: frozenset[str]) -> dict[str, str]:
    """Return the data (JSON text) of the snapshot of each private channel asked for."""
    data: dict[str, str] = {}
    if ORDERS in kinds:
        page = orders_open(account_id, limit=SNAPSHOT_ORDERS_MAX)
        data[ORDERS] = to_json({"orders": [render_order(order) for order in page.orders]})
    if FILLS in kinds:
        trades = fills_of(account_id, limit=SNAPSHOT_FILLS).trades
        data[FILLS] = to_json({"fills": [render_fill(trade, account_id) for trade in trades]})
    if BALANCES in kinds:
        balances = balances_of(account_id)
        data[BALANCES] = to_json({"balances": [render_balance(item) for item in balances]})
    for kind, path in settings.PRIVATE_SNAPSHOTS.items():
        if kind in kinds:
            data[kind] = to_json(import_string(path)(account_id))
    return data
