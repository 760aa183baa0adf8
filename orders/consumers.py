"""``/ws/user``: a trader's own orders, fills and balances."""

from __future__ import annotations

from accounts.sockets import AuthenticatedConsumer
from common.ws import messages
from common.ws.frames import to_json
from common.ws.messages import MessageError
from common.ws.private_feed import PrivateSession, Resume
from common.ws.topics import BALANCES, FILLS, ORDERS, Channel
from orders.render import render_fill, render_order
from orders.selectors import fills_of, orders_open
from wallets.render import render_balance
from wallets.selectors import balances_of

# Open orders in a snapshot: the largest number any limit tier allows, and room.
SNAPSHOT_ORDERS_MAX = 10_000
SNAPSHOT_FILLS = 50


class UserConsumer(AuthenticatedConsumer):
    """One trader's socket."""

    async def opened(self) -> None:
        """Begin without private channels."""
        self._session: PrivateSession | None = None
        self._channels: dict[str, str] = {}
        await super().opened()

    def closed(self) -> None:
        """Leave the account's stream."""
        session = getattr(self, "_session", None)
        if session is not None:
            self.hub.private.detach(session)
        super().closed()

    def subscription_count(self) -> int:
        """Return how many channels are subscribed."""
        return len(self.subscriptions) + len(self._channels)

    async def subscribe_private(self, channels: list[Channel], message: messages.Subscribe) -> None:
        """
        Start the account's stream on these channels besides those there are.

        With ``from_seq`` and ``epoch`` what was missed is sent again if all of it is kept;
        else, and without them, every channel begins with a snapshot.
        """
        identity = self.require_identity()
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
    return data
