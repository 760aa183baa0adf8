"""
The state of the exchange: what is persisted, what is derived, and what a batch touched.

Objects here are mutable and owned by the engine alone; nothing outside ``exchange`` holds
one. ``DERIVED`` names the fields that are recomputed on load; all others are persisted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from exchange.core.enums import (
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
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

# Fields that loading recomputes (an order's terms have a row of their own); every other
# field of the classes here is persisted.
DERIVED = {
    "Order": frozenset({"held_atoms", "terms"}),
    "Terms": frozenset[str](),
    "Wallet": frozenset[str](),
    "CancelSwitch": frozenset[str](),
    "QuoteProtection": frozenset[str](),
    "PriceWindow": frozenset[str](),
}


class Terms(msgspec.Struct, gc=False):
    """
    What only special orders have: triggers, trailing, icebergs, expiry, links.

    ``extreme_atoms`` is the best price since a trailing stop became active (0: not yet),
    ``activation_number`` its place among the active ones. ``cap_atoms`` is the worst price a
    conditional market buy may pay, which its hold is computed at. ``hidden_atoms`` is an
    iceberg's reserve behind what it shows. ``price_protect`` keeps it from firing while last and
    mark price are far apart. ``holds`` is false while the other leg of an OCO
    holds for both.
    """

    trigger_type: TriggerType = TriggerType.NONE
    trigger_price_atoms: int = 0
    activation_price_atoms: int = 0
    callback_rate_e8: int = 0
    extreme_atoms: int = 0
    activation_number: int = 0
    slippage_rate_e8: int = 0
    cap_atoms: int = 0
    display_atoms: int = 0
    hidden_atoms: int = 0
    expires_ms: int = 0
    reprice: bool = False
    triggered_ms: int = 0
    link_id: int = 0
    link_kind: LinkKind = LinkKind.NONE
    holds: bool = True
    price_protect: bool = False


class Order(msgspec.Struct, gc=False):
    """
    An order while the core knows it.

    ``remaining_atoms`` is what still is in the book (0 once it ended), so
    quantity - filled - remaining was prevented by self-trade prevention or expired.
    ``priority`` is command number * 4096 + index inside the command: time priority inside a
    price. ``fee_remainder`` is what the fees charged so far were rounded up by, in 10^-8
    atoms, so that all fees of an order are rounded once. ``previous_id`` links the orders of
    an account. ``held_atoms`` is what the order holds in its wallet.
    """

    order_id: int = 0
    account_id: int = 0
    market_id: int = 0
    client_order_id: str = ""
    request_hash: int = 0
    side: Side = Side.BUY
    order_type: OrderType = OrderType.LIMIT
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    self_trade_mode: SelfTradeMode = SelfTradeMode.EXPIRE_TAKER
    price_atoms: int = 0
    quantity_atoms: int = 0
    quote_quantity_atoms: int = 0
    remaining_atoms: int = 0
    filled_atoms: int = 0
    quote_filled_atoms: int = 0
    fee_atoms: int = 0
    fee_remainder: int = 0
    maker_rate_e8: int = 0
    taker_rate_e8: int = 0
    status: OrderStatus = OrderStatus.OPEN
    reason: EndReason = EndReason.NONE
    priority: int = 0
    previous_id: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    held_atoms: int = 0
    terms: Terms | None = None

    @property
    def open_atoms(self) -> int:
        """What is still to be traded: what rests or waits, and an iceberg's reserve."""
        return self.remaining_atoms + (self.terms.hidden_atoms if self.terms else 0)


class Wallet(msgspec.Struct, gc=False):
    """
    One balance of an account: 0 <= held <= total (system account ``external`` excepted).

    ``last_order_id`` and ``last_entry_id`` are the heads of the account's order and ledger
    chains as of the last time this wallet was touched; the account's head is the highest of
    its wallets. They ride on a row that is written anyway.
    """

    wallet_id: int = 0
    account_id: int = 0
    kind: WalletKind = WalletKind.SPOT
    asset_id: int = 0
    total_atoms: int = 0
    held_atoms: int = 0
    last_order_id: int = 0
    last_entry_id: int = 0


