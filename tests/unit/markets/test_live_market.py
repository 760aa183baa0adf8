"""What one market publishes: states whose sequence rises with every change."""

from __future__ import annotations

import json
from typing import Any

from common.ws import topics
from common.ws.projecting import Output
from exchange.core.enums import MarketKind, MarketStatus, Side
from exchange.core.events import TradeExecuted
from exchange.core.units import ATOMS
from markets.live.market import LiveMarket
from markets.types import MarketInfo

MINUTE_MS = 60_000
START_MS = 1_800_000_000_000


def _market() -> LiveMarket:
    info = MarketInfo(
        market_id=1,
        symbol="BTC-USDT",
        kind=MarketKind.SPOT,
        base="BTC",
        quote="USDT",
        base_asset_id=1,
        quote_asset_id=2,
        base_decimals=8,
        quote_decimals=8,
        tick_atoms=ATOMS // 100,
        lot_atoms=ATOMS // 1_000,
        quantity_min_atoms=0,
        quantity_max_atoms=0,
        price_min_atoms=0,
        price_max_atoms=0,
        notional_min_atoms=0,
        price_band_e8=0,
        market_band_e8=0,
        price_decimals=2,
        quantity_decimals=3,
        status=MarketStatus.TRADING,
    )
    return LiveMarket(info)


def _trade(number: int, time_ms: int, price: int = 100) -> TradeExecuted:
    return TradeExecuted(
        trade_id=number,
        market_id=1,
        price_atoms=price * ATOMS,
        quantity_atoms=ATOMS,
        quote_atoms=price * ATOMS,
        taker_side=Side.BUY,
        taker_order_id=1,
        maker_order_id=2,
        taker_account_id=1,
        maker_account_id=2,
        taker_fee_atoms=0,
        maker_fee_atoms=0,
        time_ms=time_ms,
    )


def _flush(market: LiveMarket, time_ms: int, topic: str) -> list[tuple[int, dict[str, Any]]]:
    """Return sequence and data of the frames of one topic that are due."""
    out = Output(epoch=1, time_ms=time_ms)
    market.flush(out)
    frames = []
    for frame in out.public:
        if frame.topic == topic:
            text = json.loads("{" + frame.body)
            assert text["seq"] == frame.seq == text["data"].get("seq", frame.seq)
            frames.append((frame.seq, text["data"]))
    return frames


def test_a_ticker_that_only_got_another_bid_has_a_higher_sequence() -> None:
    market = _market()
    market.take_image([(99 * ATOMS, ATOMS)], [], 7)
    (first,) = _flush(market, START_MS, "ticker:1")

    market.book.change(Side.BUY, 98 * ATOMS, ATOMS)
    market.book.change(Side.BUY, 99 * ATOMS, 0)
    market.book.changed_by(8, 8)
    (second,) = _flush(market, START_MS + 1_000, "ticker:1")

    assert (first[1]["bid"], second[1]["bid"]) == ("99.00", "98.00")
    assert second[0] > first[0]


def test_what_passes_with_time_alone_has_a_higher_sequence() -> None:
    market = _market()
    market.take_image([], [], 7)
    market.take_trade(_trade(1, START_MS), 8)
    (before,) = _flush(market, START_MS, "ticker:1")

    (after,) = _flush(market, START_MS + 25 * 60 * MINUTE_MS, "ticker:1")

    assert (before[1]["trade_count"], after[1]["trade_count"]) == (1, 0)
    assert after[0] > before[0]


def test_a_closed_candle_and_the_next_one_have_different_sequences() -> None:
    market = _market()
    market.take_image([], [], 7)
    market.take_trade(_trade(1, START_MS), 8)
    (opened,) = _flush(market, START_MS, "kline:1:1m")

    market.take_trade(_trade(2, START_MS + MINUTE_MS, 101), 9)
    closed, following = _flush(market, START_MS + MINUTE_MS + 300, "kline:1:1m")

    assert [frame[1]["closed"] for frame in (opened, closed, following)] == [False, True, False]
    assert (closed[1]["close"], following[1]["open"]) == ("100.00", "101.00")
    assert opened[0] < closed[0] < following[0]


def test_the_snapshot_is_the_last_frame() -> None:
    market = _market()
    market.take_image([], [], 7)
    out = Output(epoch=1, time_ms=START_MS)
    market.flush(out)

    for topic in ("price:1", "ticker:1", "kline:1:1m"):
        (frame,) = [frame for frame in out.public if frame.topic == topic]
        stored = json.loads(out.snapshots[topics.snapshot_key(topic)])
        assert stored == json.loads("{" + frame.body)["data"]
        assert stored["seq"] == frame.seq
