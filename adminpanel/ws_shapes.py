"""Shapes of what the channels of ``/ws/admin`` carry, for the AsyncAPI document."""

from __future__ import annotations

import msgspec


class Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What all shapes are: named fields, and no others."""


class Process(Shape, forbid_unknown_fields=True, kw_only=True):
    """One process of the platform."""

    name: str
    pid: int | None
    cpu_percent: float | None
    memory_bytes: int | None
    open_files: int | None


class Redis(Shape, forbid_unknown_fields=True, kw_only=True):
    """What Redis says of itself."""

    memory_bytes: int | None
    clients: int | None
    operations_per_second: int | None


class Sockets(Shape, forbid_unknown_fields=True, kw_only=True):
    """The sockets of one web process."""

    process: str
    connections: int
    subscriptions: int | None
    frames_per_second: float | None
    messages_per_second: float | None
    slow_closed: int


class System(Shape, forbid_unknown_fields=True, kw_only=True):
    """Processes, Redis and sockets."""

    processes: list[Process]
    redis: Redis
    sockets: list[Sockets]


class Projector(Shape, forbid_unknown_fields=True, kw_only=True):
    """Who builds the live views."""

    available: bool
    epoch: int | None


class Engine(Shape, forbid_unknown_fields=True, kw_only=True):
    """What the leader of the exchange last said."""

    available: bool
    phase: str | None
    epoch: int | None
    command_number: int | None
    batch: int | None
    orders_lag: int | None
    system_lag: int | None
    commands_per_second: int | None
    commit_ms: float | None
    rows_per_batch: int | None
    heartbeat_age_ms: int | None
    projector: Projector


class Source(Shape, forbid_unknown_fields=True, kw_only=True):
    """One source of an index price; ``divergence`` from the median, as a fraction."""

    source: str
    status: str
    reason: str
    age_ms: int | None
    divergence: str | None


class Index(Shape, forbid_unknown_fields=True, kw_only=True):
    """One index price."""

    symbol: str
    state: str
    sources: list[Source]


class Feeds(Shape, forbid_unknown_fields=True, kw_only=True):
    """The index prices and what is behind them."""

    available: bool
    mode: str | None
    note: str | None
    holder: str | None
    age_ms: int | None
    indexes: list[Index]


class NamespaceUse(Shape, forbid_unknown_fields=True, kw_only=True):
    """How many sockets and accounts a namespace has."""

    namespace: str
    connections: int
    users: int


class Users(Shape, forbid_unknown_fields=True, kw_only=True):
    """Who is connected and what users ask for."""

    namespaces: list[NamespaceUse]
    requests_per_second: float | None
    errors_per_second: float | None
    refusals_per_second: float | None
    orders_per_second: float | None
    cancels_per_second: float | None


class Alert(Shape, forbid_unknown_fields=True, kw_only=True):
    """Something to look at now; ``subject`` is what it concerns, "" for all."""

    code: str
    severity: str
    subject: str
    text: str


class Alerts(Shape, forbid_unknown_fields=True, kw_only=True):
    """Everything that is wrong just now, critical ones first."""

    phase: str
    alerts: list[Alert]


class LiquidationStep(Shape, forbid_unknown_fields=True, kw_only=True):
    """One step of the liquidation ladder."""

    id: str
    symbol: str
    kind: str
    side: str
    quantity: str
    price: str
    notional: str
    mark_price: str
    time: int
    account_id: str


class LiquidationSteps(Shape, forbid_unknown_fields=True, kw_only=True):
    """The last steps of the liquidation ladder, newest first."""

    liquidations: list[LiquidationStep]
