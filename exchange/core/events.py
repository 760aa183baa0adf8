"""
What comes out of the exchange.

Events are facts about the state *after* their command; they are frozen, encoded as arrays
and only ever extended at the end. ``OrderChanged`` and ``TradeExecuted`` are emitted by
each command in the order in which things happened; ``BalanceChanged`` and
``LevelChanged`` are coalesced over a batch (absolute values, the last one counts).
"""

from collections.abc import Sequence

import msgspec

from exchange.core.enums import (
    AccountStatus,
    CloseReason,
    EndReason,
    LedgerKind,
    LinkKind,
    MarginMode,
    MarketKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceQuality,
    SelfTradeMode,
    Side,
    StatusCause,
    TimeInForce,
    TradeKind,
    TriggerType,
    WalletKind,
)
from exchange.core.rejects import Code
from exchange.core.safety import NO_SAFETY, MarketSafety

VERSION = 1


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all events; the tag on the wire is the class name."""


class OrderTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What its owner sees of a special order beside the plain fields."""

    trigger_type: TriggerType
    trigger_price_atoms: int
    activation_price_atoms: int
    callback_rate_e8: int
    extreme_atoms: int
    display_atoms: int
    expires_ms: int
    triggered_ms: int
    link_id: int
    link_kind: LinkKind
    price_protect: bool = False
    reduce_only: bool = False
    close_position: bool = False


class OrderChanged(Event, frozen=True, gc=False):
    """
    The whole order as its owner sees it.

    ``fee_atoms`` is in quote atoms, negative a rebate. ``open_atoms`` is what may still
    trade, an iceberg's reserve included; 0 once the order ended.
    """

    order_id: int
    account_id: int
    market_id: int
    client_order_id: str
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    post_only: bool
    price_atoms: int
    quantity_atoms: int
    quote_quantity_atoms: int
    filled_atoms: int
    quote_filled_atoms: int
    fee_atoms: int
    status: OrderStatus
    reason: EndReason
    self_trade_mode: SelfTradeMode
    created_ms: int
    updated_ms: int
    terms: OrderTerms | None = None
    open_atoms: int = 0


class TradeExecuted(Event, frozen=True, gc=False):
    """
    One match. Ids rise by one; ``quote_atoms`` = price x quantity exactly.

    Of another kind than MATCH it has no orders: ``taker`` is the account whose position ends,
    ``quote_atoms`` is exact and the price its rounded share.
    """

    trade_id: int
    market_id: int
    price_atoms: int
    quantity_atoms: int
    quote_atoms: int
    taker_side: Side
    taker_order_id: int
    maker_order_id: int
    taker_account_id: int
    maker_account_id: int
    taker_fee_atoms: int
    maker_fee_atoms: int
    time_ms: int
    kind: TradeKind = TradeKind.MATCH


class LedgerPosted(Event, frozen=True, gc=False):
    """
    One account's part of one change of ownership.

    A trade moves base (``asset_id``) and quote in one entry; ``quote_amount_atoms`` is net
    of ``fee_atoms``, which the ``fees`` account receives. Other kinds leave the quote part
    zero. ``previous_id`` links the entries of an account (0: first), so its history is read
    along the chain without an index. ``reference_id`` is the trade or transfer number.
    """

    entry_id: int
    previous_id: int
    account_id: int
    kind: LedgerKind
    reference_id: int
    wallet: WalletKind
    asset_id: int
    amount_atoms: int
    balance_atoms: int
    quote_asset_id: int
    quote_amount_atoms: int
    quote_balance_atoms: int
    fee_atoms: int
    time_ms: int
    note: str = ""


class BalanceChanged(Event, frozen=True, gc=False):
    """A wallet's balance: ``total`` includes ``held``; available = total - held."""

    account_id: int
    wallet: WalletKind
    asset_id: int
    total_atoms: int
    held_atoms: int


class LevelChanged(Event, frozen=True, gc=False):
    """The whole quantity now resting at one price; 0 removes the level."""

    market_id: int
    side: Side
    price_atoms: int
    quantity_atoms: int


class AssetConfigured(Event, frozen=True, gc=False):
    """An asset as it now is."""

    asset_id: int
    code: str
    name: str
    decimals: int


