"""Funding history of a perpetual market, and its projector, from committed rows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from common.ws.projecting import Output
from exchange.core.enums import MarginMode
from riskengine.live import PerpetualProjector
from tests.support.margin import PERP, SYMBOL, MarginHarness
from tests.support.people import Person

HOUR = 3_600_000


def get(client: Client, path: str) -> Any:
    response = client.get(path)
    assert response.status_code == 200, response.content
    return response.json()


def next_funding(exchange: MarginHarness) -> int:
    return exchange.exchange.image().prices[0].next_funding_ms


def fund(exchange: MarginHarness, times: int) -> list[int]:
    """Let so many funding times pass; return them, oldest first."""
    passed = []
    for _ in range(times):
        due = next_funding(exchange)
        exchange.mark("60000", after_ms=due - exchange.clock.time_ms)
        passed.append(due)
    return passed


class TestFunding:
    def test_lists_rate_mark_and_time_newest_first(
        self, exchange: MarginHarness, client: Client
    ) -> None:
        times = fund(exchange, 2)

        answer = get(client, f"/api/markets/{SYMBOL}/funding")

        assert [item["funding_time"] for item in answer["items"]] == times[::-1]
        assert answer["items"][0] == {
            "funding_time": times[1],
            "rate": "0.00010000",
            "mark_price": "60000.0",
            "skipped": False,
            "settled_at": times[1],
        }
        assert answer["next_cursor"] is None

    def test_says_what_was_skipped(self, exchange: MarginHarness, client: Client) -> None:
        due = next_funding(exchange)
        exchange.mark("60000", after_ms=due - exchange.clock.time_ms + HOUR + 1)

        (item,) = get(client, f"/api/markets/{SYMBOL}/funding")["items"]

        assert (item["funding_time"], item["skipped"]) == (due, True)

    def test_is_paged(self, exchange: MarginHarness, client: Client) -> None:
        times = fund(exchange, 3)

        first = get(client, f"/api/markets/{SYMBOL}/funding?limit=2")
        second = get(client, f"/api/markets/{SYMBOL}/funding?limit=2&cursor={first['next_cursor']}")

        found = [item["funding_time"] for item in first["items"] + second["items"]]
        assert found == times[::-1]
        assert second["next_cursor"] is None

    @pytest.mark.parametrize(
        ("path", "status", "code"),
        [
            ("NONE-USDT-PERP/funding", 404, "MARKET_NOT_FOUND"),
            ("BTC-USDT/funding", 422, "NOT_A_PERPETUAL"),
            (f"{SYMBOL}/funding?limit=0", 400, "INVALID_PARAMETER"),
            (f"{SYMBOL}/funding?cursor=x", 400, "INVALID_PARAMETER"),
            (f"{SYMBOL}/funding?from=1", 400, "INVALID_PARAMETER"),
        ],
    )
    def test_refuses(
        self, exchange: MarginHarness, client: Client, path: str, status: int, code: str
    ) -> None:
        response = client.get(f"/api/markets/{path}")

        assert response.status_code == status
        assert response.json()["error"]["code"] == code


class TestContract:
    def test_a_market_shows_its_terms(self, exchange: MarginHarness, client: Client) -> None:
        market = get(client, f"/api/markets/{SYMBOL}")

        assert market["kind"] == "perpetual"
        assert market["contract"] == {
            "funding_interval_ms": 28_800_000,
            "interest_rate": "0.0001",
            "funding_cap": "0.003",
            "impact_notional": "25000",
            "liquidation_fee": "0.005",
            "max_leverage": 125,
            "default_leverage": 10,
            "max_position_value": "200000000",
            "max_open_interest_value": None,
            "insurance_group": "1",
            "settlement_price": None,
        }

    def test_lists_show_terms_of_perpetuals_alone(
        self, exchange: MarginHarness, client: Client
    ) -> None:
        for path, key in (("/api/markets", "items"), ("/api/exchange-info", "markets")):
            markets = {market["symbol"]: market for market in get(client, path)[key]}

            assert markets["BTC-USDT"]["contract"] is None
            assert markets[SYMBOL]["contract"]["max_leverage"] == 125


class TestProjector:
    def test_begins_with_what_is_committed(
        self, exchange: MarginHarness, alice: Person, bob: Person
    ) -> None:
        for account_id in (alice.account_id, bob.account_id):
            exchange.margin(account_id)
        exchange.set_up(alice.account_id, 125, MarginMode.ISOLATED)
        exchange.trade(alice.account_id, bob.account_id, "0.5")
        exchange.mark("59000")

        projector = PerpetualProjector(None)  # type: ignore[arg-type]
        projector.start(1, exchange.clock.time_ms)
        out = Output(epoch=1, time_ms=exchange.clock.time_ms)
        projector.flush(out)

        kinds = {key.rpartition(":")[0].rpartition(":")[2]: key for key in out.snapshots}
        mark = json.loads(out.snapshots[next(k for k in kinds.values() if "mark" in k)])
        assert (mark["mark_price"], mark["open_interest"]) == ("59000.0", "0.500")
        steps = json.loads(out.snapshots[next(k for k in kinds.values() if "liquidations" in k)])
        assert [step["kind"] for step in steps["liquidations"]] == ["takeover"]
        assert all(frame.topic != f"liquidations:{PERP}" for frame in out.public)
