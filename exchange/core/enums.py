"""Small closed vocabularies of the exchange; the numbers are stored and never reused."""

from enum import IntEnum


class Side(IntEnum):
    """Direction of an order or of the taker of a trade."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """What makes an order executable; those from STOP_LOSS on wait for a trigger first."""

    LIMIT = 1
    MARKET = 2
    STOP_LOSS = 3
    STOP_LOSS_LIMIT = 4
    TAKE_PROFIT = 5
    TAKE_PROFIT_LIMIT = 6
    TRAILING_STOP = 7


class TimeInForce(IntEnum):
    """How long what does not fill at once stays."""

    GTC = 1
    IOC = 2
    FOK = 3
    GTD = 4


class TriggerType(IntEnum):
    """Which price fires a conditional order; on spot the mark price is the index price."""

    NONE = 0
    LAST = 1
    MARK = 2
    INDEX = 3


class LinkKind(IntEnum):
    """
    What an order has to do with the others of its group.

    OCO: any fill or trigger of one cancels the other. ENTRY: when it ends, its CHILD orders
    become an OCO over what it filled.
    """

    NONE = 0
    OCO = 1
    ENTRY = 2
    CHILD = 3


class OrderStatus(IntEnum):
    """Where an order is in its life; ``FINAL_STATUSES`` are its ends."""

    OPEN = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELLED = 4
    EXPIRED = 5
    UNTRIGGERED = 6
    WAITING = 7


class EndReason(IntEnum):
    """Why an order ended without being filled completely."""

    NONE = 0
    USER_CANCELLED = 1
    OPERATOR_CANCELLED = 2
    IOC_REMAINDER = 3
    FOK_NOT_FILLABLE = 4
    NO_LIQUIDITY = 5
    PRICE_CAP = 6
    MATCH_LIMIT = 7
    SELF_TRADE = 8
    TIME_EXPIRED = 9
    LINKED_ORDER = 10
    POST_ONLY_WOULD_CROSS = 11
    INSUFFICIENT_BALANCE = 12
    ENTRY_NOT_FILLED = 13
    AMENDED_TO_NOTHING = 14
    MARKET_NOT_TRADING = 15
    CANCEL_ALL_AFTER = 20
    QUOTE_PROTECTION = 21
    CIRCUIT_BREAKER = 22


class SelfTradeMode(IntEnum):
    """What happens when an order meets an order of its own account; the taker's mode rules."""

    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    EXPIRE_BOTH = 3
    DECREMENT = 4


class WalletKind(IntEnum):
    """The wallets of an account."""

    SPOT = 1
    MARGIN = 2


class MarketKind(IntEnum):
    """What a market trades."""

    SPOT = 1


class MarketStatus(IntEnum):
    """What a market accepts."""

    TRADING = 1
    POST_ONLY = 2
    CANCEL_ONLY = 3
    HALTED = 4


class StatusCause(IntEnum):
    """Why a market does not trade; NONE while it does."""

    NONE = 0
    OPERATOR = 1
    CIRCUIT_BREAKER = 2
    NO_PRICE = 3
    FAULT = 4


class AccountStatus(IntEnum):
    """What an account may do."""

    ACTIVE = 1
    CANCEL_ONLY = 2
    SUSPENDED = 3


class LedgerKind(IntEnum):
    """Why ownership changed."""

    DEPOSIT = 1
    WITHDRAWAL = 2
    TRANSFER = 3
    TRADE = 4


class PositionSide(IntEnum):
    """Side part of a position key; one-way positions are NET."""

    NET = 1
    LONG = 2
    SHORT = 3


class Lane(IntEnum):
    """Where a command waits: SYSTEM is read first and written by our own processes only."""

    SYSTEM = 1
    ORDERS = 2
    INTERNAL = 3


class SystemAccount(IntEnum):
    """Accounts of the exchange itself; ids below 2^22 never collide with made ids."""

    EXTERNAL = 1
    FEES = 2


FINAL_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED})