class MarketConfigured(Event, frozen=True, gc=False):
    """
    A market as it now is, status included.

    ``status_until_ms`` is when a circuit breaker's phase ends, 0 for what somebody must end.
    """

    market_id: int
    symbol: str
    kind: MarketKind
    base_asset_id: int
    quote_asset_id: int
    tick_atoms: int
    lot_atoms: int
    quantity_min_atoms: int
    quantity_max_atoms: int
    price_min_atoms: int
    price_max_atoms: int
    notional_min_atoms: int
    price_band_e8: int
    market_band_e8: int
    status: MarketStatus
    safety: MarketSafety = NO_SAFETY
    status_cause: StatusCause = StatusCause.NONE
    status_until_ms: int = 0


class FeeTierConfigured(Event, frozen=True, gc=False):
    """A fee tier as it now is."""

    tier: int
    maker_rate_e8: int
    taker_rate_e8: int


class AccountConfigured(Event, frozen=True, gc=False):
    """An account as it now is."""

    account_id: int
    status: AccountStatus
    fee_tier: int
    open_orders_max: int
    self_trade_mode: SelfTradeMode


class IndexPriceChanged(Event, frozen=True, gc=False):
    """The index price that the core now uses for a market."""

    market_id: int
    price_atoms: int
    time_ms: int


class CancelSwitchChanged(Event, frozen=True, gc=False):
    """When all orders of an account in a market (0: in all) are cancelled; 0 ms is never."""

    account_id: int
    market_id: int
    timeout_ms: int
    due_ms: int


class ProtectionChanged(Event, frozen=True, gc=False):
    """
    A market-maker protection as it now is; a window of 0 is none.

    Frozen until ``frozen_until_ms`` (0: it is not, ``FOREVER_MS``: until a reset).
    """

    account_id: int
    market_id: int
    window_ms: int
    quantity_atoms: int
    fills: int
    frozen_ms: int
    frozen_until_ms: int


class ContractConfigured(Event, frozen=True, gc=False):
    """
    The terms of a perpetual market as they now are.

    Interest and cap are rates of 10^-8 per funding interval of 8 hours (interest) and per
    interval (cap; 0: 0.75 of the first bracket's maintenance rate). ``impact_notional_atoms``
    is what the premium's impact prices are averaged over. Bounds of 0 are not enforced.
    ``brackets`` are (floor, maintenance rate, maintenance amount, highest leverage).
    """

    market_id: int
    insurance_group: int
    funding_interval_ms: int
    interest_rate_e8: int
    funding_cap_e8: int
    impact_notional_atoms: int
    liquidation_fee_e8: int
    position_notional_max_atoms: int
    open_interest_max_atoms: int
    brackets: tuple[tuple[int, int, int, int], ...]
    leverage_default: int = 10
    liquidations_paused: bool = False
    settled_price_atoms: int = 0


class InsuranceChanged(Event, frozen=True, gc=False):
    """
    An insurance group as it now is.

    ``high_atoms`` is the fund's value at its high of the running 8 hours, which began at
    ``high_ms``; ``stopped`` says that takeovers are stopped by drawdown.
    """

    group_id: int
    notional_cap_e8: int
    shock_e8: int
    drawdown_e8: int
    recovery_e8: int
    high_atoms: int = 0
    high_ms: int = 0
    stopped: bool = False


class PricesChanged(Event, frozen=True, gc=False):
    """
    All prices of a perpetual market, at each update of its index.

    ``basis`` holds the latest (time, mid - index) samples, the last of ``sampled_ms``;
    ``premium_sum_e8`` and ``premium_count`` the samples of the running funding interval,
    ``predicted_rate_e8`` what its rate would be now. ``unhealthy_since_ms`` is since when the
    quality is not LIVE (0: it is); ``halted_for_price`` says that the market is halted until
    prices are back. ``flow_atoms`` is the base quantity that liquidations traded in the book
    in ``flow_second``.
    """

    market_id: int
    mark_atoms: int
    index_atoms: int
    time_ms: int
    quality: PriceQuality
    unhealthy_since_ms: int
    basis: tuple[tuple[int, int], ...]
    sampled_ms: int
    premium_sum_e8: int
    premium_count: int
    predicted_rate_e8: int
    funding_rate_e8: int
    next_funding_ms: int
    last_trade_ms: int
    open_interest_atoms: int
    halted_for_price: bool = False
    flow_second: int = 0
    flow_atoms: int = 0


