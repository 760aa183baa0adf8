"""
The state of the exchange: what is persisted, what is derived, and what a batch touched.

Objects here are mutable and owned by the engine alone; nothing outside ``exchange`` holds
one. ``PERSISTED`` and ``DERIVED`` name every field of every class (a test holds that).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from exchange.core.enums import (
    EndReason,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    WalletKind,
)
from exchange.core.events import (
    AccountConfigured,
    AssetConfigured,
    FeeTierConfigured,
    IndexPriceChanged,
    LedgerPosted,
    MarketConfigured,
    TradeExecuted,
)


class Order:
    """
    An order while the core knows it.

    ``priority`` is command number * 4096 + index inside the command: time priority inside a
    price. ``fee_remainder`` is what the fees charged so far were rounded up by, in 10^-8
    atoms, so that all fees of an order are rounded once. ``previous_id`` links the orders of
    an account. ``held_atoms`` is what the order holds in its wallet.
    """

    __slots__ = (
        "account_id",
        "client_order_id",
        "created_ms",
        "fee_atoms",
        "fee_remainder",
        "filled_atoms",
        "held_atoms",
        "maker_rate_e8",
        "market_id",
        "order_id",
        "order_type",
        "post_only",
        "previous_id",
        "price_atoms",
        "priority",
        "quantity_atoms",
        "quote_filled_atoms",
        "quote_quantity_atoms",
        "reason",
        "remaining_atoms",
        "request_hash",
        "self_trade_mode",
        "side",
        "status",
        "taker_rate_e8",
        "time_in_force",
        "updated_ms",
    )
    PERSISTED = frozenset(__slots__) - {"held_atoms"}
    DERIVED = frozenset({"held_atoms"})

    order_id: int
    account_id: int
    market_id: int
    client_order_id: str
    request_hash: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    self_trade_mode: SelfTradeMode
    price_atoms: int
    quantity_atoms: int
    quote_quantity_atoms: int
    remaining_atoms: int
    filled_atoms: int
    quote_filled_atoms: int
    fee_atoms: int
    fee_remainder: int
    maker_rate_e8: int
    taker_rate_e8: int
    status: OrderStatus
    reason: EndReason
    priority: int
    previous_id: int
    created_ms: int
    updated_ms: int
    held_atoms: int


class Wallet:
    """
    One balance of an account: 0 <= held <= total.

    ``last_order_id`` and ``last_entry_id`` are the heads of the account's order and ledger
    chains as of the last time this wallet was touched; the account's head is the highest of
    its wallets. They ride on a row that is written anyway.
    """

    __slots__ = (
        "account_id",
        "asset_id",
        "held_atoms",
        "kind",
        "last_entry_id",
        "last_order_id",
        "total_atoms",
        "wallet_id",
    )
    PERSISTED = frozenset(__slots__)
    DERIVED: frozenset[str] = frozenset()

    wallet_id: int
    account_id: int
    kind: WalletKind
    asset_id: int
    total_atoms: int
    held_atoms: int
    last_order_id: int
    last_entry_id: int


@dataclass(slots=True)
class Sequences:
    """Numbers that only rise; the last one given out. Persisted in the position row."""

    command: int = 0
    order: int = 0
    trade: int = 0
    entry: int = 0
    wallet: int = 0
    transfer: int = 0


@dataclass(slots=True)
class CancelAllTask:
    """Unfinished cancel-all: orders up to ``through_order_id`` are still to be cancelled."""

    account_id: int
    market_id: int
    through_order_id: int
    reason: EndReason


@dataclass(slots=True)
class Changes:
    """
    What a batch touched, in the form the store needs: each object once, in its last state.

    ``orders`` and ``wallets`` are keyed by id; their values are the live objects, so they
    must be turned into rows before the next command is applied.
    """

    orders: dict[int, Order] = field(default_factory=dict)
    wallets: dict[int, Wallet] = field(default_factory=dict)
    trades: list[TradeExecuted] = field(default_factory=list)
    entries: list[LedgerPosted] = field(default_factory=list)
    assets: dict[int, AssetConfigured] = field(default_factory=dict)
    markets: dict[int, MarketConfigured] = field(default_factory=dict)
    fee_tiers: dict[int, FeeTierConfigured] = field(default_factory=dict)
    accounts: dict[int, AccountConfigured] = field(default_factory=dict)
    index_prices: dict[int, IndexPriceChanged] = field(default_factory=dict)


@dataclass(slots=True)
class Image:
    """
    The whole state as plain objects: what ``Exchange.load`` takes and ``image`` gives.

    ``orders`` holds open orders only.
    """

    sequences: Sequences = field(default_factory=Sequences)
    assets: list[AssetConfigured] = field(default_factory=list)
    markets: list[MarketConfigured] = field(default_factory=list)
    fee_tiers: list[FeeTierConfigured] = field(default_factory=list)
    accounts: list[AccountConfigured] = field(default_factory=list)
    wallets: list[Wallet] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    tasks: list[CancelAllTask] = field(default_factory=list)
    index_prices: list[IndexPriceChanged] = field(default_factory=list)
    time_ms: int = 0
    epoch: int = 0
    cancel_only_until_ms: int = 0
    post_only_until_ms: int = 0
