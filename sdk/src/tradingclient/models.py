"""
What the platform answers, as typed values.

Amounts, prices and rates are ``Decimal``, ids are text, times integer milliseconds UTC, exactly
as sent. A field that the platform adds later is ignored.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Generic, TypeVar

import msgspec

Item = TypeVar("Item")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the API; it does not change."""


class Page(Model, Generic[Item], frozen=True):
    """A part of a list; ``next_cursor`` leads to the rest. ``stale`` while the exchange is down."""

    items: list[Item]
    next_cursor: str | None = None
    stale: bool = False
    as_of: int | None = None


class User(Model, frozen=True):
    """A user as it sees itself."""

    id: str
    username: str
    email: str
    role: str
    account_id: str
    created_at: int
    email_verified: bool = False


class Tokens(Model, frozen=True):
    """The tokens of a session; ``expires_in`` in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int
    session_id: str = ""
    user: User | None = None


class Ticket(Model, frozen=True):
    """A one-time ticket for a WebSocket."""

    ticket: str


class Market(Model, frozen=True):
    """A market and its rules; bounds that are not enforced are None."""

    id: str
    symbol: str
    kind: str
    base: str
    quote: str
    status: str
    tick_size: Decimal
    lot_size: Decimal
    price_decimals: int
    quantity_decimals: int
    min_quantity: Decimal
    max_quantity: Decimal | None = None
    min_price: Decimal | None = None
    max_price: Decimal | None = None
    min_notional: Decimal | None = None
    price_band: Decimal | None = None
    market_band: Decimal | None = None


class Price(Model, frozen=True):
    """The price of a market: its index price, or its last trade where there is no index."""

    symbol: str
    time: int
    price: Decimal | None = None
    index_price: Decimal | None = None
    last_price: Decimal | None = None


class Ticker(Model, frozen=True):
    """Figures of the last 24 hours; what is not known is None."""

    symbol: str
    time: int
    volume: Decimal
    quote_volume: Decimal
    trade_count: int
    last: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    change: Decimal | None = None
    change_percent: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    index_price: Decimal | None = None
    index_state: str | None = None
    index_source: str | None = None
    index_time: int | None = None
    stale: bool = False


class BookSnapshot(Model, frozen=True):
    """Price levels, best first, as (price, quantity)."""

    symbol: str
    epoch: int
    seq: int
    time: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]
    stale: bool = False


class Trade(Model, frozen=True):
    """One public trade; ``side`` is the taker's."""

    id: str
    price: Decimal
    quantity: Decimal
    side: str
    time: int


class Trades(Model, frozen=True):
    """Public trades, newest first."""

    trades: list[Trade]
    symbol: str = ""


class Kline(Model, frozen=True):
    """One candle; before the first trade of its market times and prices are None."""

    open_time: int | None
    close_time: int | None
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    trade_count: int
    closed: bool
    symbol: str = ""
    interval: str = ""
    recorded: bool = False


class Klines(Model, frozen=True):
    """Candles without holes, oldest first."""

    symbol: str
    interval: str
    klines: list[Kline]


class Fill(Model, frozen=True):
    """A trade as one of its two accounts sees it: own order, own side, own fee."""

    trade_id: str
    order_id: str
    symbol: str
    side: str
    role: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_currency: str
    executed_at: int


class Order(Model, frozen=True):
    """An order; what does not apply to it is None. ``fills`` where the answer names them."""

    id: str
    client_order_id: str | None
    symbol: str
    side: str
    type: str
    time_in_force: str
    post_only: bool
    self_trade_prevention: str
    price: Decimal | None
    quantity: Decimal | None
    quote_quantity: Decimal | None
    filled_quantity: Decimal
    remaining_quantity: Decimal
    filled_quote: Decimal
    average_price: Decimal | None
    fee: Decimal
    fee_currency: str
    status: str
    reason: str | None
    created_at: int
    updated_at: int
    trigger_by: str | None = None
    trigger_price: Decimal | None = None
    activation_price: Decimal | None = None
    callback_rate: Decimal | None = None
    activated: bool | None = None
    triggered_at: int | None = None
    display_quantity: Decimal | None = None
    expire_time: int | None = None
    group_id: str | None = None
    group_role: str | None = None
    fills: list[Fill] = []

    @property
    def is_ended(self) -> bool:
        """Return whether nothing can happen to it any more."""
        return self.status in ENDED


