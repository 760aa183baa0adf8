"""Small closed vocabularies of the exchange; the numbers are stored and never reused."""

from enum import IntEnum


class Side(IntEnum):
    """Direction of an order or of the taker of a trade."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """
    What makes an order executable; those from STOP_LOSS to TRAILING_STOP wait for a trigger.

    LIQUIDATION is the exchange's own: immediate-or-cancel, limited at the bankruptcy price.
    """

    LIMIT = 1
    MARKET = 2
    STOP_LOSS = 3
    STOP_LOSS_LIMIT = 4
    TAKE_PROFIT = 5
    TAKE_PROFIT_LIMIT = 6
    TRAILING_STOP = 7
    LIQUIDATION = 8


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
    POSITION_CLOSED = 30
    REDUCE_ONLY_TRIMMED = 31
    INSUFFICIENT_MARGIN = 32
    LIQUIDATION = 33
    DELEVERAGING = 34
    MARKET_SETTLED = 35
    PRICE_DEGRADED = 36


class SelfTradeMode(IntEnum):
    """What happens when an order meets an order of its own account; the taker's mode rules."""

    EXPIRE_TAKER = 1
    EXPIRE_MAKER = 2
    EXPIRE_BOTH = 3
    DECREMENT = 4


class WalletKind(IntEnum):
    """
    The wallets of an account.

    MARGIN backs all cross positions. ISOLATED is the wallet of one isolated position: it is
    posted in the ledger, and its balance is a field of the position, not a wallet's row.
    """

    SPOT = 1
    MARGIN = 2
    ISOLATED = 3


class MarketKind(IntEnum):
    """What a market trades."""

    SPOT = 1
    PERPETUAL = 2


class MarginMode(IntEnum):
    """What stands behind a position: the whole margin wallet, or a wallet of its own."""

    CROSS = 1
    ISOLATED = 2


class PriceQuality(IntEnum):
    """
    How far a market's index price can be trusted.

    DEGRADED: one source, or two that contradict each other; only what reduces a position is
    taken, and nobody is liquidated. MISSING: no source at all.
    """

    LIVE = 1
    DEGRADED = 2
    MISSING = 3


class TradeKind(IntEnum):
    """
    How a quantity changed hands.

    Only MATCH meets in the book. TAKEOVER moves a position to the liquidation account at its
    bankruptcy price, DELEVERAGING closes it against a winner at that price, SETTLEMENT closes
    at the settlement price; these have no orders and no fees.
    """

    MATCH = 1
    TAKEOVER = 2
    DELEVERAGING = 3
    SETTLEMENT = 4


class CloseReason(IntEnum):
    """What ended a position."""

    TRADE = 1
    LIQUIDATION = 2
    TAKEOVER = 3
    DELEVERAGING = 4
    SETTLEMENT = 5


class MarketStatus(IntEnum):
    """What a market accepts."""

    TRADING = 1
    POST_ONLY = 2
    CANCEL_ONLY = 3
    HALTED = 4
    SETTLED = 5


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
    FUNDING = 5
    MARGIN = 6
    LIQUIDATION_FEE = 7
    TAKEOVER = 8
    DELEVERAGING = 9
    SETTLEMENT = 10
    INSURANCE = 11


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


class WithdrawalStep(IntEnum):
    """What a command does to a withdrawal; HOLD and VOID, SEND and RETURN exclude each other."""

    HOLD = 1
    SEND = 2
    RETURN = 3
    VOID = 4


class SystemAccount(IntEnum):
    """
    Accounts of the exchange itself; ids below 2^22 never collide with made ids.

    FUNDING holds what payers paid until receivers got it, WITHDRAWALS what users asked to be
    paid out until it is sent or given back. The last three are the first of a
    range: a market's or an insurance group's account has the range's number plus the id of
    the market or group.
    """

    EXTERNAL = 1
    FEES = 2
    FUNDING = 3
    WITHDRAWALS = 4
    CLEARING = 12 << 18
    LIQUIDATION = 13 << 18
    INSURANCE = 14 << 18


FINAL_STATUSES = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.EXPIRED})

# Accounts of markets and insurance groups; a user's account never lies here.
SYSTEM_RANGE = range(12 << 18, 16 << 18)
# Ids of markets and insurance groups stay inside their range.
SYSTEM_RANGE_SIZE = 1 << 18


def clearing_account(market_id: int) -> int:
    """Return the account between the positions of a perpetual market."""
    return SystemAccount.CLEARING + market_id


def liquidation_account(market_id: int) -> int:
    """Return the account that inherits bankrupt positions of a market."""
    return SystemAccount.LIQUIDATION + market_id


def insurance_account(group_id: int) -> int:
    """Return the account of an insurance fund."""
    return SystemAccount.INSURANCE + group_id


def is_system_account(account_id: int) -> bool:
    """Tell whether an account belongs to the exchange itself."""
    # Compared, not looked up: a range walks its million members for a member of an enum.
    if account_id <= SystemAccount.WITHDRAWALS:
        return True
    return SYSTEM_RANGE.start <= account_id < SYSTEM_RANGE.stop
