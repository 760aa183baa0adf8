"""The live state of the exchange in memory, and the few changes every handler shares."""

from __future__ import annotations

from exchange.core.book import OrderBook
from exchange.core.enums import EndReason, OrderStatus, Side
from exchange.core.events import (
    AnyEvent,
    AssetConfigured,
    FeeTierConfigured,
    IndexPriceChanged,
    LevelChanged,
    MarketConfigured,
    OrderChanged,
)
from exchange.core.ledger import Account, Ledger
from exchange.core.state import CancelAllTask, Changes, Order, Sequences

# Work done by one command or internal step; what is larger continues as a task.
CANCELS_PER_STEP = 500


class Market:
    """A market's settings, book and index price (0: unknown)."""

    __slots__ = ("book", "config", "index", "index_atoms")

    def __init__(self, config: MarketConfigured) -> None:
        """Open a market with an empty book."""
        self.config = config
        self.book = OrderBook()
        self.index: IndexPriceChanged | None = None
        self.index_atoms = 0

    def paying_asset_id(self, side: Side) -> int:
        """Return the asset an order of a side pays with."""
        return self.config.quote_asset_id if side is Side.BUY else self.config.base_asset_id

    def set_index(self, index: IndexPriceChanged) -> None:
        """Take over a new index price."""
        self.index = index
        self.index_atoms = index.price_atoms


class Memory:
    """Everything the exchange knows; owned by the engine, changed by its handlers alone."""

    __slots__ = (
        "assets",
        "cancel_only_until_ms",
        "changes",
        "epoch",
        "fee_tiers",
        "ledger",
        "markets",
        "orders",
        "post_only_until_ms",
        "sequences",
        "symbols",
        "tasks",
        "time_ms",
    )

    def __init__(self) -> None:
        """Start empty."""
        self.sequences = Sequences()
        self.changes = Changes()
        self.ledger = Ledger(self.sequences, self.changes)
        self.assets: dict[int, AssetConfigured] = {}
        self.markets: dict[int, Market] = {}
        self.symbols: dict[str, int] = {}
        self.fee_tiers: dict[int, FeeTierConfigured] = {}
        self.orders: dict[int, Order] = {}
        self.tasks: list[CancelAllTask] = []
        self.time_ms = 0
        self.epoch = 0
        self.cancel_only_until_ms = 0
        self.post_only_until_ms = 0

    def take_changes(self) -> Changes:
        """Return what was touched since the last call and start afresh."""
        changes = self.changes
        self.changes = self.ledger.changes = Changes()
        return changes

    def set_hold(self, account: Account, market: Market, order: Order, held_atoms: int) -> None:
        """Change what an order holds in its wallet."""
        wallet = account.spot[market.paying_asset_id(order.side)]
        wallet.held_atoms += held_atoms - order.held_atoms
        order.held_atoms = held_atoms
        self.ledger.touch(account, wallet)

    def rest(self, account: Account, market: Market, order: Order, held_atoms: int) -> None:
        """Put an order into the book with its hold."""
        self.set_hold(account, market, order, held_atoms)
        market.book.side(order.side).insert(order)
        self.orders[order.order_id] = order
        account.remember(order)

    def retire(
        self, market: Market, order: Order, status: OrderStatus, reason: EndReason
    ) -> OrderChanged:
        """Take a resting order out of the book, release its hold, and return its last event."""
        account = self.ledger.accounts[order.account_id]
        market.book.side(order.side).reduce(order, order.remaining_atoms)
        self.set_hold(account, market, order, 0)
        order.status = status
        order.reason = reason
        self.delist(account, order)
        return self.changed(order)

    def delist(self, account: Account, order: Order) -> None:
        """Forget a resting order that ended."""
        del self.orders[order.order_id]
        account.forget(order)

    def changed(self, order: Order) -> OrderChanged:
        """Mark an order as changed now and return the event that says so."""
        order.updated_ms = self.time_ms
        self.changes.orders[order.order_id] = order
        return OrderChanged(
            order.order_id,
            order.account_id,
            order.market_id,
            order.client_order_id,
            order.side,
            order.order_type,
            order.time_in_force,
            order.post_only,
            order.price_atoms,
            order.quantity_atoms,
            order.quote_quantity_atoms,
            order.filled_atoms,
            order.quote_filled_atoms,
            order.fee_atoms,
            order.status,
            order.reason,
            order.self_trade_mode,
            order.created_ms,
            order.updated_ms,
        )

    def take_level_changes(self) -> list[AnyEvent]:
        """Return the levels that changed since the last call, absolute, in order of change."""
        events: list[AnyEvent] = []
        for market_id, market in self.markets.items():
            for side, levels in (
                (Side.BUY, market.book.bids),
                (Side.SELL, market.book.asks),
            ):
                if not levels.changed:
                    continue
                for price in levels.changed:
                    level = levels.levels.get(price)
                    quantity = level.quantity_atoms if level is not None else 0
                    events.append(LevelChanged(market_id, side, price, quantity))
                levels.changed = {}
        return events
