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
    MarginMode,
    OrderStatus,
    OrderType,
    PositionSide,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.events import (
    AccountConfigured,
    AssetConfigured,
    ContractConfigured,
    FeeTierConfigured,
    FundingPaid,
    FundingSettled,
    IndexPriceChanged,
    InsuranceChanged,
    LedgerPosted,
    LiquidationStepped,
    MarketConfigured,
    PositionClosed,
    PricesChanged,
    TradeExecuted,
)
from exchange.core.tasks import Task

# Fields that loading recomputes (an order's terms have a row of their own); every other
# field of the classes here is persisted.
DERIVED = {
    "Order": frozenset({"held_atoms", "terms", "margined"}),
    "Terms": frozenset[str](),
    "Wallet": frozenset[str](),
    "CancelSwitch": frozenset[str](),
    "QuoteProtection": frozenset[str](),
    "PriceWindow": frozenset[str](),
    "Position": frozenset({"bid_atoms", "ask_atoms", "reducing", "low_atoms", "high_atoms"}),
}


class Terms(msgspec.Struct, gc=False):
    """
    What only special orders have: triggers, trailing, icebergs, expiry, links.

    ``extreme_atoms`` is the best price since a trailing stop became active (0: not yet),
    ``activation_number`` its place among the active ones. ``cap_atoms`` is the worst price a
    conditional market buy may pay, which its hold is computed at. ``hidden_atoms`` is an
    iceberg's reserve behind what it shows. ``price_protect`` keeps it from firing while last and
    mark price are far apart. ``holds`` is false while the other leg of an OCO
    holds for both. ``reduce_only`` never grows a position; ``close_position`` closes whatever is
    open when it fires, and its quantity is 0 until then.
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
    reduce_only: bool = False
    close_position: bool = False


class Order(msgspec.Struct, gc=False):
    """
    An order while the core knows it.

    ``remaining_atoms`` is what still is in the book (0 once it ended), so
    quantity - filled - remaining was prevented by self-trade prevention or expired.
    ``priority`` is command number * 4096 + index inside the command: time priority inside a
    price. ``fee_remainder`` is what the fees charged so far were rounded up by, in 10^-8
    atoms, so that all fees of an order are rounded once. ``previous_id`` links the orders of
    an account. ``held_atoms`` is what the order holds in its wallet; a ``margined`` order, one
    of a perpetual market, holds nothing.
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
    margined: bool = False

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


class Position(msgspec.Struct, gc=False):
    """
    What an account has in a perpetual market: settings, and a position while one is open.

    Quantity and cost are signed; the cost is what was paid for the quantity, so that the
    average entry is cost / quantity and the unrealised profit value - cost.
    ``position_id`` is twice the number of the opening trade, plus one for a short.
    ``isolated_atoms`` is the isolated wallet. ``realised_atoms`` is net of no fees;
    ``funding_atoms`` is positive when received. ``funded_ms`` is the last funding time taken
    into account, ``funding_due_atoms`` what is still to be received of it, for which quantity
    and position. ``previous_id`` links the closed positions of the slot.

    Derived: values of the resting orders that may open, by order id those that only reduce,
    and the guard prices between which the account is surely above maintenance.
    """

    slot_id: int = 0
    account_id: int = 0
    market_id: int = 0
    side: PositionSide = PositionSide.NET
    mode: MarginMode = MarginMode.CROSS
    leverage: int = 1
    position_id: int = 0
    quantity_atoms: int = 0
    cost_atoms: int = 0
    isolated_atoms: int = 0
    realised_atoms: int = 0
    fee_atoms: int = 0
    funding_atoms: int = 0
    quantity_max_atoms: int = 0
    opened_atoms: int = 0
    opened_quote_atoms: int = 0
    closed_atoms: int = 0
    closed_quote_atoms: int = 0
    opened_ms: int = 0
    updated_ms: int = 0
    funded_ms: int = 0
    funding_due_atoms: int = 0
    funding_quantity_atoms: int = 0
    funding_position_id: int = 0
    previous_id: int = 0
    bid_atoms: int = 0
    ask_atoms: int = 0
    reducing: dict[int, Order] | None = None
    low_atoms: int = 0
    high_atoms: int = 2**63 - 1


@dataclass(slots=True)
class Sequences:
    """Numbers that only rise; the last one given out. Persisted in the position row."""

    command: int = 0
    order: int = 0
    trade: int = 0
    entry: int = 0
    wallet: int = 0
    transfer: int = 0
    slot: int = 0
    liquidation: int = 0


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


@dataclass(slots=True)
class Changes:
    """
    What a batch touched, in the form the store needs: each object once, in its last state.

    ``orders``, ``wallets`` and ``positions`` are keyed by id; their values are the live
    objects, so they must be turned into rows before the next command is applied.
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
    positions: dict[int, Position] = field(default_factory=dict)
    closed_positions: list[PositionClosed] = field(default_factory=list)
    contracts: dict[int, ContractConfigured] = field(default_factory=dict)
    insurances: dict[int, InsuranceChanged] = field(default_factory=dict)
    prices: dict[int, PricesChanged] = field(default_factory=dict)
    fundings: list[FundingSettled] = field(default_factory=list)
    funding_payments: list[FundingPaid] = field(default_factory=list)
    liquidations: list[LiquidationStepped] = field(default_factory=list)


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
    positions: list[Position] = field(default_factory=list)
    contracts: list[ContractConfigured] = field(default_factory=list)
    insurances: list[InsuranceChanged] = field(default_factory=list)
    prices: list[PricesChanged] = field(default_factory=list)
    last_prices: dict[int, int] = field(default_factory=dict)
    time_ms: int = 0
    epoch: int = 0
    cancel_only_until_ms: int = 0
    post_only_until_ms: int = 0
