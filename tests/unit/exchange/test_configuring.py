"""Configuration as commands."""

import pytest

from exchange.core.commands import (
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    ConfigureMarket,
    SetMarketStatus,
    UpdateIndexPrices,
)
from exchange.core.enums import MarketStatus, Side
from exchange.core.rejects import Code
from tests.support.engine import ALICE, BTC, MARKET, Bench, market, units


class TestAsset:
    @pytest.mark.parametrize(
        ("_case", "command", "code"),
        [
            ("no id", ConfigureAsset(0, "X", "X", 8), Code.INVALID_CONFIGURATION),
            ("no code", ConfigureAsset(3, "", "X", 8), Code.INVALID_CONFIGURATION),
            ("nine decimals", ConfigureAsset(3, "X", "X", 9), Code.INVALID_CONFIGURATION),
            ("code taken", ConfigureAsset(3, "BTC", "X", 8), Code.INVALID_CONFIGURATION),
            ("code changed", ConfigureAsset(BTC, "XBT", "X", 8), Code.CONFIGURATION_IN_USE),
            ("fewer decimals", ConfigureAsset(BTC, "BTC", "X", 7), Code.CONFIGURATION_IN_USE),
        ],
    )
    def test_refusals(self, _case: str, command: ConfigureAsset, code: Code) -> None:
        Bench.funded().refused(command, code)

    def test_is_renamed(self) -> None:
        bench = Bench.funded()

        bench.ok(ConfigureAsset(BTC, "BTC", "Bitcoin (native)", 8))

        assert bench.exchange.image().assets[0].name == "Bitcoin (native)"


class TestMarket:
    @pytest.mark.parametrize(
        ("_case", "changes", "code"),
        [
            ("unknown asset", {"quote_asset_id": 9}, Code.ASSET_NOT_FOUND),
            ("no id", {"market_id": 0}, Code.INVALID_CONFIGURATION),
            ("symbol taken", {"market_id": 2}, Code.INVALID_CONFIGURATION),
            ("no tick", {"tick_atoms": 0}, Code.INVALID_CONFIGURATION),
            ("trades would round", {"lot_atoms": 1}, Code.INVALID_CONFIGURATION),
            ("negative bound", {"price_min_atoms": -1}, Code.INVALID_CONFIGURATION),
            ("band of one", {"price_band_e8": 10**8}, Code.INVALID_CONFIGURATION),
            ("renamed", {"symbol": "XBT-USDT"}, Code.CONFIGURATION_IN_USE),
        ],
    )
    def test_refusals(self, _case: str, changes: dict[str, object], code: Code) -> None:
        Bench.funded().refused(market(**changes), code)

    def test_grid_does_not_change_under_a_waiting_stop(self) -> None:
        bench = Bench.funded()
        bench.ok(bench.conditional(ALICE, Side.SELL, "1", "95"))

        bench.refused(market(tick_atoms=units("0.1")), Code.CONFIGURATION_IN_USE)

    def test_grid_changes_only_while_nothing_rests(self) -> None:
        bench = Bench.funded()
        order = bench.buy(ALICE, "1", "100").reference_id
        coarser: ConfigureMarket = market(tick_atoms=units("0.1"))

        bench.refused(coarser, Code.CONFIGURATION_IN_USE)
        bench.cancel(ALICE, order)
        bench.ok(coarser)

        bench.refused(bench.limit(ALICE, Side.BUY, "1", "100.01"), Code.TICK_SIZE)

    def test_unknown_status_target(self) -> None:
        Bench.funded().refused(SetMarketStatus(9, MarketStatus.HALTED), Code.MARKET_NOT_FOUND)

    def test_orders_survive_a_halt(self) -> None:
        bench = Bench.funded()
        bench.buy(ALICE, "1", "100")

        bench.ok(SetMarketStatus(MARKET, MarketStatus.HALTED))
        bench.ok(SetMarketStatus(MARKET, MarketStatus.TRADING))

        assert bench.book()[0] == [(units(100), units(1))]


class TestFeesAndAccounts:
    @pytest.mark.parametrize(("maker", "taker"), [(-2, 1), (0, -1), (10**8, 0), (0, 10**8)])
    def test_impossible_rates(self, maker: int, taker: int) -> None:
        Bench.funded().refused(ConfigureFeeTier(1, maker, taker), Code.INVALID_CONFIGURATION)

    def test_rebate_is_paid_out_of_the_takers_fee(self) -> None:
        bench = Bench.funded()
        bench.ok(ConfigureFeeTier(0, -10_000, 40_000))
        bench.sell(ALICE, "1", "100")

        bench.buy(1_000_002, "1", "100")

        assert bench.wallet(ALICE, 2).total_atoms == units("1000100.01")
        assert bench.wallet(2, 2).total_atoms == units("0.03")

    def test_open_orders_keep_their_rates(self) -> None:
        bench = Bench.funded()
        bench.sell(ALICE, "1", "100")
        bench.ok(ConfigureFeeTier(0, 50_000, 50_000))

        bench.buy(1_000_002, "1", "100")

        assert bench.wallet(ALICE, 2).total_atoms == units("1000099.98")

    @pytest.mark.parametrize(
        "command",
        [
            ConfigureAccount(999),
            ConfigureAccount(ALICE, open_orders_max=0),
            ConfigureAccount(ALICE, fee_tier=7),
        ],
    )
    def test_impossible_accounts(self, command: ConfigureAccount) -> None:
        Bench.funded().refused(command, Code.INVALID_CONFIGURATION)


class TestIndexPrices:
    @pytest.mark.parametrize(
        ("prices", "code"),
        [
            (((9, 1),), Code.MARKET_NOT_FOUND),
            (((MARKET, 0),), Code.INVALID_PRICE),
            (((MARKET, -1),), Code.INVALID_PRICE),
            (((MARKET, 2**62 + 1),), Code.INVALID_PRICE),
        ],
    )
    def test_refusals(self, prices: tuple[tuple[int, int], ...], code: Code) -> None:
        Bench.funded().refused(UpdateIndexPrices(prices), code)

    def test_is_remembered_with_its_time(self) -> None:
        bench = Bench.funded()

        bench.ok(UpdateIndexPrices(((MARKET, units(100)),)))

        (index,) = bench.exchange.image().index_prices
        assert (index.price_atoms, index.time_ms) == (units(100), bench.time_ms)
