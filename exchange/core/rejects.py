"""
Every refusal of the exchange: stable, grouped by owner, never reused.

The name is the string code that leaves the platform; the number is what the command log
stores. A used client id is answered before anything else; then, when several checks fail,
the first in the order of this file wins, but for three groups: what is wrong with a special
order itself (418-430) comes before what depends on others (414-416); of an OCO or a bracket
first its composition (431-433), then each leg in turn; of an amendment first whether it is
possible at all (434-436).
"""

from enum import IntEnum


class Code(IntEnum):
    """Result of one command."""

    OK = 0

    # The exchange itself.
    UNSUPPORTED_VERSION = 101
    EXPIRED_IN_QUEUE = 102
    QUARANTINED = 103
    EXCHANGE_CANCEL_ONLY = 104
    EXCHANGE_POST_ONLY = 105
    PLANNING_FAILED = 106
    STALE_EPOCH = 107
    DATA_REFUSED = 108

    # Accounts.
    ACCOUNT_NOT_FOUND = 201
    ACCOUNT_SUSPENDED = 202
    ACCOUNT_CANCEL_ONLY = 203

    # Assets, markets, configuration.
    ASSET_NOT_FOUND = 301
    MARKET_NOT_FOUND = 302
    MARKET_HALTED = 303
    MARKET_CANCEL_ONLY = 304
    MARKET_POST_ONLY = 305
    INVALID_CONFIGURATION = 306
    CONFIGURATION_IN_USE = 307

    # Orders.
    CLIENT_ORDER_ID_CONFLICT = 401
    POST_ONLY_NOT_RESTING = 455
    PRICE_NOT_POSSIBLE = 456
    TIME_IN_FORCE_NOT_POSSIBLE = 457
    QUOTE_QUANTITY_NOT_POSSIBLE = 458
    SLIPPAGE_NOT_POSSIBLE = 459
    INVALID_ORDER = 402
    INVALID_QUANTITY = 403
    LOT_SIZE = 404
    QUANTITY_TOO_SMALL = 405
    QUANTITY_TOO_LARGE = 406
    INVALID_PRICE = 407
    TICK_SIZE = 408
    PRICE_TOO_LOW = 409
    PRICE_TOO_HIGH = 410
    PRICE_BAND = 411
    MIN_NOTIONAL = 412
    NOTIONAL_TOO_LARGE = 413
    QUOTES_FROZEN = 451
    TOO_MANY_OPEN_ORDERS = 414
    POST_ONLY_WOULD_CROSS = 415
    FOK_NOT_FILLABLE = 416
    ORDER_NOT_FOUND = 417
    REDUCE_ONLY_NOT_POSSIBLE = 418
    TRIGGER_PRICE_REQUIRED = 419
    INVALID_TRIGGER_PRICE = 420
    TRIGGER_WOULD_FIRE = 421
    CALLBACK_RATE = 422
    ACTIVATION_PRICE_REACHED = 423
    REFERENCE_PRICE_MISSING = 424
    EXPIRY_REQUIRED = 425
    EXPIRY_IN_THE_PAST = 426
    EXPIRY_TOO_FAR = 427
    ICEBERG_NOT_RESTING = 428
    ICEBERG_DISPLAY = 429
    ICEBERG_PARTS = 430
    OCO_LEGS = 431
    LEG_PRICES = 432
    BRACKET_LEGS = 433
    AMEND_NO_CHANGE = 434
    AMEND_NOT_POSSIBLE = 435
    AMEND_LINKED = 436
    INVALID_TIMEOUT = 452
    INVALID_PROTECTION = 453
    NO_PROTECTION = 454

    # Wallets.
    INVALID_AMOUNT = 501
    INSUFFICIENT_BALANCE = 502
    SAME_WALLET = 503
    BALANCE_LIMIT = 504
    TRANSFER_ID_CONFLICT = 505
    MARGIN_IN_USE = 506

    # Margin and positions.
    NOT_A_PERPETUAL = 601
    MARK_PRICE_STALE = 602
    MARKET_REDUCE_ONLY = 603
    ACCOUNT_LIQUIDATING = 604
    REDUCE_ONLY_NO_POSITION = 605
    REDUCE_ONLY_EXCEEDS = 606
    CLOSE_POSITION_SHAPE = 607
    POSITION_LIMIT = 608
    LEVERAGE_TOO_HIGH = 609
    OPEN_INTEREST_CAP = 610
    INSUFFICIENT_MARGIN = 611
    BEYOND_BANKRUPTCY_PRICE = 612
    INVALID_LEVERAGE = 613
    LEVERAGE_BELOW_POSITION = 614
    MARGIN_MODE_UNCHANGED = 615
    MARGIN_MODE_HAS_ORDERS = 616
    MARGIN_MODE_HAS_POSITION = 617
    POSITION_NOT_FOUND = 618
    POSITION_NOT_ISOLATED = 619
    MARGIN_NOT_REMOVABLE = 620
    EXIT_PRICES = 621

    # Risk configuration and the liquidation ladder.
    INVALID_BRACKETS = 701
    BRACKETS_IN_USE = 702
    INSURANCE_GROUP_NOT_FOUND = 703
    INSUFFICIENT_INSURANCE = 704
    MARKET_SETTLED = 705
    NOTHING_TO_LIQUIDATE = 706
    NOTHING_TO_DELEVERAGE = 707


