"""Orders: what is accepted, what trades, what is refused and leaves no trace."""

import pytest

from exchange.core.commands import (
    ClientIdFinding,
    ConfigureAccount,
    ConfigureFeeTier,
    PlaceOrder,
    SetMarketStatus,
    StartLeadership,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    AccountStatus,
    EndReason,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
)
from exchange.core.events import OrderChanged, Outcome, TradeExecuted
from exchange.core.rejects import Code
from tests.support.engine import (
    ALICE,
    BOB,
    BTC,
    CAROL,
    MARKET,
    TAKER_RATE,
    USDT,
    Bench,
    units,
)

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK, GTC = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTC


def last_order(outcome: Outcome) -> OrderChanged:
    order = outcome.events[-1]
    assert isinstance(order, OrderChanged)
    assert order.order_id == outcome.reference_id
    return order


def trades(outcome: Outcome) -> list[TradeExecuted]:
    return [event for event in outcome.events if isinstance(event, TradeExecuted)]


class TestResting:
    def test_buy_holds_its_value_and_the_higher_fee(self) -> None:
        bench = Bench.funded()

        bench.buy(ALICE, "1", "60000")

        assert bench.wallet(ALICE, USDT).held_atoms == units("60024")
        assert bench.book() == ([(units(60000), units(1))], [])

    def test_sell_holds_its_base_alone(self) -> None:
        bench = Bench.funded()

        bench.sell(ALICE, "1", "60000")

        assert bench.wallet(ALICE, BTC).held_atoms == units(1)
        assert bench.wallet(ALICE, USDT).held_atoms == 0

    def test_hold_of_everything_owned_is_possible(self) -> None:
        bench = Bench.funded()

        bench.sell(ALICE, "10", "60000")

        bench.refused(bench.limit(ALICE, SELL, "0.0001", "60000"), Code.INSUFFICIENT_BALANCE)


