"""The live state of the exchange in memory, and the few changes every handler shares."""

from __future__ import annotations

from collections import deque
from heapq import heappush

from exchange.core.contract import Contract, Insurance
from exchange.core.enums import (
    EndReason,
    LinkKind,
    MarketStatus,
    OrderStatus,
    Side,
    WalletKind,
)
from exchange.core.events import (
    AnyEvent,
    AssetConfigured,
    FeeTierConfigured,
    LevelChanged,
    OrderChanged,
    OrderTerms,
    PositionChanged,
)
from exchange.core.ledger import Account, Ledger, hold_of
from exchange.core.market import Market
from exchange.core.state import (
    CancelSwitch,
    Changes,
    Order,
    Position,
    QuoteProtection,
    Sequences,
    Terms,
)
from exchange.core.tasks import ArmTask, DeleverageTask, FundingTask, Task
from exchange.core.units import InvariantError

_BUY = Side.BUY

# Work done by one command or internal step; what is larger continues as a task.
CANCELS_PER_STEP = 500

# Bits of the index of an order inside its command, in a priority number.
PRIORITY_SHIFT = 12


class Memory:
    """Everything the exchange knows; owned by the engine, changed by its handlers alone."""

    __slots__ = (
        "assets",
        "breakers",
        "cancel_only_until_ms",
        "changes",
        "deadlines",
        "dirty",
        "epoch",
        "fee_tiers",
        "fired",
        "funding",
        "insurances",
        "ledger",
        "links",
        "liquidating",
        "markets",
        "orders",
        "positions",
        "post_only_until_ms",
        "price_changes",
        "priority_index",
        "sequences",
        "switch_times",
        "switches",
        "symbols",
        "tasks",
        "time_ms",
        "tripped",
        "waiting",
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
        self.positions: dict[int, Position] = {}
        self.insurances: dict[int, Insurance] = {}
        self.tasks: list[Task] = []
        # Bankrupt scopes that wait for counterparties: persisted with the tasks, but no work.
        self.waiting: list[DeleverageTask] = []
        # Derived: by market, the funding that is under way.
        self.funding: dict[int, FundingTask] = {}
        # Derived: accounts, or (account, market) of isolated positions, being liquidated.
        self.liquidating: set[tuple[int, int]] = set()
        self.price_changes: dict[int, None] = {}
        # Accounts whose guard prices no longer hold; see ``guards``.
        self.dirty: dict[int, None] = {}
        # Derived: what a FireTask still has to carry out, groups by link number, expiry times.
        self.fired: dict[int, deque[Order]] = {}
        self.links: dict[int, list[int]] = {}
        self.deadlines: list[tuple[int, int]] = []
        # Armed dead-man switches by account and market, and when they are due (derived).
        self.switches: dict[tuple[int, int], CancelSwitch] = {}
        self.switch_times: list[tuple[int, int, int]] = []
        # Markets in a phase of their circuit breaker (derived).
        self.breakers: dict[int, None] = {}
        # Protections that the taker at work has run over; empty between takers.
        self.tripped: list[QuoteProtection] = []
        self.time_ms = 0
        self.epoch = 0
        self.cancel_only_until_ms = 0
        self.post_only_until_ms = 0
        self.priority_index = 0

    def take_changes(self) -> Changes:
        """Return what was touched since the last call and start afresh."""
        changes = self.changes
        for market_id in self.price_changes:
            market = self.markets[market_id]
            if market.contract is not None:
                changes.prices[market_id] = market.contract.prices(market_id, market.index_atoms)
        self.price_changes = {}
        self.changes = self.ledger.changes = Changes()
        return changes

    def next_priority(self) -> int:
        """Return a priority number behind all given out before."""
        self.priority_index += 1
        return (self.sequences.command << PRIORITY_SHIFT) + self.priority_index

    def set_hold(self, account: Account, market: Market, order: Order, held_atoms: int) -> None:
        """Change what an order holds in its wallet."""
        if held_atoms == order.held_atoms:
            return
        if order.margined:
            self.set_exposure(account, order, held_atoms)
            return
        config = market.config
        asset_id = config.quote_asset_id if order.side is _BUY else config.base_asset_id
        wallet = account.spot[asset_id]
        held = wallet.held_atoms + held_atoms - order.held_atoms
        if not 0 <= held <= wallet.total_atoms:
            raise InvariantError(
                f"wallet {wallet.wallet_id} would hold {held} of {wallet.total_atoms} atoms"
            )
        wallet.held_atoms = held
        order.held_atoms = held_atoms
        wallet.last_order_id = account.last_order_id
        wallet.last_entry_id = account.last_entry_id
        self.changes.wallets[wallet.wallet_id] = wallet

    def set_exposure(self, account: Account, order: Order, value_atoms: int) -> None:
        """Change what an order counts in the order margin of its position."""
        change = value_atoms - order.held_atoms
        if not change:
            return
        position = account.positions[order.market_id]
        if order.side is _BUY:
            position.bid_atoms += change
        else:
            position.ask_atoms += change
        order.held_atoms = value_atoms
        self.changes.positions[position.slot_id] = position

    def touch_margin(self, account: Account, market: Market) -> None:
        """Mark the margin wallet that backs a market as changed: chains hang on its row."""
        quote_id = market.config.quote_asset_id
        self.ledger.touch(account, self.ledger.wallet(account, WalletKind.MARGIN, quote_id))

    def position(self, account: Account, market: Market) -> Position:
        """Return an account's slot in a perpetual market, opened at first use."""
        market_id = market.config.market_id
        position = account.positions.get(market_id)
        if position is None:
            contract = market.contract
            if contract is None:
                raise TypeError(f"market {market_id} is no perpetual")
            self.sequences.slot += 1
            position = new_position(self.sequences.slot, account.account_id, market_id, contract)
            account.positions[market_id] = position
            self.positions[position.slot_id] = position
            contract.positions.append(position)
            self.changes.positions[position.slot_id] = position
        return position

    def list_order(self, account: Account, order: Order) -> None:
        """Remember an order that stays open, wherever it waits."""
        self.orders[order.order_id] = order
        account.remember(order)
        terms = order.terms
        if terms is not None:
            if terms.reduce_only or terms.close_position:
                position = account.positions[order.market_id]
                if position.reducing is None:
                    position.reducing = {}
                position.reducing[order.order_id] = order
            if terms.expires_ms:
                heappush(self.deadlines, (terms.expires_ms, order.order_id))
            if terms.link_id:
                self.links.setdefault(terms.link_id, []).append(order.order_id)

    def delist(self, account: Account, order: Order) -> None:
        """Forget an open order that ended."""
        del self.orders[order.order_id]
        account.forget(order)
        terms = order.terms
        if terms is None:
            return
        if terms.reduce_only or terms.close_position:
            reducing = account.positions[order.market_id].reducing
            if reducing is not None:
                del reducing[order.order_id]
        if not terms.link_id:
            return
        members = self.links[terms.link_id]
        members.remove(order.order_id)
        if not members:
            del self.links[terms.link_id]
        if terms.link_kind is LinkKind.ENTRY and members:
            self.tasks.append(ArmTask(order.order_id, order.filled_atoms))

    def retire(
        self,
        order: Order,
        status: OrderStatus,
        reason: EndReason,
        events: list[AnyEvent],
    ) -> None:
        """End an open order wherever it waits; the other leg of its OCO ends with it."""
        self.end(order, status, reason, events)
        if order.terms is not None:
            self.end_other_leg(order, events)

    def end(
        self,
        order: Order,
        status: OrderStatus,
        reason: EndReason,
        events: list[AnyEvent],
    ) -> None:
        """End an open order alone: out of the book or the triggers, its hold released."""
        market = self.markets[order.market_id]
        account = self.ledger.accounts[order.account_id]
        self.withdraw(market, order)
        self.set_hold(account, market, order, 0)
        order.status = status
        order.reason = reason
        self.delist(account, order)
        events.append(self.changed(order))

    def end_other_leg(self, order: Order, events: list[AnyEvent]) -> None:
        """End the other leg of an OCO, if there is one and it is open."""
        terms = order.terms
        if terms is None or terms.link_kind is not LinkKind.OCO:
            return
        for other_id in self.links.get(terms.link_id, ()):
            if other_id != order.order_id:
                other = self.orders[other_id]
                self.end(other, OrderStatus.CANCELLED, EndReason.LINKED_ORDER, events)
                break

    def withdraw(self, market: Market, order: Order) -> None:
        """Take an order out of the book or the triggers; nothing of it remains open."""
        terms = order.terms
        if terms is None:
            side = market.book.bids if order.side is _BUY else market.book.asks
            side.reduce(order, order.remaining_atoms)
            return
        terms.hidden_atoms = 0
        if order.status is OrderStatus.UNTRIGGERED:
            heir = market.triggers(terms.trigger_type).remove(order, terms)
            if heir is not None:
                self.changes.orders[heir.order_id] = heir
            order.remaining_atoms = 0
        elif order.status is OrderStatus.WAITING:
            order.remaining_atoms = 0
        else:
            market.book.side(order.side).reduce(order, order.remaining_atoms)

    def rest(
        self,
        account: Account,
        market: Market,
        order: Order,
        held_atoms: int,
        *,
        listed: bool = False,
    ) -> None:
        """
        Put an order into the book with its hold; an iceberg shows its first part only.

        ``listed`` says that it is among the open orders already.
        """
        self.set_hold(account, market, order, held_atoms)
        terms = order.terms
        if terms is not None and terms.display_atoms:
            shown = min(order.remaining_atoms, terms.display_atoms)
            terms.hidden_atoms += order.remaining_atoms - shown
            order.remaining_atoms = shown
        (market.book.bids if order.side is _BUY else market.book.asks).insert(order)
        if not listed:
            self.list_order(account, order)

    def refresh(self, market: Market, order: Order, terms: Terms) -> None:
        """Let an iceberg whose shown part is gone show the next, behind all others."""
        shown = min(terms.hidden_atoms, terms.display_atoms)
        terms.hidden_atoms -= shown
        order.remaining_atoms = shown
        order.priority = self.next_priority()
        market.book.side(order.side).insert(order)

    def evaluates(self, market: Market) -> bool:
        """Tell whether a market trades, so that prices fire; otherwise all stays armed."""
        trading = market.config.status is MarketStatus.TRADING
        return trading and self.time_ms >= self.post_only_until_ms

    def claim_hold(self, order: Order) -> None:
        """Let an order hold for itself from now on."""
        if order.terms is not None:
            order.terms.holds = True
        account = self.ledger.accounts[order.account_id]
        self.set_hold(account, self.markets[order.market_id], order, hold_of(order))

    def changed(self, order: Order) -> OrderChanged:
        """Mark an order as changed now and return the event that says so."""
        order.updated_ms = self.time_ms
        self.changes.orders[order.order_id] = order
        terms = order.terms
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
            None if terms is None else _visible(terms),
            order.remaining_atoms if terms is None else order.open_atoms,
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


def position_event(position: Position) -> PositionChanged:
    """Return a position slot as its owner sees it."""
    return PositionChanged(
        position.slot_id,
        position.position_id,
        position.account_id,
        position.market_id,
        position.side,
        position.mode,
        position.leverage,
        position.quantity_atoms,
        position.cost_atoms,
        position.isolated_atoms,
        position.realised_atoms,
        position.fee_atoms,
        position.funding_atoms,
        position.bid_atoms,
        position.ask_atoms,
        position.opened_ms,
        position.updated_ms,
    )


def new_position(slot_id: int, account_id: int, market_id: int, contract: Contract) -> Position:
    """Return a flat slot with the market's default settings: cross, its default leverage."""
    leverage = min(contract.config.leverage_default, contract.leverage_max)
    return Position(slot_id, account_id, market_id, leverage=leverage)


def _visible(terms: Terms) -> OrderTerms:
    return OrderTerms(
        terms.trigger_type,
        terms.trigger_price_atoms,
        terms.activation_price_atoms,
        terms.callback_rate_e8,
        terms.extreme_atoms,
        terms.display_atoms,
        terms.expires_ms,
        terms.triggered_ms,
        terms.link_id,
        terms.link_kind,
        terms.price_protect,
        terms.reduce_only,
        terms.close_position,
    )