class FundingSettled(Event, frozen=True, gc=False):
    """Funding of one market and time: its rate, mark and what was done; ``skipped`` if not."""

    market_id: int
    funding_ms: int
    rate_e8: int
    mark_atoms: int
    skipped: bool
    time_ms: int


class FundingPaid(Event, frozen=True, gc=False):
    """One account's funding: positive is received, negative paid, in quote atoms."""

    entry_id: int
    account_id: int
    market_id: int
    position_id: int
    funding_ms: int
    rate_e8: int
    mark_atoms: int
    quantity_atoms: int
    amount_atoms: int
    time_ms: int


class PositionChanged(Event, frozen=True, gc=False):
    """
    A position slot (account, market, side) as it now is; quantity 0 is flat.

    ``cost_atoms`` is signed: what was paid for the quantity. ``bid_atoms`` and ``ask_atoms``
    are the values of its resting orders that may open.
    """

    slot_id: int
    position_id: int
    account_id: int
    market_id: int
    side: PositionSide
    mode: MarginMode
    leverage: int
    quantity_atoms: int
    cost_atoms: int
    isolated_atoms: int
    realised_atoms: int
    fee_atoms: int
    funding_atoms: int
    bid_atoms: int
    ask_atoms: int
    opened_ms: int
    updated_ms: int


class PositionClosed(Event, frozen=True, gc=False):
    """
    A position that ended, for history; everything in quote atoms but quantities.

    ``quantity_max_atoms`` is its largest size (signed), ``opened_*`` and ``closed_*`` what was
    traded either way over its life, from which the average prices follow.
    """

    position_id: int
    slot_id: int
    previous_id: int
    account_id: int
    market_id: int
    mode: MarginMode
    leverage: int
    quantity_max_atoms: int
    opened_atoms: int
    opened_quote_atoms: int
    closed_atoms: int
    closed_quote_atoms: int
    realised_atoms: int
    fee_atoms: int
    funding_atoms: int
    reason: CloseReason
    opened_ms: int
    closed_ms: int


class LiquidationStepped(Event, frozen=True, gc=False):
    """
    One thing that the liquidation ladder did to an account in a market.

    ``kind``: MATCH for an order into the book, else how the position went. ``equity_atoms``
    and ``maintenance_atoms`` are those of the scope (account or isolated position) before;
    ``fee_atoms`` went to insurance; ``insurance_atoms`` is what the fund gained (+) or paid.
    The number is unique and rises.
    """

    liquidation_id: int
    account_id: int
    market_id: int
    position_id: int
    kind: TradeKind
    side: Side
    quantity_atoms: int
    price_atoms: int
    quote_atoms: int
    mark_atoms: int
    equity_atoms: int
    maintenance_atoms: int
    fee_atoms: int
    insurance_atoms: int
    counterparty_id: int
    time_ms: int


class DeleveragingNeeded(Event, frozen=True, gc=False):
    """A bankrupt position that no fund can carry waits for counterparties."""

    market_id: int
    account_id: int
    side: Side
    quantity_atoms: int
    since_ms: int


AnyEvent = (
    OrderChanged
    | TradeExecuted
    | LedgerPosted
    | BalanceChanged
    | LevelChanged
    | AssetConfigured
    | MarketConfigured
    | FeeTierConfigured
    | AccountConfigured
    | IndexPriceChanged
    | CancelSwitchChanged
    | ProtectionChanged
    | ContractConfigured
    | InsuranceChanged
    | PricesChanged
    | FundingSettled
    | FundingPaid
    | PositionChanged
    | PositionClosed
    | LiquidationStepped
    | DeleveragingNeeded
)


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    Result of one command.

    ``reference_id`` is the order, transfer or earlier reference it concerns (0: none).
    ``events`` holds this command's own events in order. ``repeated`` says that the client id
    had been used for the same request: nothing was done again, ``reference_id`` is the first.
    ``order_ids`` takes the place of a cancel-all's events where only the command log is left.
    """

    code: Code
    reference_id: int
    events: Sequence[AnyEvent]
    repeated: bool = False
    detail: str = ""
    order_ids: Sequence[int] = ()
