"""
Hypothesis searches for commands on which engine and naive exchange part.

The random comparison covers volume; this one covers what a search guided towards small
counter-examples finds. Every step compares everything and checks every invariant.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange.core.commands import (
    CancelAllOrders,
    CancelOrder,
    PlaceOrder,
    SetMarketStatus,
    Transfer,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    MarketStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    WalletKind,
)
from simulation.commands import ACCOUNTS, CASH, MARKETS, TimedCommand, opening
from simulation.compare import Comparison
from tests.support.searching import search

accounts = st.sampled_from(ACCOUNTS[:3])
markets = st.sampled_from(MARKETS)
sides = st.sampled_from(Side)
modes = st.none() | st.sampled_from(SelfTradeMode)
lots = st.integers(min_value=1, max_value=60)


# A market is settled by a command of its own.
STATUSES = [status for status in MarketStatus if status is not MarketStatus.SETTLED]


class ExchangeMachine(RuleBasedStateMachine):
    """Three accounts trade in two markets on both exchanges at once."""

    def __init__(self) -> None:
        super().__init__()
        self.comparison = Comparison()

    def do(self, command: object, pick: int | None = None) -> None:
        """Apply a command to both."""
        self.comparison.step(TimedCommand(1, command, pick))  # type: ignore[arg-type]

    @initialize()
    def open(self) -> None:
        for timed in opening(5):
            self.comparison.step(timed)

    @rule(
        account=accounts,
        shape=markets,
        side=sides,
        ticks=st.integers(min_value=-4, max_value=4),
        lots=lots,
        time_in_force=st.sampled_from((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)),
        post_only=st.booleans(),
        mode=modes,
    )
    def place_limit(self, account, shape, side, ticks, lots, time_in_force, post_only, mode):  # type: ignore[no-untyped-def]
        self.do(
            PlaceOrder(
                account_id=account,
                market_id=shape.market_id,
                side=side,
                order_type=OrderType.LIMIT,
                time_in_force=time_in_force,
                price_atoms=shape.middle + ticks * shape.tick,
                quantity_atoms=lots * shape.lot * 10,
                post_only=post_only and time_in_force is TimeInForce.GTC,
                self_trade_mode=mode,
            )
        )

    @rule(
        account=accounts,
        shape=markets,
        side=sides,
        lots=lots,
        quote=st.integers(min_value=0, max_value=3_000_000_000),
        slippage=st.sampled_from((0, 10_000, 5_000_000)),
        mode=modes,
    )
    def place_market(self, account, shape, side, lots, quote, slippage, mode):  # type: ignore[no-untyped-def]
        self.do(
            PlaceOrder(
                account_id=account,
                market_id=shape.market_id,
                side=side,
                order_type=OrderType.MARKET,
                time_in_force=TimeInForce.IOC,
                price_atoms=0,
                quantity_atoms=0 if quote else lots * shape.lot * 10,
                quote_quantity_atoms=quote if shape.market_id == 1 else quote // 10**6,
                slippage_rate_e8=slippage,
                self_trade_mode=mode,
            )
        )

    @rule(pick=st.integers(min_value=0, max_value=20))
    def cancel(self, pick: int) -> None:
        self.do(CancelOrder(account_id=ACCOUNTS[0], order_id=1), pick)

    @rule(account=accounts, shape=markets)
    def cancel_all(self, account, shape):  # type: ignore[no-untyped-def]
        self.do(CancelAllOrders(account_id=account, market_id=shape.market_id))

    @rule(payer=accounts, payee=accounts, amount=st.integers(min_value=1, max_value=20_000 * 10**8))
    def transfer(self, payer: int, payee: int, amount: int) -> None:
        self.do(Transfer(payer, WalletKind.SPOT, payee, WalletKind.SPOT, CASH, amount))

    @rule(shape=markets, ticks=st.integers(min_value=-10, max_value=10))
    def index_price(self, shape, ticks):  # type: ignore[no-untyped-def]
        self.do(UpdateIndexPrices(((shape.market_id, shape.middle + ticks * shape.tick),)))

    @rule(shape=markets, status=st.sampled_from(STATUSES))
    def market_status(self, shape, status):  # type: ignore[no-untyped-def]
        self.do(SetMarketStatus(shape.market_id, status))

    @rule()
    def reload(self) -> None:
        self.comparison.compare_states()

    @invariant()
    def everything_holds(self) -> None:
        self.comparison.engine.check_all()


TestExchangeMachine = ExchangeMachine.TestCase
TestExchangeMachine.settings = search(60, stateful_step_count=40)
