"""
Shapes of the figures of the whole exchange, for the OpenAPI document and its test.

Amounts, prices and fractions are decimal strings, times are milliseconds UTC.
"""

from __future__ import annotations

from adminpanel.ws_shapes import (
    Alert,
    Engine,
    Feeds,
    LiquidationStep,
    Process,
    Redis,
    Shape,
    Sockets,
    Users,
)


class Leader(Engine, forbid_unknown_fields=True, kw_only=True):
    """The leader of the exchange, and how many orders and trades there ever were."""

    leader: str | None
    lease_renewed: int | None
    orders_ever: int
    trades_ever: int


class OrderToAck(Shape, forbid_unknown_fields=True, kw_only=True):
    """How long callers lately waited for their orders' answers; null when nobody sent any."""

    mean_ms: float | None
    p99_ms: float | None
    per_second: float | None


class Check(Shape, forbid_unknown_fields=True, kw_only=True):
    """One check of readiness."""

    ok: bool
    detail: str


class Health(Shape, forbid_unknown_fields=True, kw_only=True):
    """Whether the exchange is healthy."""

    engine: Leader
    order_to_ack: OrderToAck
    quarantined: int
    checks: dict[str, Check]
    missing_processes: list[str]
    processes: list[Process]
    redis: Redis
    sockets: list[Sockets]


class Market(Shape, forbid_unknown_fields=True, kw_only=True):
    """A market: its state, prices, turnover of 24 hours and, if perpetual, open interest."""

    symbol: str
    kind: str
    currency: str
    status: str
    cause: str | None
    last_price: str | None
    index_price: str | None
    quote_volume: str | None
    trade_count: int | None
    mark_price: str | None
    price_state: str | None
    open_interest: str | None
    open_interest_value: str | None
    open_interest_limit: str | None
    predicted_funding_rate: str | None
    liquidations_paused: bool | None


class Fund(Shape, forbid_unknown_fields=True, kw_only=True):
    """
    An insurance fund against its worst case.

    ``headroom`` is what balance and profit of the inherited positions leave after the group's
    shock; ``coverage`` the balance as a fraction of open interest, null without any.
    """

    insurance_group: int
    currency: str
    balance: str
    open_interest_value: str
    coverage: str | None
    inherited_value: str
    inherited_net_value: str
    inherited_profit: str
    worst_case_loss: str
    headroom: str
    takeover_limit: str
    takeovers_stopped: bool


class Near(Shape, forbid_unknown_fields=True, kw_only=True):
    """
    A scope near liquidation: one isolated position, or all that is cross of an account.

    ``margin_ratio`` is maintenance margin / balance, null once nothing is left; liquidation
    begins at 1. ``distance`` is how far the mark is from there, as a fraction of the mark.
    """

    account_id: str
    username: str | None
    symbol: str
    margin_mode: str
    positions: int
    side: str
    value: str
    profit: str
    currency: str
    margin_ratio: str | None
    mark_price: str
    liquidation_price: str | None
    distance: str | None


class WaitingWithdrawals(Shape, forbid_unknown_fields=True, kw_only=True):
    """Withdrawals of a currency that wait in one state; ``total`` includes their fees."""

    status: str
    currency: str
    count: int
    total: str


class RegisteredUsers(Users, forbid_unknown_fields=True, kw_only=True):
    """How many users there are, who is connected, and what they ask for."""

    registered: int


class Command(Shape, forbid_unknown_fields=True, kw_only=True):
    """One command that was not a trader's."""

    number: str
    type: str
    actor: str
    reason: str
    result: str
    time: int


class Audit(Shape, forbid_unknown_fields=True, kw_only=True):
    """One audit event."""

    number: str
    action: str
    actor: str
    target: str
    reason: str
    time: int


class Stats(Shape, forbid_unknown_fields=True, kw_only=True):
    """Everything; sections that the caller's role may not see are null."""

    time: int
    phase: str
    alerts: list[Alert]
    health: Health | None
    feeds: Feeds | None
    markets: list[Market] | None
    funds: list[Fund] | None
    near_liquidation: list[Near] | None
    liquidations: list[LiquidationStep] | None
    withdrawals: list[WaitingWithdrawals] | None
    users: RegisteredUsers | None
    commands: list[Command] | None
    audit: list[Audit] | None
