"""Faulty answers of one source, of two, of all: what they do to positions of a perpetual market."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from exchange.core.commands import UpdateIndexPrices
from exchange.core.enums import MarginMode, PriceQuality
from exchange.core.events import LiquidationStepped
from exchange.core.units import ATOMS
from markets.enums import PriceState
from markets.feeds.catalogue import LIVE_INSTRUMENTS
from markets.feeds.engine import IndexEngine
from markets.feeds.validate import RawQuote
from tests.support.engine import ALICE, BOB, CAROL, units
from tests.support.perpetual import PERP, PerpetualBench
from tests.support.searching import FACTOR

BTC = LIVE_INSTRUMENTS[0]
START = 1_800_000_000_000
Fault = Callable[[IndexEngine, int, int], None]


def quote(price: object, at: int, pair: str = "BTC/USDT") -> RawQuote:
    text = None if price is None else str(price)
    return RawQuote(pair, text, text, text, at)


def saying(price: object, *, delay_ms: int = 0) -> Fault:
    """Return a fault: Binance says this, with a time so much off."""
    return lambda engine, now, _turn: engine.offer(
        "binance", [quote(price, now + delay_ms)], now_ms=now
    )


def failing(reason: str) -> Fault:
    return lambda engine, _now, _turn: engine.fail("binance", reason)


def flapping(engine: IndexEngine, now: int, turn: int) -> None:
    if turn % 2:
        engine.fail("binance", "TIMEOUT")
    else:
        engine.offer("binance", [quote("61500", now)], now_ms=now)


FAULTS: dict[str, Fault] = {
    "zero": saying("0"),
    "negative": saying("-60000"),
    "nan": saying("NaN"),
    "null": saying(None),
    "empty": saying(""),
    "1e308": saying("1e308"),
    "up 30 %": saying("78000"),
    "down 30 %": saying("42000"),
    "ten times": saying("600000"),
    "2.5 % up, within the jump rate": saying("61500"),
    "2.5 % down, within the jump rate": saying("58500"),
    "ten seconds old": saying("58500", delay_ms=-10_001),
    "out of order": saying("58500", delay_ms=-5_000),
    "of the future": saying("58500", delay_ms=5_000),
    "duplicate": saying("60000"),
    "HTML with 200": failing("INVALID_ANSWER"),
    "429": failing("RATE_LIMITED"),
    "451": failing("BLOCKED"),
    "time-out": failing("TIMEOUT"),
    "truncated JSON": failing("INVALID_ANSWER"),
    "flapping": flapping,
}


class Platform:
    """An index of three sources that feeds a market with two positions as thin as they get."""

    def __init__(self) -> None:
        self.engine = IndexEngine((BTC,))
        self.bench = PerpetualBench.opened(ALICE, BOB, CAROL, margin="100000")
        self.bench.time_ms = START - 1_000
        self.bench.mark("60000")
        for account in (ALICE, BOB):
            self.bench.leverage(account, 125, MarginMode.ISOLATED)
        self.bench.trade(ALICE, BOB, "0.8", "60000")
        self.now = START

    def turn(
        self, *, others: str | None = "60000", fault: Fault | None = None, turn: int = 0
    ) -> None:
        """Let a second pass: the other sources answer, then Binance does what it does."""
        self.now += 1_000
        if others is not None:
            for source, pair in (("kraken", "BTC/USDT"), ("coinbase", "BTC/USD")):
                tether = quote("1", self.now, "USDT/USD")
                self.engine.offer(source, [quote(others, self.now, pair), tether], now_ms=self.now)
        if fault is not None:
            fault(self.engine, self.now, turn)
        elif others is not None:
            self.engine.offer("binance", [quote(others, self.now)], now_ms=self.now)
        (view,) = self.engine.prices(self.now)
        self.bench.time_ms = self.now
        self.bench.ok(
            UpdateIndexPrices(
                prices=((PERP, view.price_atoms),) if view.price_atoms else (),
                degraded=(PERP,) if view.state is PriceState.DEGRADED else (),
                missing=(PERP,) if view.state is PriceState.HALTED else (),
            )
        )
        events = self.bench.settle()
        assert not [event for event in events if isinstance(event, LiquidationStepped)]

    def quality(self) -> PriceQuality:
        return self.bench.exchange.image().prices[0].quality

    def mark(self) -> int:
        return self.bench.exchange.image().prices[0].mark_atoms


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_an_unconfirmed_answer_of_one_source_liquidates_nobody(fault: Fault) -> None:
    platform = Platform()
    platform.turn()

    for turn in range(2):
        platform.turn(fault=fault, turn=turn)

    assert platform.quality() is PriceQuality.LIVE
    assert platform.mark() == 60_000 * ATOMS
    assert platform.bench.position(ALICE).quantity_atoms == units("0.8")
    assert platform.bench.position(BOB).quantity_atoms == -units("0.8")


@pytest.mark.parametrize("seed", range(1, 1 + 3 * FACTOR))
def test_p18_whatever_one_source_says_in_turn_moves_nothing(seed: int) -> None:
    chance = Random(seed)
    platform = Platform()
    platform.turn()
    faulty = 0

    for turn in range(30):
        # A third sample in a row that says the same would be a confirmation.
        faulty = faulty + 1 if faulty < 2 and chance.random() < 0.6 else 0
        fault = chance.choice(list(FAULTS.values())) if faulty else None
        platform.turn(fault=fault, turn=turn)

        assert platform.quality() is PriceQuality.LIVE
        assert platform.mark() == 60_000 * ATOMS
    assert platform.bench.position(ALICE).quantity_atoms == units("0.8")
    assert platform.bench.position(BOB).quantity_atoms == -units("0.8")


def test_two_that_disagree_by_ten_percent_liquidate_nobody() -> None:
    platform = Platform()
    platform.turn()

    # Coinbase and Kraken fall silent, then Kraken comes back far away and insists.
    for _ in range(12):
        platform.turn(others=None, fault=saying("60000"))
    for _ in range(5):
        platform.engine.offer(
            "kraken", [quote("54000", platform.now + 1_000)], now_ms=platform.now + 1_000
        )
        platform.turn(others=None, fault=saying("60000"))

    assert platform.quality() is PriceQuality.DEGRADED
    assert platform.bench.position(ALICE).quantity_atoms == units("0.8")


def test_one_source_alone_liquidates_nobody_however_it_moves() -> None:
    platform = Platform()
    for _ in range(12):
        platform.turn(others=None, fault=saying("60000"))

    for second in range(30):
        platform.turn(others=None, fault=saying(str(60_000 - 500 * second)))

    assert platform.quality() is PriceQuality.DEGRADED
    assert platform.mark() == 60_000 * ATOMS


def test_silence_of_all_liquidates_nobody() -> None:
    platform = Platform()
    platform.turn()

    for _ in range(15):
        platform.turn(others=None, fault=failing("TIMEOUT"))

    assert platform.quality() is PriceQuality.MISSING
    assert platform.bench.position(ALICE).quantity_atoms == units("0.8")
