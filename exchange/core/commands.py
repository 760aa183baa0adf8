"""
What goes into the exchange.

Commands are frozen, carry everything the core needs to know (it reads no clock and looks
nothing up) and are encoded as arrays: a field is only ever appended, with a default, so an
old log stays readable. ``VERSION`` rises when that is not enough.
"""

import msgspec

from exchange.core.enums import (
    AccountStatus,
    Lane,
    LinkKind,
    MarginMode,
    MarketKind,
    MarketStatus,
    OrderType,
    SelfTradeMode,
    Side,
    StatusCause,
    TimeInForce,
    TriggerType,
    WalletKind,
    WithdrawalStep,
)
from exchange.core.safety import NO_SAFETY, MarketSafety

VERSION = 1


class Command(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all commands; the tag on the wire is the class name."""


class SpecialTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    What plain orders do not have.

    Stop, take-profit and trailing orders have a ``trigger_type`` and a trigger price; a
    trailing stop has ``callback_rate_e8`` instead and, optionally, an activation price.
    ``display_atoms`` makes an iceberg that shows so much at a time. ``expires_ms`` goes with
    GTD. ``reprice`` lets a post-only order that would cross rest one tick behind the best
    opposite price. With ``price_protect`` a conditional order does not fire, and stays armed,
    while last and mark price are further apart than the market's trigger protection allows.
    """

    trigger_type: TriggerType = TriggerType.NONE
    trigger_price_atoms: int = 0
    activation_price_atoms: int = 0
    callback_rate_e8: int = 0
    display_atoms: int = 0
    expires_ms: int = 0
    reprice: bool = False
    reduce_only: bool = False
    close_position: bool = False
    price_protect: bool = False


class PlaceOrder(Command, frozen=True, gc=False):
    """
    Place one order.

    A market order has ``price_atoms`` 0 and either ``quantity_atoms`` (base) or
    ``quote_quantity_atoms``: what to spend at most, fee included, or what to sell for at
    most, before the fee; both are rounded down to lots. ``slippage_rate_e8`` caps a market
    order against the best opposite price, beside the market's band against the index
    price; 0 is no cap of its own. ``client_order_id`` is unique per account for ever; "" is none.
    ``request_hash`` tells the same request from another one under the same id.
    ``self_trade_mode`` 0 takes the account's default.
    """

    account_id: int
    market_id: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    price_atoms: int
    quantity_atoms: int
    quote_quantity_atoms: int = 0
    post_only: bool = False
    client_order_id: str = ""
    request_hash: int = 0
    slippage_rate_e8: int = 0
    self_trade_mode: SelfTradeMode | None = None
    special: SpecialTerms | None = None


class PlaceLinkedOrders(Command, frozen=True, gc=False):
    """
    Place an OCO (two legs) or a bracket (entry, then one or two children).

    All legs are of one account and market. ``kind`` is OCO or ENTRY. The client id and the
    request hash are the group's; the legs carry none. A bracket's children have the size
    and the opposite side of its entry.
    """

    account_id: int
    kind: LinkKind
    orders: tuple[PlaceOrder, ...]
    client_order_id: str = ""
    request_hash: int = 0


class AmendOrder(Command, frozen=True, gc=False):
    """
    Change an open order in place; 0 leaves a value as it is.

    ``quantity_atoms`` is the new whole size, what is filled included. Less quantity alone
    keeps the priority; anything else goes to the back and may trade. An amendment that is
    refused leaves the order as it was; one to no more than what is filled cancels it.
    """

    account_id: int
    order_id: int
    client_order_id: str = ""
    quantity_atoms: int = 0
    price_atoms: int = 0
    trigger_price_atoms: int = 0


class CancelOrder(Command, frozen=True, gc=False):
    """Cancel an open order by ``order_id``, or by ``client_order_id`` when that is 0."""

    account_id: int
    order_id: int
    client_order_id: str = ""
    by_operator: bool = False


class CancelAllOrders(Command, frozen=True, gc=False):
    """Cancel all open orders of an account, in one market or (0) in all."""

    account_id: int
    market_id: int = 0
    by_operator: bool = False


class CancelAllAfter(Command, frozen=True, gc=False):
    """
    Cancel all open orders of an account in so many milliseconds unless called again before.

    In one market or, with 0, in all; each scope has a time of its own. 0 disarms; otherwise
    the time is 1 second to 1 day from this command on.
    """

    account_id: int
    timeout_ms: int
    market_id: int = 0


class ConfigureProtection(Command, frozen=True, gc=False):
    """
    Protect an account's quotes in one market against being run over.

    When more than ``quantity_atoms`` (base) or more than ``fills`` fills of its resting orders
    happen within ``window_ms``, what rests is cancelled and nothing new may rest for
    ``frozen_ms`` (0: until a reset). A limit of 0 is not counted; a window of 0 takes the
    protection away. Counting starts anew; a freeze that holds goes on.
    """

    account_id: int
    market_id: int
    window_ms: int
    quantity_atoms: int = 0
    fills: int = 0
    frozen_ms: int = 0


class ResetProtection(Command, frozen=True, gc=False):
    """Let an account's orders rest again in a market, and count from zero."""

    account_id: int
    market_id: int


class Transfer(Command, frozen=True, gc=False):
    """Move an available amount between two wallets of one account or of two."""

    account_id: int
    wallet: WalletKind
    target_account_id: int
    target_wallet: WalletKind
    asset_id: int
    amount_atoms: int
    client_transfer_id: str = ""
    request_hash: int = 0


class Credit(Command, frozen=True, gc=False):
    """Deposit: ``external`` pays the account. Same id and same request is carried out once."""

    account_id: int
    wallet: WalletKind
    asset_id: int
    amount_atoms: int
    reason: str
    actor: str
    client_transfer_id: str = ""
    request_hash: int = 0


class Debit(Command, frozen=True, gc=False):
    """Withdrawal of an available amount to ``external``."""

    account_id: int
    wallet: WalletKind
    asset_id: int
    amount_atoms: int
    reason: str
    actor: str
    client_transfer_id: str = ""
    request_hash: int = 0


class MoveWithdrawal(Command, frozen=True, gc=False):
    """
    One step of a withdrawal that waits to be paid out; always out of the spot wallet.

    HOLD takes amount and fee from the account, SEND pays the amount to ``external`` and the fee
    to ``fees``, RETURN gives both back. SEND and RETURN carry one client id, so one of them
    happens. VOID moves nothing: it uses up the client id of a HOLD that may still be on its way,
    or is refused because the HOLD has happened.
    """

    account_id: int
    step: WithdrawalStep
    asset_id: int
    amount_atoms: int
    fee_atoms: int
    note: str
    client_transfer_id: str
    request_hash: int


class ConfigureAsset(Command, frozen=True, gc=False):
    """Create or change an asset; ``decimals`` (0-8) is what amounts may carry and never falls."""

    asset_id: int
    code: str
    name: str
    decimals: int


class ConfigureMarket(Command, frozen=True, gc=False):
    """
    Create or change a market.

    Needs ``tick_atoms * lot_atoms % 10^8 == 0``. A bound of 0 is not enforced. Bands are
    rates of 10^-8 against the reference price. Assets and kind never change; tick and lot
    only while no order is open, conditional ones included. With ``keeps_status`` a market that
    exists stays as it is, also where a clock will open it.
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
    status: MarketStatus = MarketStatus.TRADING
    safety: MarketSafety = NO_SAFETY
    keeps_status: bool = False


class SetMarketStatus(Command, frozen=True, gc=False):
    """Halt, resume or restrict a market; this ends what its circuit breaker began."""

    market_id: int
    status: MarketStatus
    reason: str = ""
    actor: str = ""
    cause: StatusCause = StatusCause.OPERATOR


class ConfigureFeeTier(Command, frozen=True, gc=False):
    """
    Set the rates (10^-8) of a fee tier.

    Maker may be negative (a rebate); no tier's maker + any tier's taker ever is. Open orders
    keep their rates.
    """

    tier: int
    maker_rate_e8: int
    taker_rate_e8: int


class ConfigureAccount(Command, frozen=True, gc=False):
    """Create or change an account of the exchange."""

    account_id: int
    status: AccountStatus = AccountStatus.ACTIVE
    fee_tier: int = 0
    open_orders_max: int = 200
    self_trade_mode: SelfTradeMode = SelfTradeMode.EXPIRE_TAKER


class UpdateIndexPrices(Command, frozen=True, gc=False):
    """
    Set index prices (quote atoms): pairs of market id and price; the latest wins.

    ``degraded`` names markets whose price comes from one source alone (it is in ``prices``
    then, as a hint) or from two that contradict each other (no price). ``missing`` names
    markets without any live source. Perpetual markets compute their mark price at each.
    """

    prices: tuple[tuple[int, int], ...]
    degraded: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()


class ConfigureContract(Command, frozen=True, gc=False):
    """
    Set the terms of a perpetual market, which exists already; see ``ContractConfigured``.

    The insurance group is made with the first market that names it, and never changes for a
    market. ``brackets`` are (notional floor in quote atoms, maintenance rate, highest
    leverage) by rising floor, the first at 0: floors and rates rise, leverages fall, and
    1 / leverage >= rate; the maintenance amounts follow from continuity and must be exact.
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
    brackets: tuple[tuple[int, int, int], ...]
    leverage_default: int = 10
    liquidations_paused: bool = False
    reason: str = ""
    actor: str = ""


class ConfigureInsurance(Command, frozen=True, gc=False):
    """
    Set when an insurance group stops taking positions over; rates of 10^-8.

    ``notional_cap_e8``: inherited notional against the fund. ``shock_e8``: the adverse move of
    inherited positions that the fund must survive. ``drawdown_e8`` / ``recovery_e8``: fall of
    the fund from its 8-hour high at which takeovers stop, and at which they start again.
    """

    group_id: int
    notional_cap_e8: int
    shock_e8: int
    drawdown_e8: int
    recovery_e8: int
    reason: str = ""
    actor: str = ""


class MoveInsurance(Command, frozen=True, gc=False):
    """
    Pay into (positive) or take out of (negative) an insurance fund; ``external`` is contra.

    Same id and same request is carried out once; ids are those of the fund's account.
    """

    group_id: int
    asset_id: int
    amount_atoms: int
    reason: str = ""
    actor: str = ""
    client_transfer_id: str = ""
    request_hash: int = 0


class SetLeverage(Command, frozen=True, gc=False):
    """Set the leverage of an account in a perpetual market; it survives a flat position."""

    account_id: int
    market_id: int
    leverage: int


class SetMarginMode(Command, frozen=True, gc=False):
    """Set the margin mode of an account in a market; needs no position and no open order."""

    account_id: int
    market_id: int
    mode: MarginMode


class AdjustMargin(Command, frozen=True, gc=False):
    """Add (positive) or remove (negative) quote atoms of an isolated position's wallet."""

    account_id: int
    market_id: int
    amount_atoms: int


class ClosePosition(Command, frozen=True, gc=False):
    """
    Close a position, all (quantity 0) or part of it, at the market (price 0) or at a limit.

    It becomes a reduce-only order. ``reverse`` trades twice the position's size at the market,
    so that as much of the other side is open afterwards.
    """

    account_id: int
    market_id: int
    quantity_atoms: int = 0
    price_atoms: int = 0
    reverse: bool = False
    slippage_rate_e8: int = 0
    client_order_id: str = ""
    request_hash: int = 0


class SetPositionExits(Command, frozen=True, gc=False):
    """
    Set take-profit and stop-loss of a whole position; 0 leaves one out, both 0 remove them.

    Each is a close-position market order that waits for its price; those set before end.
    """

    account_id: int
    market_id: int
    take_profit_atoms: int = 0
    stop_loss_atoms: int = 0
    trigger_type: TriggerType = TriggerType.MARK


class CheckLiquidation(Command, frozen=True, gc=False):
    """Look at accounts exactly, now; those below maintenance are liquidated in order."""

    account_ids: tuple[int, ...]


class Deleverage(Command, frozen=True, gc=False):
    """
    Offer counterparties to bankrupt positions of a market that no fund can carry.

    ``candidates`` are accounts, best first, as the ranking outside the core has them; the
    core checks each again and takes as many as it needs.
    """

    market_id: int
    candidates: tuple[int, ...]


class SettleMarket(Command, frozen=True, gc=False):
    """
    Close a perpetual market for good: cancel all orders, close all positions at one price.

    ``price_atoms`` 0 is the mark price. Losers pay first; if the insurance fund cannot cover
    what they lack, winners share the rest in proportion.
    """

    market_id: int
    price_atoms: int = 0
    reason: str = ""
    actor: str = ""


class StartLeadership(Command, frozen=True, gc=False):
    """First command of a new leader; after a long pause the exchange reopens in phases."""

    epoch: int
    down_ms: int


class ContinueTask(Command, frozen=True, gc=False):
    """Internal: carry out the next bounded step of the oldest unfinished task."""


AnyCommand = (
    PlaceOrder
    | PlaceLinkedOrders
    | AmendOrder
    | CancelOrder
    | CancelAllOrders
    | CancelAllAfter
    | ConfigureProtection
    | ResetProtection
    | Transfer
    | Credit
    | Debit
    | ConfigureAsset
    | ConfigureMarket
    | SetMarketStatus
    | ConfigureFeeTier
    | ConfigureAccount
    | UpdateIndexPrices
    | StartLeadership
    | ContinueTask
    | ConfigureContract
    | ConfigureInsurance
    | MoveInsurance
    | SetLeverage
    | SetMarginMode
    | AdjustMargin
    | ClosePosition
    | SetPositionExits
    | CheckLiquidation
    | Deleverage
    | SettleMarket
    | MoveWithdrawal
)


class ClientIdFinding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the runner's look-up of a client id found: who used it, for which request."""

    reference_id: int
    request_hash: int


class Envelope(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """
    One command as the log keeps it: all that replay needs.

    ``number`` is the command number, ``time_ms`` the runner's clock (UTC milliseconds, never
    falling), ``command_id`` makes delivery exactly-once, ``finding`` is the outcome of the
    look-up of the command's client id (None: never used).
    """

    version: int
    number: int
    time_ms: int
    command_id: str
    lane: Lane
    command: AnyCommand
    finding: ClientIdFinding | None = None
    request_id: str = ""