class TestMatching:
    def test_trades_at_the_makers_price_and_charges_both(self) -> None:
        bench = Bench.funded()
        bench.buy(ALICE, "0.5", "60000")

        outcome = bench.sell(BOB, "0.2", "59000")

        (trade,) = trades(outcome)
        assert (trade.price_atoms, trade.quote_atoms) == (units(60000), units(12000))
        assert (trade.maker_fee_atoms, trade.taker_fee_atoms) == (units("2.4"), units("4.8"))
        assert bench.wallet(BOB, USDT).total_atoms == units("1011995.2")
        assert bench.wallet(ALICE, USDT).total_atoms == units("987997.6")
        assert bench.wallet(ALICE, USDT).held_atoms == units("18007.2")
        assert bench.wallet(2, USDT).total_atoms == units("7.2")
        assert last_order(outcome).status is OrderStatus.FILLED

    def test_price_then_time(self) -> None:
        bench = Bench.funded(ALICE, BOB, CAROL)
        first = bench.sell(ALICE, "1", "100").reference_id
        second = bench.sell(BOB, "1", "100").reference_id
        better = bench.sell(BOB, "1", "99").reference_id

        outcome = bench.buy(CAROL, "2.5", "100")

        assert [trade.maker_order_id for trade in trades(outcome)] == [better, first, second]
        assert bench.book() == ([], [(units(100), units("0.5"))])

    def test_remainder_of_a_crossing_order_rests(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")

        order = last_order(bench.buy(BOB, "3", "100"))

        assert (order.status, order.filled_atoms) == (OrderStatus.PARTIALLY_FILLED, units(1))
        assert bench.book() == ([(units(100), units(2))], [])

    def test_fees_are_rounded_up_once_over_all_fills_of_an_order(self) -> None:
        bench = Bench.funded(notional_min_atoms=0)
        bench.ok(ConfigureFeeTier(0, 1, 1))
        for _ in range(3):
            bench.sell(ALICE, "0.0001", "0.01")

        order = last_order(bench.buy(BOB, "0.0003", "0.01"))

        # 300 atoms of value at 10^-8: three fills, one atom.
        assert order.fee_atoms == 1

    def test_taker_meets_at_most_500_makers(self) -> None:
        bench = Bench.funded()
        bench.ok(ConfigureAccount(ALICE, open_orders_max=1000))
        for _ in range(501):
            bench.ok(bench.limit(ALICE, SELL, "0.001", "10000"))

        outcome = bench.buy(BOB, "0.6", "10000")

        assert len(trades(outcome)) == 500
        assert len(outcome.events) <= 2000
        order = last_order(outcome)
        assert (order.status, order.reason) == (OrderStatus.EXPIRED, EndReason.MATCH_LIMIT)
        assert bench.book()[0] == []


class TestTimeInForce:
    def test_ioc_takes_what_there_is(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")

        order = last_order(bench.buy(BOB, "3", "100", time_in_force=IOC))

        assert (order.status, order.reason) == (OrderStatus.EXPIRED, EndReason.IOC_REMAINDER)
        assert order.filled_atoms == units(1)
        assert bench.wallet(BOB, USDT).held_atoms == 0

    def test_fok_fills_completely(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")
        bench.sell(ALICE, "1", "101")

        order = last_order(bench.buy(BOB, "2", "101", time_in_force=FOK))

        assert order.status is OrderStatus.FILLED

    @pytest.mark.parametrize(("_case", "price"), [("beyond its limit", "100"), ("too few", "101")])
    def test_fok_that_cannot_fill_changes_nothing(self, _case: str, price: str) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")
        bench.sell(ALICE, "0.9", "101")

        order = bench.limit(BOB, BUY, "2", price, time_in_force=FOK)

        bench.refused(order, Code.FOK_NOT_FILLABLE)

    def test_post_only_rests_or_is_refused(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")

        bench.refused(bench.limit(BOB, BUY, "1", "100", post_only=True), Code.POST_ONLY_WOULD_CROSS)
        bench.buy(BOB, "1", "99.99", post_only=True)

        assert bench.book()[0] == [(units("99.99"), units(1))]


class TestMarketOrder:
    def test_walks_the_book_and_needs_only_what_it_costs(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")
        bench.sell(ALICE, "1", "110")

        outcome = bench.ok(bench.market_order(BOB, BUY, "2"))

        assert [trade.price_atoms for trade in trades(outcome)] == [units(100), units(110)]
        assert last_order(outcome).status is OrderStatus.FILLED

    def test_empty_book_expires_it(self) -> None:
        bench = Bench.funded()

        order = last_order(bench.ok(bench.market_order(BOB, BUY, "2")))

        assert (order.status, order.reason) == (OrderStatus.EXPIRED, EndReason.NO_LIQUIDITY)

    def test_remainder_expires(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")

        order = last_order(bench.ok(bench.market_order(BOB, BUY, "2")))

        assert (order.filled_atoms, order.reason) == (units(1), EndReason.NO_LIQUIDITY)

    def test_buy_sized_in_quote_spends_at_most_that_fee_included(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")
        command = bench.market_order(BOB, BUY, "0", quote_quantity_atoms=units(50))

        order = last_order(bench.ok(command))

        spent = units(1_000_000) - bench.wallet(BOB, USDT).total_atoms
        one_lot_more = units("0.01") + units("0.01") * TAKER_RATE // 10**8
        assert order.status is OrderStatus.FILLED
        assert spent == order.quote_filled_atoms + order.fee_atoms <= units(50)
        assert spent + one_lot_more > units(50)

    def test_sell_sized_in_quote_sells_for_at_most_that(self) -> None:
        bench = Bench.funded()
        bench.buy(ALICE, "1", "100")
        command = bench.market_order(BOB, SELL, "0", quote_quantity_atoms=units("50.005"))

        order = last_order(bench.ok(command))

        assert order.quote_filled_atoms == units(50)

    @pytest.mark.parametrize("quote_quantity_atoms", [1, units("0.009")])
    def test_quote_size_below_one_lot_is_refused(self, quote_quantity_atoms: int) -> None:
        bench = Bench.funded(notional_min_atoms=0)
        bench.sell(ALICE, "1", "100")
        command = bench.market_order(BOB, BUY, "0", quote_quantity_atoms=quote_quantity_atoms)

        bench.refused(command, Code.QUANTITY_TOO_SMALL)

    def test_sell_sized_in_quote_does_not_pass_a_better_bid_by(self) -> None:
        bench = Bench.funded()
        bench.buy(ALICE, "1", "100")
        bench.buy(ALICE, "1", "99.98")
        command = bench.market_order(BOB, SELL, "0", quote_quantity_atoms=units("50.00999"))

        outcome = bench.ok(command)

        assert [trade.price_atoms for trade in trades(outcome)] == [units(100)]
        assert last_order(outcome).status is OrderStatus.FILLED

    def test_band_against_the_index_caps_it(self) -> None:
        bench = Bench.funded(market_band_e8=5_000_000)
        bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))
        bench.sell(ALICE, "1", "105")
        bench.sell(ALICE, "1", "105.01")

        order = last_order(bench.ok(bench.market_order(BOB, BUY, "2")))

        assert (order.filled_atoms, order.reason) == (units(1), EndReason.PRICE_CAP)

    def test_own_slippage_caps_it_against_the_best_price(self) -> None:
        bench = Bench.funded()
        bench.buy(ALICE, "1", "100")
        bench.buy(ALICE, "1", "98.99")

        command = bench.market_order(BOB, SELL, "2", slippage_rate_e8=1_000_000)
        order = last_order(bench.ok(command))

        assert (order.filled_atoms, order.reason) == (units(1), EndReason.PRICE_CAP)


class TestSelfTradePrevention:
    @pytest.fixture
    def bench(self) -> Bench:
        bench = Bench.funded(ALICE, BOB)
        bench.sell(ALICE, "1", "100")
        bench.sell(BOB, "1", "101")
        return bench

    def test_expire_taker_is_the_default(self, bench: Bench) -> None:
        order = last_order(bench.buy(ALICE, "2", "101"))

        assert (order.status, order.reason) == (OrderStatus.EXPIRED, EndReason.SELF_TRADE)
        assert len(bench.book()[1]) == 2

    def test_expire_maker_goes_on_with_the_next(self, bench: Bench) -> None:
        outcome = bench.buy(ALICE, "2", "101", self_trade_mode=SelfTradeMode.EXPIRE_MAKER)

        assert outcome.events[0].reason is EndReason.SELF_TRADE  # type: ignore[union-attr]
        assert [trade.price_atoms for trade in trades(outcome)] == [units(101)]
        assert bench.wallet(ALICE, BTC).held_atoms == 0

    def test_expire_both_stops(self, bench: Bench) -> None:
        outcome = bench.buy(ALICE, "2", "101", self_trade_mode=SelfTradeMode.EXPIRE_BOTH)

        assert trades(outcome) == []
        assert bench.book() == ([], [(units(101), units(1))])

    def test_decrement_takes_the_smaller_off_both(self, bench: Bench) -> None:
        outcome = bench.buy(ALICE, "1.5", "101", self_trade_mode=SelfTradeMode.DECREMENT)

        assert [trade.quantity_atoms for trade in trades(outcome)] == [units("0.5")]
        assert bench.book() == ([], [(units(101), units("0.5"))])

    def test_decrement_of_a_larger_maker_leaves_its_rest(self, bench: Bench) -> None:
        order = last_order(bench.buy(ALICE, "0.4", "101", self_trade_mode=SelfTradeMode.DECREMENT))

        assert (order.status, order.filled_atoms) == (OrderStatus.EXPIRED, 0)
        assert bench.book()[1][0] == (units(100), units("0.6"))
        assert bench.wallet(ALICE, BTC).held_atoms == units("0.6")

    def test_fok_does_not_count_own_orders(self, bench: Bench) -> None:
        command = bench.limit(ALICE, BUY, "2", "101", time_in_force=FOK)

        bench.refused(command, Code.FOK_NOT_FILLABLE)


class TestRefusals:
    @pytest.mark.parametrize(
        ("_case", "quantity", "price", "code"),
        [
            ("zero quantity", "0", "60000", Code.INVALID_QUANTITY),
            ("off the lot", "0.00015", "60000", Code.LOT_SIZE),
            ("above the maximum", "1000.0001", "60000", Code.QUANTITY_TOO_LARGE),
            ("zero price", "1", "0", Code.INVALID_PRICE),
            ("off the tick", "1", "60000.005", Code.TICK_SIZE),
            ("above the highest price", "1", "1000000.01", Code.PRICE_TOO_HIGH),
            ("below the least value", "0.0001", "49999.99", Code.MIN_NOTIONAL),
            ("more than owned", "16.67", "60000", Code.INSUFFICIENT_BALANCE),
        ],
    )
    def test_filters(self, _case: str, quantity: str, price: str, code: Code) -> None:
        bench = Bench.funded()

        bench.refused(bench.limit(ALICE, BUY, quantity, price), code)

    def test_value_that_cannot_be_held(self) -> None:
        bench = Bench.funded(quantity_max_atoms=0, price_max_atoms=0)

        bench.refused(bench.limit(ALICE, BUY, "40000000", "40000000"), Code.NOTIONAL_TOO_LARGE)

    def test_negative_quantity(self) -> None:
        bench = Bench.funded()
        command = PlaceOrder(ALICE, MARKET, BUY, OrderType.LIMIT, GTC, units(60000), -units(1))

        bench.refused(command, Code.INVALID_QUANTITY)

    def test_below_the_least_quantity_and_price(self) -> None:
        bench = Bench.funded(quantity_min_atoms=units(1), price_min_atoms=units(10))

        bench.refused(bench.limit(ALICE, BUY, "0.5", "60000"), Code.QUANTITY_TOO_SMALL)
        bench.refused(bench.limit(ALICE, BUY, "1", "9.99"), Code.PRICE_TOO_LOW)

    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            ("market with a price", {"price_atoms": units(1)}, Code.PRICE_NOT_POSSIBLE),
            ("market that would rest", {"time_in_force": GTC}, Code.TIME_IN_FORCE_NOT_POSSIBLE),
            ("post-only market", {"post_only": True}, Code.POST_ONLY_NOT_RESTING),
            ("sized twice", {"quote_quantity_atoms": units(10)}, Code.QUOTE_QUANTITY_NOT_POSSIBLE),
            ("slippage of one", {"slippage_rate_e8": 10**8}, Code.SLIPPAGE_NOT_POSSIBLE),
            ("negative slippage", {"slippage_rate_e8": -1}, Code.SLIPPAGE_NOT_POSSIBLE),
            (
                "fill-or-kill by quote",
                {"quantity_atoms": 0, "quote_quantity_atoms": units(10), "time_in_force": FOK},
                Code.QUOTE_QUANTITY_NOT_POSSIBLE,
            ),
            (
                "decrement by quote",
                {
                    "quantity_atoms": 0,
                    "quote_quantity_atoms": units(10),
                    "self_trade_mode": SelfTradeMode.DECREMENT,
                },
                Code.QUOTE_QUANTITY_NOT_POSSIBLE,
            ),
        ],
    )
    def test_impossible_market_orders(
        self, _case: str, changes: dict[str, object], code: Code
    ) -> None:
        bench = Bench.funded()
        plain = bench.market_order(ALICE, BUY, "1")
        fields = {name: getattr(plain, name) for name in plain.__struct_fields__}

        bench.refused(PlaceOrder(**{**fields, **changes}), code)

    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            (
                "limit by quote",
                {"quote_quantity_atoms": units(10)},
                Code.QUOTE_QUANTITY_NOT_POSSIBLE,
            ),
            ("limit with slippage", {"slippage_rate_e8": 1}, Code.SLIPPAGE_NOT_POSSIBLE),
            (
                "post-only that never rests",
                {"post_only": True, "time_in_force": IOC},
                Code.POST_ONLY_NOT_RESTING,
            ),
        ],
    )
    def test_impossible_limit_orders(
        self, _case: str, changes: dict[str, object], code: Code
    ) -> None:
        bench = Bench.funded()

        bench.refused(bench.limit(ALICE, BUY, "1", "100", **changes), code)

    @pytest.mark.parametrize(
        ("_case", "side", "price"),
        [("buy above", BUY, "150.01"), ("sell below", SELL, "49.99")],
    )
    def test_price_band(self, _case: str, side: Side, price: str) -> None:
        bench = Bench.funded(price_band_e8=50_000_000)
        bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))

        bench.refused(bench.limit(ALICE, side, "1", price), Code.PRICE_BAND)

    def test_price_band_includes_its_edge(self) -> None:
        bench = Bench.funded(price_band_e8=50_000_000)
        bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))

        bench.buy(ALICE, "1", "150")

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (MarketStatus.HALTED, Code.MARKET_HALTED),
            (MarketStatus.CANCEL_ONLY, Code.MARKET_CANCEL_ONLY),
            (MarketStatus.POST_ONLY, Code.MARKET_POST_ONLY),
        ],
    )
    def test_market_states(self, status: MarketStatus, code: Code) -> None:
        bench = Bench.funded()
        bench.ok(SetMarketStatus(MARKET, status))

        bench.refused(bench.limit(ALICE, BUY, "1", "100"), code)

    def test_post_only_market_takes_post_only_orders(self) -> None:
        bench = Bench.funded()
        bench.ok(SetMarketStatus(MARKET, MarketStatus.POST_ONLY))

        bench.buy(ALICE, "1", "100", post_only=True)

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (AccountStatus.SUSPENDED, Code.ACCOUNT_SUSPENDED),
            (AccountStatus.CANCEL_ONLY, Code.ACCOUNT_CANCEL_ONLY),
        ],
    )
    def test_account_states(self, status: AccountStatus, code: Code) -> None:
        bench = Bench.funded()
        order = bench.buy(ALICE, "1", "100").reference_id
        bench.ok(ConfigureAccount(ALICE, status))

        bench.refused(bench.limit(ALICE, BUY, "1", "100"), code)
        bench.cancel(ALICE, order)

    def test_unknown_account_and_market(self) -> None:
        bench = Bench.funded()
        elsewhere = PlaceOrder(ALICE, 99, BUY, OrderType.LIMIT, GTC, units(1), units(1))

        bench.refused(bench.limit(CAROL, BUY, "1", "100"), Code.ACCOUNT_NOT_FOUND)
        bench.refused(bench.limit(1, SELL, "1", "100"), Code.ACCOUNT_NOT_FOUND)
        bench.refused(elsewhere, Code.MARKET_NOT_FOUND)

    def test_open_order_limit(self) -> None:
        bench = Bench.funded()
        bench.ok(ConfigureAccount(ALICE, open_orders_max=2))
        bench.buy(ALICE, "1", "100")
        order = bench.buy(ALICE, "1", "100").reference_id

        bench.refused(bench.limit(ALICE, BUY, "1", "100"), Code.TOO_MANY_OPEN_ORDERS)
        bench.cancel(ALICE, order)

        bench.buy(ALICE, "1", "100")

    def test_first_code_in_order_wins(self) -> None:
        bench = Bench.funded()
        bench.ok(SetMarketStatus(MARKET, MarketStatus.HALTED))

        bench.refused(bench.limit(ALICE, BUY, "0", "0"), Code.MARKET_HALTED)


