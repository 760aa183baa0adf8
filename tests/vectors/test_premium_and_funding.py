"""Premium samples as dYdX works them out, and funding payments as freqtrade reckons them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from exchange.core.commands import UpdateIndexPrices
from exchange.core.enums import MarketStatus, Side
from exchange.core.units import format_atoms
from tests.support.engine import ALICE, BOB, units
from tests.support.perpetual import PERP, PerpetualBench, contract, perpetual_market
from tests.vectors.replay import DATA, vectors

PREMIUMS = vectors("premium_index_dydx.json")
PAYMENTS = vectors("funding_payments.json")
SINGLE = [row for row in PAYMENTS if row["kind"] == "single_funding_payment"]
WINDOWS = [row for row in PAYMENTS if row["kind"] == "funding_over_window"]

PREMIUMS_LEFT_OUT = {
    "zero-impact-best": "a contract must name a notional for its impact prices",
    "clamp-down": "a sample is not clamped here: the rate that comes of all of them is",
}
# Binance charges who opened up to 15 s late; here who is open when the time comes pays.
TOLERANCE_S = {"binance": 15, "gate": 1}
LEFT_OUT_WINDOWS = 4


def time_of(text: str) -> int:
    """Return the milliseconds of a row's time, which is UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def rate_e8(rate: float | str) -> int:
    """Return a rate of a row in 10^-8, exactly."""
    scaled = Decimal(str(rate)) * 10**8
    assert scaled == int(scaled)
    return int(scaled)


def hourly_marks() -> dict[int, str]:
    """Return the opening mark of each hour that the rows go by."""
    document = json.loads((DATA / "funding_payments.json").read_text())
    return {row[0]: str(row[1]) for row in document["mark_ohlcv_hourly"]}


def small_bench(price: str, start_ms: int = 1_700_000_000_000) -> PerpetualBench:
    """Return a bench whose market trades for a few units of quote."""
    bench = PerpetualBench.opened(ALICE, BOB, margin="10000")
    cent = units("0.01")
    market = perpetual_market(
        tick_atoms=cent,
        lot_atoms=cent,
        quantity_min_atoms=cent,
        price_min_atoms=cent,
        status=MarketStatus.TRADING,
    )
    bench.ok(market)
    bench.time_ms = max(bench.time_ms, start_ms)
    bench.mark(price)
    return bench


@pytest.mark.parametrize(
    "row",
    [row for row in PREMIUMS if row["id"] not in PREMIUMS_LEFT_OUT],
    ids=lambda row: row["id"],
)
def test_premium_of_a_book(row: dict[str, Any]) -> None:
    bench = PerpetualBench.opened(
        ALICE, BOB, margin="1000000", impact_notional_atoms=units(row["impact_notional"])
    )
    for account, side, levels in ((ALICE, Side.BUY, "bids"), (BOB, Side.SELL, "asks")):
        for level in row[levels]:
            bench.ok(bench.order(account, side, level["qty"], level["price"]))
    before = bench.exchange.image().prices[0]

    bench.mark(row["index"])

    after = bench.exchange.image().prices[0]
    assert after.premium_count == before.premium_count + 1
    premium_ppm = (after.premium_sum_e8 - before.premium_sum_e8) / 100
    # dYdX rounds impact prices to its ticks; the rows themselves are good to 1 ppm.
    assert abs(premium_ppm - row["expected_ppm"]) <= 1


def test_every_premium_is_a_test_or_has_a_reason() -> None:
    assert set(PREMIUMS_LEFT_OUT) <= {row["id"] for row in PREMIUMS}
    assert len(PREMIUMS) == 11


@pytest.mark.parametrize(
    "row", SINGLE, ids=lambda row: f"{row['size']}x{row['mark']}@{row['rate']}"
)
def test_one_payment(row: dict[str, Any]) -> None:
    bench = small_bench(row["mark"])
    bench.ok(contract(interest_rate_e8=rate_e8(row["rate"])))
    bench.trade(ALICE, BOB, row["size"], row["mark"])

    bench.time_ms = bench.exchange.image().prices[0].next_funding_ms
    bench.mark(row["mark"])

    expected = units_of(row["expected_received_short"])
    assert bench.position(BOB).funding_atoms == expected
    assert bench.position(ALICE).funding_atoms == -expected


def units_of(text: str) -> int:
    """Return atoms of a signed decimal, exactly."""
    scaled = Decimal(text) * 10**8
    assert scaled == int(scaled)
    return int(scaled)


def binds(row: dict[str, Any]) -> bool:
    """Tell whether a row does without the venue's tolerance for who opens late."""
    opened = time_of(row["open"])
    late_s = TOLERANCE_S[row["venue"]]
    times = [paid["timestamp"] for paid in row["funding_rows"]]
    return not any(0 <= opened - time_ms < late_s * 1000 for time_ms in times)


@pytest.mark.parametrize(
    "row", [row for row in WINDOWS if binds(row)], ids=lambda row: f"{row['venue']}-{row['open']}"
)
def test_payments_while_a_position_was_open(row: dict[str, Any]) -> None:
    marks = hourly_marks()
    opened, closed = time_of(row["open"]), time_of(row["close"])
    price = marks.get(opened - opened % 3_600_000, "2.77")
    # The bench's clock begins later than the rows' days: all is moved by whole days.
    shift = 2_000 * 24 * 3_600_000
    bench = small_bench(price, opened + shift - 10)
    bench.trade(ALICE, BOB, row["amount"], price)

    for paid in row["funding_rows"]:
        if opened < paid["timestamp"] <= closed:
            bench.ok(contract(interest_rate_e8=rate_e8(paid["fundingRate"])))
            bench.time_ms = paid["timestamp"] + shift - 1
            price_atoms = units(marks[paid["timestamp"]])
            bench.ok(UpdateIndexPrices(((PERP, price_atoms),)))
            bench.settle()

    received = Decimal(format_atoms(bench.position(BOB).funding_atoms, 8))
    # The rows' floats are off by up to 10^-10.
    assert abs(received - Decimal(row["expected_fee_received_short"])) <= Decimal("1e-10")


@pytest.mark.parametrize("row", WINDOWS, ids=lambda row: f"{row['venue']}-{row['open']}")
def test_the_rows_themselves_hold_with_the_venue_s_tolerance(row: dict[str, Any]) -> None:
    marks = hourly_marks()
    opened, closed = time_of(row["open"]), time_of(row["close"])
    late_ms = TOLERANCE_S[row["venue"]] * 1000

    total = sum(
        (
            Decimal(row["amount"])
            * Decimal(marks[paid["timestamp"]])
            * Decimal(str(paid["fundingRate"]))
            for paid in row["funding_rows"]
            if opened - late_ms < paid["timestamp"] <= closed
        ),
        Decimal(0),
    )

    assert abs(total - Decimal(row["expected_fee_received_short"])) <= Decimal("1e-10")
    assert Decimal(row["expected_fee_received_long"]) == -Decimal(
        row["expected_fee_received_short"]
    )


def test_every_window_is_a_test_or_has_a_reason() -> None:
    left_out = [row for row in WINDOWS if not binds(row)]

    assert len(left_out) == LEFT_OUT_WINDOWS
    assert len(PAYMENTS) == len(SINGLE) + len(WINDOWS) == 25
