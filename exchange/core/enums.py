"""Small closed vocabularies of the exchange; the numbers are stored and never reused."""

from enum import IntEnum


class Side(IntEnum):
    """Direction of an order or of the taker of a trade."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """What makes an order executable."""

    LIMIT = 1
    MARKET = 2


class TimeInForce(IntEnum):
    """How long what does not fill at once stays."""

    GTC = 1
    IOC = 2
    FOK = 3


class OrderStatus(IntEnum):
    """Where an order is in its life; everything from FILLED on is final."""

    OPEN = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELLED = 4
    EXPIRED = 5


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