class TestClientOrderId:
    def test_same_request_answers_the_first_order(self) -> None:
        bench = Bench.funded()
        command = bench.limit(ALICE, BUY, "1", "100", client_order_id="a", request_hash=7)
        first = bench.ok(command).reference_id
        before = bench.fingerprint()

        again = bench.do(command, ClientIdFinding(first, 7))

        assert (again.code, again.repeated, again.reference_id) == (Code.OK, True, first)
        assert bench.fingerprint() == before

    def test_other_request_is_a_conflict(self) -> None:
        bench = Bench.funded()
        command = bench.limit(ALICE, BUY, "1", "100", client_order_id="a", request_hash=7)

        bench.refused(command, Code.CLIENT_ORDER_ID_CONFLICT, ClientIdFinding(1, 8))


class TestReopening:
    def test_long_pause_reopens_in_phases(self) -> None:
        bench = Bench.funded()
        bench.ok(StartLeadership(1, 10_000))

        bench.refused(
            bench.limit(ALICE, BUY, "1", "100", post_only=True), Code.EXCHANGE_CANCEL_ONLY
        )
        bench.time_ms += 5_000
        bench.refused(bench.limit(ALICE, BUY, "1", "100"), Code.EXCHANGE_POST_ONLY)
        bench.buy(ALICE, "1", "100", post_only=True)
        bench.time_ms += 10_000
        bench.buy(ALICE, "1", "100")

    def test_short_pause_is_not_noticed(self) -> None:
        bench = Bench.funded()
        bench.ok(StartLeadership(1, 9_999))

        bench.buy(ALICE, "1", "100")

    def test_older_epoch_is_refused(self) -> None:
        bench = Bench.funded()
        bench.ok(StartLeadership(3, 0))

        bench.refused(StartLeadership(3, 0), Code.STALE_EPOCH)