# States of an order that never change again.
ENDED = frozenset({"filled", "cancelled", "expired"})


class OrderGroup(Model, frozen=True):
    """The orders of an OCO or a bracket."""

    group_id: str
    orders: list[Order]


class ItemError(Model, frozen=True):
    """Why one request of a batch was refused."""

    code: str
    message: str = ""
    fields: dict[str, str] = {}


class BatchResult(Model, frozen=True):
    """The result of one request of a batch: an order or an error, and the HTTP status."""

    status: int
    order: Order | None = None
    error: ItemError | None = None


class BatchResults(Model, frozen=True):
    """One result per request of a batch, in its order."""

    results: list[BatchResult]


class CancelledAll(Model, frozen=True):
    """What cancel-all cancelled; not ``complete`` when more is left to cancel."""

    orders: list[Order]
    complete: bool


class Preview(Model, frozen=True):
    """What an order would do if it were placed now."""

    symbol: str
    accepted: bool
    refusal: ItemError | None = None
    status: str | None = None
    reason: str | None = None
    price: Decimal | None = None
    filled_quantity: Decimal | None = None
    filled_quote: Decimal | None = None
    remaining_quantity: Decimal | None = None
    average_price: Decimal | None = None
    fee: Decimal | None = None
    fee_currency: str | None = None
    worst_price: Decimal | None = None


class Balance(Model, frozen=True):
    """A balance of a wallet; ``held`` by open orders is part of ``total``."""

    currency: str
    wallet: str
    total: Decimal
    available: Decimal
    held: Decimal


class Balances(Model, frozen=True):
    """Balances; ``stale`` while the exchange is down."""

    balances: list[Balance]
    stale: bool = False


class EntryChange(Model, frozen=True):
    """What a ledger entry did to one currency; ``amount`` is signed."""

    currency: str
    amount: Decimal
    balance: Decimal


class EntryFee(Model, frozen=True):
    """The fee of a trade."""

    currency: str
    amount: Decimal


class LedgerEntry(Model, frozen=True):
    """A ledger entry of a wallet."""

    id: str
    kind: str
    wallet: str
    reference_id: str
    changes: list[EntryChange]
    created_at: int
    fee: EntryFee | None = None
    note: str = ""


class Transfer(Model, frozen=True):
    """A transfer as its sender sees it."""

    id: str
    currency: str
    amount: Decimal
    from_wallet: str
    to_wallet: str
    to_username: str | None = None
    client_transfer_id: str | None = None


class Withdrawal(Model, frozen=True):
    """
    A withdrawal: ``requested``, ``approved``, ``sent``, ``cancelled`` or ``rejected``.

    ``settled_at`` is when the ledger took its end, None before.
    """

    id: str
    client_withdrawal_id: str
    currency: str
    amount: Decimal
    fee: Decimal
    address: str
    status: str
    created_at: int
    updated_at: int
    network: str | None = None
    memo: str | None = None
    reason: str | None = None
    transaction_id: str | None = None
    settled_at: int | None = None


class WithdrawalAddress(Model, frozen=True):
    """An address of the book; money can be withdrawn to it from ``usable_at`` on."""

    id: str
    label: str
    currency: str
    address: str
    created_at: int
    usable_at: int
    network: str | None = None
    memo: str | None = None


class Account(Model, frozen=True):
    """The settings of an account; fees are rates."""

    account_id: str
    opened: bool
    status: str
    fee_tier: int
    maker_fee: Decimal
    taker_fee: Decimal
    open_orders_max: int
    self_trade_prevention: str
    limit_tier: str
    limits: dict[str, int | None] = {}


class ServerTime(Model, frozen=True):
    """The platform's clock."""

    time: int


def symbol_path(symbol: str) -> str:
    """Return a symbol as paths carry it: ``BTC/USDT`` becomes ``BTC-USDT``."""
    return symbol.replace("/", "-")