@dataclass(slots=True)
class Sequences:
    """Numbers that only rise; the last one given out. Persisted in the position row."""

    command: int = 0
    order: int = 0
    trade: int = 0
    entry: int = 0
    wallet: int = 0
    transfer: int = 0


# When a freeze ends that only a reset ends.
FOREVER_MS = 2**62


class CancelSwitch(msgspec.Struct, gc=False):
    """
    A dead-man switch: at ``due_ms`` the orders of an account in a market (0: all) are cancelled.

    ``switch_id`` is the number of the command that armed it first; once disarmed (0 ms) it
    is never armed again, the next arming makes another.
    """

    switch_id: int = 0
    account_id: int = 0
    market_id: int = 0
    timeout_ms: int = 0
    due_ms: int = 0


class QuoteProtection(msgspec.Struct, gc=False):
    """
    A market-maker protection of an account in one market, and what it has counted.

    ``protection_id`` is the number of the command that made it; one with a window of 0 was
    taken away. ``counted`` are (slot, base atoms, fills) of the fills that still count, the
    oldest first; see ``protecting``.
    """

    protection_id: int = 0
    account_id: int = 0
    market_id: int = 0
    window_ms: int = 0
    quantity_atoms: int = 0
    fills: int = 0
    frozen_ms: int = 0
    frozen_until_ms: int = 0
    counted: list[tuple[int, int, int]] = []


class PriceWindow(msgspec.Struct, gc=False):
    """
    What a market's circuit breaker knows of the last prices; see ``breaking``.

    ``slots`` are (slot, price before its first trade), the oldest first. ``unanchored``
    says that the market has not traded since the breaker halted it.
    """

    market_id: int = 0
    unanchored: bool = False
    slots: list[tuple[int, int]] = []


class CancelAllTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Unfinished cancel-all: orders up to ``through_order_id`` are still to be cancelled.

    ``resting_only`` leaves those alone that wait for a price or for another order.
    """

    account_id: int
    market_id: int
    through_order_id: int
    reason: EndReason
    resting_only: bool = False


class FireTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Conditional orders that a price has fired and that are still to be carried out.

    Those of one market and trigger type with a priority below ``below_priority`` whose
    trigger price lies at or before ``price_atoms`` in the direction of the move, with price
    protection only if ``protected``; and of the trailing stops that follow the price, per
    (side, callback rate, newest activation number, protected), those up to that number.
    """

    number: int
    market_id: int
    trigger_type: TriggerType
    rising: bool
    price_atoms: int
    below_priority: int
    trails: list[tuple[Side, int, int, bool]] = []
    protected: bool = False


class ActivateTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Trailing stops that follow the price since ``price_atoms`` reached their activation.

    Those of one market, trigger type and direction with a priority below ``number``; their
    rows say so up to ``after_order_id``, in order of their numbers. ``number`` is the
    activation number of them all.
    """

    number: int
    market_id: int
    trigger_type: TriggerType
    rising: bool
    price_atoms: int
    after_order_id: int = 0


class ArmTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """A bracket whose entry ended and whose children are still to be armed."""

    entry_id: int
    filled_atoms: int


Task = CancelAllTask | FireTask | ActivateTask | ArmTask


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
    switches: dict[int, CancelSwitch] = field(default_factory=dict)
    protections: dict[int, QuoteProtection] = field(default_factory=dict)
    price_windows: dict[int, PriceWindow] = field(default_factory=dict)


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
    tasks: list[Task] = field(default_factory=list)
    index_prices: list[IndexPriceChanged] = field(default_factory=list)
    switches: list[CancelSwitch] = field(default_factory=list)
    protections: list[QuoteProtection] = field(default_factory=list)
    price_windows: list[PriceWindow] = field(default_factory=list)
    last_prices: dict[int, int] = field(default_factory=dict)
    time_ms: int = 0
    epoch: int = 0
    cancel_only_until_ms: int = 0
    post_only_until_ms: int = 0
