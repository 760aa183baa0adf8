"""What a careful client keeps: a book and an account rebuilt by the published rules."""

from __future__ import annotations

from typing import Any


class ChannelState:
    """The rule of docs/WEBSOCKET.md: epoch, last sequence, and when to start over."""

    def __init__(self) -> None:
        self.epoch = 0
        self.last: int | None = None
        self.gaps = 0

    def accepts(self, frame: dict[str, Any]) -> bool:
        """Follow the sequence; return whether the frame's data counts."""
        if frame["type"] == "reset":
            self.epoch, self.last = frame["epoch"], None
            return False
        if frame["epoch"] < self.epoch:
            return False
        if frame["type"] == "snapshot":
            self.epoch, self.last = frame["epoch"], frame["seq"]
            return True
        if self.last is None:
            return False
        if frame["type"] == "heartbeat":
            if frame["seq"] > self.last:
                self.lost()
            return False
        if frame["seq"] <= self.last:
            return False
        if frame.get("prev", 0) > self.last:
            self.lost()
            return False
        self.last = frame["seq"]
        return True

    def lost(self) -> None:
        """Note a gap: nothing counts before the next snapshot."""
        self.gaps += 1
        self.last = None

    @property
    def needs_snapshot(self) -> bool:
        """Return whether the client must subscribe again (or wait after a reset)."""
        return self.last is None


class BookReplica(ChannelState):
    """A book rebuilt from one book channel."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}

    def take(self, frame: dict[str, Any]) -> None:
        """Take a frame of the channel."""
        if not self.accepts(frame):
            return
        for name, side in self.sides.items():
            if frame["type"] == "snapshot":
                side.clear()
            for price, quantity in frame["data"][name]:
                if float(quantity) == 0:
                    side.pop(price, None)
                else:
                    side[price] = quantity

    def levels(self) -> tuple[list[list[str]], list[list[str]]]:
        """Return bids and asks, best first."""
        bids = sorted(self.sides["bids"].items(), key=lambda level: -float(level[0]))
        asks = sorted(self.sides["asks"].items(), key=lambda level: float(level[0]))
        return [list(level) for level in bids], [list(level) for level in asks]


class TapeReplica(ChannelState):
    """The recent trades rebuilt from one trade channel, newest first."""

    def __init__(self, length: int = 500) -> None:
        """Keep as many as a snapshot holds."""
        super().__init__()
        self.trades: list[dict[str, Any]] = []
        self._length = length

    def take(self, frame: dict[str, Any]) -> None:
        """Take a frame of the channel."""
        if self.accepts(frame):
            older = [] if frame["type"] == "snapshot" else self.trades
            self.trades = [*frame["data"]["trades"], *older][: self._length]


class StateReplica(ChannelState):
    """The latest state of a channel whose frames are whole states: price, ticker, kline."""

    # When and where a state was published is not part of it.
    PUBLISHED = ("epoch", "seq", "time")

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__()
        self.data: dict[str, Any] = {}

    def take(self, frame: dict[str, Any]) -> None:
        """Take a frame of the channel."""
        if self.accepts(frame):
            self.data = {
                name: value for name, value in frame["data"].items() if name not in self.PUBLISHED
            }


class AccountReplica:
    """
    Open orders, balances and fills rebuilt from all three private channels.

    Who listens to all of them counts the account's own sequence, which has no holes.
    """

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.balances: dict[tuple[str, str], dict[str, Any]] = {}
        self.fills: dict[str, dict[str, Any]] = {}
        self.epoch = 0
        self.last: int | None = None
        self.gaps = 0
        self._waits_for_answer = False

    def state(self) -> tuple[Any, Any]:
        """Return open orders and balances."""
        return self.orders, self.balances

    def take(self, frame: dict[str, Any]) -> bool:
        """Take a frame; return whether it follows a gap and the client must subscribe again."""
        if frame["type"] == "subscribed":
            self._waits_for_answer = False
            return False
        if self._waits_for_answer or frame["epoch"] < self.epoch:
            return False
        name, seq = frame["channel"], frame["seq"]
        if frame["type"] == "reset":
            self.epoch, self.last = frame["epoch"], None
        elif frame["type"] == "snapshot":
            self.epoch, self.last = frame["epoch"], seq
            self._replace(name, frame["data"][name])
        elif self.last is None or seq <= self.last:
            return False
        elif frame["type"] == "heartbeat" or seq != self.last + 1:
            self.gaps += 1
            self._waits_for_answer = True
            return True
        else:
            self.last = seq
            self._change(name, frame["data"])
        return False

    def _replace(self, name: str, items: list[dict[str, Any]]) -> None:
        if name == "orders":
            self.orders.clear()
        elif name == "balances":
            self.balances.clear()
        for item in items:
            self._change(name, item)

    def _change(self, name: str, item: dict[str, Any]) -> None:
        if name == "orders":
            if item["status"] in {"open", "partially_filled"}:
                self.orders[item["id"]] = item
            else:
                self.orders.pop(item["id"], None)
        elif name == "balances":
            self.balances[item["currency"], item["wallet"]] = item
        else:
            self.fills[item["trade_id"]] = item
