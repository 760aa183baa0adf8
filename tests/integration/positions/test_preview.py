"""The preview of an order in a perpetual market says what placing it then does."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import redis as redis_module

from common.ws import topics
from exchange.core.enums import MarginMode, Side
from exchange.core.units import format_atoms
from tests.support.margin import PERP, SYMBOL, MarginHarness
from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import Trader, money_of

__all__ = ["redis_client", "redis_url"]

pytestmark = pytest.mark.integration


def publish(exchange: MarginHarness, redis: redis_module.Redis) -> None:
    """Write the book that the projector would have written."""
    bids, asks = exchange.exchange.book_levels(PERP)
    head = {"symbol": SYMBOL, "epoch": 1, "seq": exchange.exchange.sequences.command, "time": 1}
    sides = {
        name: [[format_atoms(price, 1), format_atoms(quantity, 3)] for price, quantity in levels]
        for name, levels in (("bids", bids), ("asks", asks))
    }
    redis.set(topics.book_key(PERP), msgspec.json.encode({**head, **sides}))


@pytest.fixture
def market(
    exchange: MarginHarness, alice: Trader, bob: Trader, redis_client: redis_module.Redis
) -> MarginHarness:
    """Bob sells 2 at 60,000 and 1 at 60,100; Alice has 10,000 of margin."""
    exchange.margin(alice.account_id, 10_000)
    exchange.margin(bob.account_id, 1_000_000)
    exchange.place(bob.account_id, Side.SELL, "2", 60_000)
    exchange.place(bob.account_id, Side.SELL, "1", 60_100)
    return exchange


def body(**fields: Any) -> dict[str, Any]:
    """Return a limit buy of 0.5 at 60,000 unless fields say otherwise."""
    order = {"symbol": SYMBOL, "side": "buy", "type": "limit", "quantity": "0.5", "price": "60000"}
    return {name: value for name, value in {**order, **fields}.items() if value is not None}


class TestPreview:
    @pytest.mark.parametrize(
        ("_case", "fields"),
        [
            ("takes", {}),
            ("takes two levels", {"quantity": "1.5", "price": "60100"}),
            ("rests", {"price": "59000"}),
            ("market", {"type": "market", "price": None}),
        ],
    )
    @pytest.mark.parametrize("mode", list(MarginMode))
    def test_placing_leaves_what_it_said(
        self,
        market: MarginHarness,
        alice: Trader,
        redis_client: redis_module.Redis,
        mode: MarginMode,
        _case: str,
        fields: dict[str, Any],
    ) -> None:
        market.set_up(alice.account_id, 20, mode)
        publish(market, redis_client)
        before = alice.api.get("/api/wallet").json()["margin"][0]
        state = money_of(market)

        said = alice.api.post("/api/orders/preview", body(**fields)).json()["margin"]

        assert money_of(market) == state
        assert alice.api.post("/api/orders", body(**fields)).status_code == 201
        after = alice.api.get("/api/wallet").json()["margin"][0]
        positions = alice.api.get("/api/positions").json()["positions"]
        assert said["available"] == after["available"]
        assert said["initial_margin"] == after["initial_margin"]
        assert float(said["required"]) == pytest.approx(
            float(before["available"]) - float(after["available"])
        )
        shown = positions[0] if positions else {"liquidation_price": None, "quantity": "0.000"}
        assert said["liquidation_price"] == shown["liquidation_price"]
        assert said["position_quantity"] == shown["quantity"]

    def test_positions_elsewhere_and_before_count(
        self,
        market: MarginHarness,
        alice: Trader,
        redis_client: redis_module.Redis,
    ) -> None:
        alice.api.post("/api/orders", body(quantity="1"))
        market.mark(60_500)
        publish(market, redis_client)

        answer = alice.api.post("/api/orders/preview", body(quantity="0.2")).json()

        assert answer["accepted"]
        alice.api.post("/api/orders", body(quantity="0.2"))
        (position,) = alice.api.get("/api/positions").json()["positions"]
        assert answer["margin"]["position_quantity"] == position["quantity"] == "1.200"
        assert answer["margin"]["liquidation_price"] == position["liquidation_price"]

    def test_what_margin_does_not_cover_is_refused(
        self,
        market: MarginHarness,
        alice: Trader,
        redis_client: redis_module.Redis,
    ) -> None:
        publish(market, redis_client)

        answer = alice.api.post("/api/orders/preview", body(quantity="2")).json()

        assert (answer["accepted"], answer["refusal"]["code"]) == (False, "INSUFFICIENT_MARGIN")
        assert answer["margin"] is None
