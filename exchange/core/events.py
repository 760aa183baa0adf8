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
    EndReason,
    LedgerKind,
    LinkKind,
    MarketKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    StatusCause,
    TimeInForce,
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
    """One match. Ids rise by one; ``quote_atoms`` = price x quantity exactly."""

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
)


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    Result of one command.

    ``reference_id`` is the order, transfer or earlier reference it concerns (0: none).
    ``events`` holds this command's own events in order. ``repeated`` says that the client id
    had been used for the same request: nothing was done again, ``reference_id`` is the first.
    """

    code: Code
    reference_id: int
    events: Sequence[AnyEvent]
    repeated: bool = False
    detail: str = ""
