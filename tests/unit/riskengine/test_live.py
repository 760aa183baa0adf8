"""What the live channels of a perpetual market say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from common.ws.frames import PublicFrame
from common.ws.projecting import Output
from exchange.core.enums import MarketKind, MarketStatus, PriceQuality, Side, TradeKind
from exchange.core.events import LiquidationStepped, PricesChanged
from exchange.core.units import ATOMS
from markets.types import MarketInfo
from riskengine.live import PRICES_EVERY_MS, LivePerpetual
from riskengine.ws_shapes import Funding, Liquidations, Mark, NewLiquidations
from tests.support.engine import units

EPOCH = 7
MARKET = MarketInfo(
    market_id=1001,
    symbol="BTC-USDT-PERP",
    kind=MarketKind.PERPETUAL,
    base="BTC",
    quote="USDT",
    base_asset_id=2,
    quote_asset_id=1,
    base_decimals=8,
    quote_decimals=8,
    tick_atoms=ATOMS // 10,
    lot_atoms=ATOMS // 1000,
    quantity_min_atoms=0,
    quantity_max_atoms=0,
    price_min_atoms=0,
    price_max_atoms=0,
    notional_min_atoms=0,
    price_band_e8=0,
    market_band_e8=0,
    price_decimals=1,
    quantity_decimals=3,
    status=MarketStatus.TRADING,
)
PRICES = PricesChanged(
    1001,
    mark_atoms=units("60001.5"),
    index_atoms=units("60000"),
    time_ms=1_000,
    quality=PriceQuality.LIVE,
    unhealthy_since_ms=0,
    basis=(),
    sampled_ms=0,
    premium_sum_e8=0,
    premium_count=0,
    predicted_rate_e8=-1_250,
    funding_rate_e8=10_000,
    next_funding_ms=28_800_000,
    last_trade_ms=0,
    open_interest_atoms=units("2.5"),
)


def step(number: int) -> LiquidationStepped:
    return LiquidationStepped(
        number,
        1_000_001,
        1001,
        5,
        TradeKind.TAKEOVER,
        Side.SELL,
        units("0.5"),
        units("59520"),
        units("29760"),
        units("59700"),
        0,
        0,
        0,
        0,
        2_000_002,
        9_000,
    )


@pytest.fixture
def live() -> LivePerpetual:
    return LivePerpetual(MARKET)


def flushed(live: LivePerpetual, time_ms: int = 1_000_000) -> Output:
    out = Output(epoch=EPOCH, time_ms=time_ms)
    live.flush(out)
    return out


def data(frame: PublicFrame) -> Any:
    """Return what a frame carries."""
    return json.loads("{" + frame.body)["data"]


def topics(out: Output) -> list[str]:
    return [frame.topic for frame in out.public]


class TestPrices:
    def test_says_mark_funding_and_open_interest(self, live: LivePerpetual) -> None:
        live.take_prices(PRICES, 42)

        mark, funding = flushed(live).public

        assert (mark.topic, mark.seq) == ("mark:1001", 42)
        assert data(mark) == {
            "symbol": "BTC-USDT-PERP",
            "epoch": EPOCH,
            "seq": 42,
            "time": 1_000_000,
            "mark_price": "60001.5",
            "index_price": "60000.0",
            "state": "live",
            "marked_at": 1_000,
            "open_interest": "2.500",
            "open_interest_value": "150003.75000000",
        }
        assert funding.topic == "funding:1001"
        assert data(funding)["funding_rate"] == "0.00010000"
        assert data(funding)["predicted_rate"] == "-0.00001250"
        assert data(funding)["next_funding_time"] == 28_800_000

    def test_keeps_the_same_as_snapshots(self, live: LivePerpetual) -> None:
        live.take_prices(PRICES, 42)

        out = flushed(live)

        snapshots = {key.rpartition("mark:")[1]: text for key, text in out.snapshots.items()}
        assert json.loads(snapshots["mark:"]) == data(out.public[0])
        msgspec.json.decode(snapshots["mark:"], type=Mark)
        (funding,) = [text for key, text in out.snapshots.items() if "funding:" in key]
        msgspec.json.decode(funding, type=Funding)

    def test_says_nothing_without_a_mark(self, live: LivePerpetual) -> None:
        live.take_prices(msgspec.structs.replace(PRICES, mark_atoms=0), 42)

        assert flushed(live).public == []

    def test_gathers_what_changes_in_between(self, live: LivePerpetual) -> None:
        live.take_prices(PRICES, 1)
        flushed(live, 1_000_000)
        live.take_prices(msgspec.structs.replace(PRICES, quality=PriceQuality.DEGRADED), 2)

        early = flushed(live, 1_000_000 + PRICES_EVERY_MS - 1)
        due = flushed(live, 1_000_000 + PRICES_EVERY_MS)

        assert early.public == []
        assert data(due.public[0])["state"] == "degraded"
        assert flushed(live, 2_000_000).public == []


class TestLiquidations:
    def test_a_snapshot_stands_before_anything_happened(self, live: LivePerpetual) -> None:
        out = flushed(live)

        assert out.public == []
        ((key, text),) = out.snapshots.items()
        assert key.endswith("liquidations:1001")
        assert msgspec.json.decode(text, type=Liquidations).liquidations == []

    def test_tells_new_steps_newest_first_and_whose_they_follow(self, live: LivePerpetual) -> None:
        live.take_liquidation(step(3))
        live.restored()
        flushed(live)
        live.take_liquidation(step(4))
        live.take_liquidation(step(6))

        out = flushed(live)

        (frame,) = out.public
        assert (frame.topic, frame.prev, frame.seq) == ("liquidations:1001", 3, 6)
        told = msgspec.convert(data(frame), type=NewLiquidations)
        assert [item.id for item in told.liquidations] == ["6", "4"]
        (text,) = out.snapshots.values()
        kept = msgspec.json.decode(text, type=Liquidations)
        assert [item.id for item in kept.liquidations] == ["6", "4", "3"]

    def test_names_no_account(self, live: LivePerpetual) -> None:
        live.take_liquidation(step(1))

        (item,) = data(flushed(live).public[0])["liquidations"]

        assert item == {
            "id": "1",
            "kind": "takeover",
            "side": "sell",
            "price": "59520.0",
            "quantity": "0.500",
            "value": "29760.00000000",
            "mark_price": "59700.0",
            "time": 9_000,
        }

    def test_a_step_that_was_restored_is_not_told_again(self, live: LivePerpetual) -> None:
        live.take_liquidation(step(3))
        live.restored()

        live.take_liquidation(step(3))

        assert topics(flushed(live)) == []
