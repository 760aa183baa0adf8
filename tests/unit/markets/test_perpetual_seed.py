"""The perpetual markets of a fresh installation."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from exchange.core.margin import bracket_rows
from exchange.core.units import AMOUNT_MAX, ATOMS
from markets.enums import FeedMode
from markets.feeds.catalogue import LIVE_INSTRUMENTS
from markets.perpetual_seed import (
    INSURANCE_FUNDS,
    PERPETUALS,
    PerpetualSeed,
    brackets_of,
    notional_max_atoms,
    perpetuals_of,
)
from markets.seed import MARKETS
from tests.vectors.replay import DATA

ROWS: list[dict[str, Any]] = json.loads((DATA / "binance_leverage_brackets.json").read_text())[
    "rows"
]


@pytest.mark.parametrize("market", PERPETUALS, ids=lambda market: market.symbol)
class TestEachMarket:
    def test_a_trade_never_rounds_and_never_overflows(self, market: PerpetualSeed) -> None:
        assert market.tick_atoms * market.lot_atoms % ATOMS == 0
        assert market.quantity_max_atoms % market.lot_atoms == 0
        assert market.price_max_atoms % market.tick_atoms == 0
        assert notional_max_atoms(market.base) < AMOUNT_MAX

    def test_has_a_price_and_a_fund(self, market: PerpetualSeed) -> None:
        index = market.symbol.removesuffix("-PERP")
        assert index in {instrument.symbol for instrument in LIVE_INSTRUMENTS}
        assert market.insurance_group in INSURANCE_FUNDS

    def test_belongs_to_its_spot_market(self, market: PerpetualSeed) -> None:
        (spot,) = [item for item in MARKETS if item.market_id == market.spot_id]
        assert spot.symbol == market.symbol.removesuffix("-PERP")

    def test_has_brackets_that_the_exchange_takes(self, market: PerpetualSeed) -> None:
        assert bracket_rows(brackets_of(market.base, 125)) is not None
        assert bracket_rows(brackets_of(market.base, 20)) is not None

    def test_has_the_published_brackets(self, market: PerpetualSeed) -> None:
        published = [row for row in ROWS if row["symbol"] == f"{market.base}/USDT:USDT"]
        rows = bracket_rows(brackets_of(market.base, 125))
        assert rows is not None

        assert [(floor, rate, amount, leverage) for floor, rate, amount, leverage in rows] == [
            (
                _atoms(row["notional_floor"]),
                _atoms(row["maint_margin_rate"]),
                _atoms(row["cum"]),
                row["max_leverage"],
            )
            for row in published
        ]
        assert notional_max_atoms(market.base) == _atoms(published[-1]["notional_cap"])


def _atoms(text: str) -> int:
    scaled = Decimal(text) * ATOMS
    assert scaled == int(scaled)
    return int(scaled)


def test_numbers_are_unique_and_never_a_spot_market_s() -> None:
    numbers = [market.market_id for market in PERPETUALS]

    assert len(set(numbers)) == len(numbers)
    assert not set(numbers) & {market.market_id for market in MARKETS}


def test_at_least_eight_with_live_prices_two_in_replay() -> None:
    assert len(perpetuals_of(FeedMode.LIVE)) == 10
    assert [market.base for market in perpetuals_of(FeedMode.REPLAY)] == ["BTC", "ETH"]
