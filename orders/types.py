"""What other layers receive from the orders app; orders and trades are the exchange's events."""

from dataclasses import dataclass, field

from exchange.core.events import OrderChanged, TradeExecuted
from exchange.core.rejects import Code


@dataclass(frozen=True, slots=True)
class OrderPage:
    """A page of orders, newest first; ``next_id`` is where to go on from, 0 at the end."""

    orders: list[OrderChanged]
    next_id: int


@dataclass(frozen=True, slots=True)
class FillPage:
    """
    A page of an account's trades, newest first.

    ``next_id`` is the *ledger entry* to go on from, 0 at the end: fills are found through it.
    """

    trades: list[TradeExecuted]
    next_id: int


@dataclass(frozen=True, slots=True)
class OrderResult:
    """
    An order as a command left it.

    ``fills`` are the trades of that very command; ``repeated`` says that the order had been
    placed before under the same client id, and this is its current state.
    """

    order: OrderChanged
    fills: list[TradeExecuted] = field(default_factory=list)
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class OrderGroup:
    """The orders of an OCO or a bracket as placing left them, in the order of its legs."""

    group_id: int
    orders: list[OrderResult]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class OrderFailure:
    """Why one request of a batch was refused, as the API says it."""

    code: str
    message: str
    http_status: int
    fields: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class CancelledOrders:
    """Orders that a cancel-all ended so far; not ``complete`` while it goes on."""

    orders: list[OrderChanged]
    complete: bool


@dataclass(frozen=True, slots=True)
class MarginPreview:
    """
    How an account stands in a perpetual market, in quote atoms but for the signed quantity.

    ``initial_atoms`` is what all positions and orders bind, ``liquidation_atoms`` a price, 0 for
    none; ``isolated_atoms`` the wallet of an isolated position.
    """

    quantity_atoms: int
    liquidation_atoms: int
    initial_atoms: int
    available_atoms: int
    isolated_atoms: int


@dataclass(frozen=True, slots=True)
class OrderPreview:
    """
    What placing an order would do to the published book.

    ``order`` is as placing would leave it, None when it is refused with ``refusal``.
    ``worst_price_atoms`` is of its last trade, 0 without one. Of a perpetual market
    ``margin_before`` and ``margin`` are how the account stands without and with it.
    """

    order: OrderChanged | None
    refusal: Code
    worst_price_atoms: int
    book_seq: int
    book_time_ms: int
    margin_before: MarginPreview | None = None
    margin: MarginPreview | None = None