# What REST answers; everything absent is a business refusal, 422.
HTTP_STATUS: dict[Code, int] = {
    Code.OK: 200,
    Code.UNSUPPORTED_VERSION: 500,
    Code.EXPIRED_IN_QUEUE: 503,
    Code.QUARANTINED: 503,
    Code.EXCHANGE_CANCEL_ONLY: 503,
    Code.EXCHANGE_POST_ONLY: 503,
    Code.PLANNING_FAILED: 500,
    Code.STALE_EPOCH: 503,
    Code.MARKET_NOT_FOUND: 404,
    Code.ASSET_NOT_FOUND: 404,
    Code.ORDER_NOT_FOUND: 404,
    Code.NO_PROTECTION: 404,
    Code.POSITION_NOT_FOUND: 404,
    Code.INSURANCE_GROUP_NOT_FOUND: 404,
    Code.CLIENT_ORDER_ID_CONFLICT: 409,
    Code.TRANSFER_ID_CONFLICT: 409,
    Code.CONFIGURATION_IN_USE: 409,
    Code.BRACKETS_IN_USE: 409,
}

MESSAGES: dict[Code, str] = {
    Code.OK: "Done.",
    Code.UNSUPPORTED_VERSION: "The command has a version that this exchange does not know.",
    Code.EXPIRED_IN_QUEUE: "The request waited too long and was not carried out.",
    Code.QUARANTINED: "The request met a fault of the exchange and was set aside; not carried out.",
    Code.EXCHANGE_CANCEL_ONLY: "The exchange has just restarted and accepts only cancels.",
    Code.EXCHANGE_POST_ONLY: "The exchange has just restarted and accepts only post-only orders.",
    Code.PLANNING_FAILED: "The request met a fault of the exchange and was not carried out.",
    Code.STALE_EPOCH: "The request was meant for an earlier run of the exchange.",
    Code.DATA_REFUSED: "The database refused a value of this request; not carried out.",
    Code.ACCOUNT_NOT_FOUND: "The account does not exist on the exchange.",
    Code.ACCOUNT_SUSPENDED: "The account is suspended.",
    Code.ACCOUNT_CANCEL_ONLY: "The account may only cancel orders.",
    Code.ASSET_NOT_FOUND: "The asset does not exist.",
    Code.MARKET_NOT_FOUND: "The market does not exist.",
    Code.MARKET_HALTED: "The market is halted.",
    Code.MARKET_CANCEL_ONLY: "The market accepts only cancels.",
    Code.MARKET_POST_ONLY: "The market accepts only post-only orders.",
    Code.INVALID_CONFIGURATION: "The configuration is not valid.",
    Code.CONFIGURATION_IN_USE: "The change is not possible while orders or balances depend on it.",
    Code.CLIENT_ORDER_ID_CONFLICT: "This client_order_id was used for a different request.",
    Code.POST_ONLY_NOT_RESTING: "Post-only needs a limit order that may rest: gtc or gtd.",
    Code.PRICE_NOT_POSSIBLE: "An order that trades at the market takes no price.",
    Code.TIME_IN_FORCE_NOT_POSSIBLE: "An order that trades at the market is ioc or fok.",
    Code.QUOTE_QUANTITY_NOT_POSSIBLE: "Only a market order, ioc and alone, is sized in quote.",
    Code.SLIPPAGE_NOT_POSSIBLE: "Only an order that trades at the market takes a slippage below 1.",
    Code.INVALID_ORDER: "This combination of order options is not possible.",
    Code.INVALID_QUANTITY: "The quantity must be positive.",
    Code.LOT_SIZE: "The quantity is not a multiple of the market's lot size.",
    Code.QUANTITY_TOO_SMALL: "The quantity is below the market's minimum.",
    Code.QUANTITY_TOO_LARGE: "The quantity is above the market's maximum.",
    Code.INVALID_PRICE: "The price must be positive.",
    Code.TICK_SIZE: "The price is not a multiple of the market's tick size.",
    Code.PRICE_TOO_LOW: "The price is below the market's minimum.",
    Code.PRICE_TOO_HIGH: "The price is above the market's maximum.",
    Code.PRICE_BAND: "The price is too far from the reference price.",
    Code.MIN_NOTIONAL: "The order's value is below the market's minimum.",
    Code.NOTIONAL_TOO_LARGE: "The order's value is above what the exchange can hold.",
    Code.QUOTES_FROZEN: "Market-maker protection holds back orders that may rest in this market.",
    Code.TOO_MANY_OPEN_ORDERS: "The account has too many open orders in this market.",
    Code.POST_ONLY_WOULD_CROSS: "The post-only order would trade at once.",
    Code.FOK_NOT_FILLABLE: "The order cannot be filled completely at once.",
    Code.ORDER_NOT_FOUND: "The order does not exist or is no longer open.",
    Code.INSUFFICIENT_BALANCE: "The available balance is not sufficient.",
    Code.REDUCE_ONLY_NOT_POSSIBLE: "Reduce-only and close-position need a position market.",
    Code.TRIGGER_PRICE_REQUIRED: "This order type needs a trigger price and a trigger type.",
    Code.INVALID_TRIGGER_PRICE: "The trigger price must be positive and on the tick.",
    Code.TRIGGER_WOULD_FIRE: "The trigger price is already reached.",
    Code.CALLBACK_RATE: "The callback rate must be 0.1 % to 10 % in steps of 0.1 %.",
    Code.ACTIVATION_PRICE_REACHED: "The activation price is already reached.",
    Code.REFERENCE_PRICE_MISSING: "There is no price yet of the kind that this order refers to.",
    Code.EXPIRY_REQUIRED: "Good-till-date needs an expiry time, and only it takes one.",
    Code.EXPIRY_IN_THE_PAST: "The expiry time must be at least one second ahead.",
    Code.EXPIRY_TOO_FAR: "The expiry time must be within one year.",
    Code.ICEBERG_NOT_RESTING: "Only a limit order that may rest can be an iceberg.",
    Code.ICEBERG_DISPLAY: "The displayed quantity must be on the lot and below the quantity.",
    Code.ICEBERG_PARTS: "The iceberg would have too many parts.",
    Code.OCO_LEGS: "An OCO is a limit or take-profit and a stop of one size and side.",
    Code.LEG_PRICES: "The legs' prices must lie on both sides of the market, or of the entry.",
    Code.BRACKET_LEGS: "A bracket is an entry with a take-profit, a stop-loss or both against it.",
    Code.AMEND_NO_CHANGE: "The amendment changes nothing.",
    Code.AMEND_NOT_POSSIBLE: "This order has no such value to amend.",
    Code.AMEND_LINKED: "An order of an OCO or bracket cannot be amended; place it anew.",
    Code.INVALID_TIMEOUT: "The timeout must be 0, or 1 second to 1 day.",
    Code.INVALID_PROTECTION: "A protection needs a window of at most 10 s and a limit to it.",
    Code.NO_PROTECTION: "The account has no market-maker protection in this market.",
    Code.INVALID_AMOUNT: "The amount must be positive and in the asset's decimals.",
    Code.SAME_WALLET: "Source and target of the transfer are the same wallet.",
    Code.BALANCE_LIMIT: "The balance would exceed what the exchange can hold.",
    Code.TRANSFER_ID_CONFLICT: "This client_transfer_id was used for a different request.",
    Code.MARGIN_IN_USE: "The amount backs positions or orders, or is profit not yet realised.",
    Code.NOT_A_PERPETUAL: "The market is not a perpetual: it has no positions and no leverage.",
    Code.MARK_PRICE_STALE: "The mark price is not fresh; only orders that reduce are taken.",
    Code.MARKET_REDUCE_ONLY: "The index price is degraded; only orders that reduce are taken.",
    Code.ACCOUNT_LIQUIDATING: "The account is being liquidated and takes no orders.",
    Code.REDUCE_ONLY_NO_POSITION: "There is no position that this order would reduce.",
    Code.REDUCE_ONLY_EXCEEDS: "The order and those that reduce already exceed the position.",
    Code.CLOSE_POSITION_SHAPE: "Close-position needs a stop or take-profit without a quantity.",
    Code.POSITION_LIMIT: "The position would exceed the market's limit.",
    Code.LEVERAGE_TOO_HIGH: "The leverage is too high for a position of this value.",
    Code.OPEN_INTEREST_CAP: "The market's open interest is at its cap.",
    Code.INSUFFICIENT_MARGIN: "The available margin is not sufficient.",
    Code.BEYOND_BANKRUPTCY_PRICE: "The trade would leave the account below its maintenance margin.",
    Code.INVALID_LEVERAGE: "The leverage must be a whole number from 1 to the market's highest.",
    Code.LEVERAGE_BELOW_POSITION: "Leverage of an isolated position cannot be lowered.",
    Code.MARGIN_MODE_UNCHANGED: "The market has this margin mode already.",
    Code.MARGIN_MODE_HAS_ORDERS: "The margin mode cannot change while orders are open.",
    Code.MARGIN_MODE_HAS_POSITION: "The margin mode cannot change while a position is open.",
    Code.POSITION_NOT_FOUND: "The position does not exist or is no longer open.",
    Code.POSITION_NOT_ISOLATED: "Margin is added to and removed from isolated positions only.",
    Code.MARGIN_NOT_REMOVABLE: "Removing this much would leave less than the initial margin.",
    Code.EXIT_PRICES: "Take-profit and stop-loss must lie on their sides of the mark price.",
    Code.INVALID_BRACKETS: "The margin brackets are not valid.",
    Code.BRACKETS_IN_USE: "Positions or leverage settings do not fit these margin brackets.",
    Code.INSURANCE_GROUP_NOT_FOUND: "The insurance group does not exist.",
    Code.INSUFFICIENT_INSURANCE: "The insurance fund does not hold this much.",
    Code.MARKET_SETTLED: "The market was settled and is closed.",
    Code.NOTHING_TO_LIQUIDATE: "None of these accounts is below its maintenance margin.",
    Code.NOTHING_TO_DELEVERAGE: "No bankrupt position of this market waits for deleveraging.",
}


def http_status(code: Code) -> int:
    """Return the HTTP status that answers a command with this result."""
    return HTTP_STATUS.get(code, 422)
