"""Recorded prices played back by the clock."""

import gzip
import json
from fractions import Fraction
from pathlib import Path

import pytest

from exchange.core.enums import Side
from exchange.core.units import ATOMS
from markets.feeds.replay import Recording, RecordingError, Replay, recording_load

TICK = ATOMS // 100


def recording(symbol: str = "BTC-USDT", *, first: int = 100, last: int = 110) -> Recording:
    """Ten seconds in which the price goes from one whole price to another."""
    made = Recording(symbol=symbol, start_ms=1_000, duration_ms=10_000)
    for second in range(10):
        price = (first * (9 - second) + last * second) * ATOMS // 9 // TICK * TICK
        made.quote_times.append(second * 1_000)
        made.quotes.append((price, price))
        made.depth_times.append(second * 1_000)
        made.depths.append(([(price - TICK, ATOMS)], [(price + TICK, 2 * ATOMS)]))
        made.trade_times.append(second * 1_000)
        made.trades.append((price, ATOMS, Side.BUY))
    return made


def replay(*recordings: Recording, speed: Fraction = Fraction(1), **options: object) -> Replay:
    return Replay(
        list(recordings) or [recording()],
        started_ms=50_000,
        speed=speed,
        ticks_atoms={"BTC-USDT": TICK, "ETH-USDT": TICK, "ETH-BTC": 1_000},
        **options,  # type: ignore[arg-type]
    )


def packed(content: bytes) -> bytes:
    """Return gzip bytes that are the same in every process: test names are made of them."""
    return gzip.compress(content, mtime=0)


class TestMoment:
    @pytest.mark.parametrize(
        ("now_ms", "loop", "position_ms"),
        [(0, 0, 0), (50_000, 0, 0), (59_999, 0, 9_999), (60_000, 1, 0), (85_000, 3, 5_000)],
    )
    def test_follows_from_the_clock(self, now_ms: int, loop: int, position_ms: int) -> None:
        moment = replay().moment(now_ms)

        assert (moment.loop, moment.position_ms) == (loop, position_ms)

    @pytest.mark.parametrize(
        ("speed", "position_ms"),
        [(Fraction(5), 5_000), (Fraction(1, 2), 500), (Fraction(15), 5_000)],
    )
    def test_runs_at_any_speed(self, speed: Fraction, position_ms: int) -> None:
        assert replay(speed=speed).moment(51_000).position_ms == position_ms

    def test_refuses_to_stand_still(self) -> None:
        with pytest.raises(ValueError, match="positive speed"):
            replay(speed=Fraction(0))

    def test_refuses_recordings_of_different_times(self) -> None:
        other = recording("ETH-USDT")
        other.start_ms = 99_000

        with pytest.raises(ValueError, match="same time"):
            replay(recording(), other)


class TestPrices:
    def test_the_first_pass_is_exactly_as_recorded(self) -> None:
        played = replay()

        prices = [played.price_atoms("BTC-USDT", 50_000 + second * 1_000) for second in range(10)]

        assert prices == [bid for bid, _ in recording().quotes]

    def test_the_seam_is_continuous(self) -> None:
        played = replay()

        for end in (60_000, 70_000, 80_000):
            before = played.price_atoms("BTC-USDT", end - 1)
            after = played.price_atoms("BTC-USDT", end)
            assert abs(after - before) <= before // 1_000

    def test_prices_do_not_drift_over_many_passes(self) -> None:
        played = replay()

        late = played.price_atoms("BTC-USDT", 60_000 + 1_000_000 * 10_000)

        assert late == 110 * ATOMS

    def test_a_cross_is_the_quotient(self) -> None:
        played = replay(
            recording(),
            recording("ETH-USDT", first=5, last=5),
            crosses={"ETH-BTC": ("ETH-USDT", "BTC-USDT")},
        )

        assert played.price_atoms("ETH-BTC", 50_000) == 5 * ATOMS // 100
        assert played.symbols == ["BTC-USDT", "ETH-USDT", "ETH-BTC"]

    def test_an_unknown_market_is_a_key_error(self) -> None:
        with pytest.raises(KeyError):
            replay().price_atoms("SOL-USDT", 0)


class TestDepth:
    def test_is_exact_in_the_first_pass(self) -> None:
        depth = replay().depth("BTC-USDT", 50_000)

        assert depth.bids == ((100 * ATOMS - TICK, ATOMS),)
        assert depth.asks == ((100 * ATOMS + TICK, 2 * ATOMS),)

    def test_is_on_the_tick_and_never_crossed(self) -> None:
        played = replay(
            recording(),
            recording("ETH-USDT", first=5, last=6),
            crosses={"ETH-BTC": ("ETH-USDT", "BTC-USDT")},
        )

        for now_ms in range(50_000, 95_000, 333):
            for symbol, tick in (("BTC-USDT", TICK), ("ETH-BTC", 1_000)):
                depth = played.depth(symbol, now_ms)
                assert depth.bids[0][0] < depth.asks[0][0]
                assert all(price % tick == 0 for price, _ in depth.bids + depth.asks)

    def test_adds_up_levels_that_fall_on_one_price(self) -> None:
        made = recording()
        made.depths = [([(1_500_000, 3), (1_200_000, 4)], [(2_500_000, 5)])]
        made.depth_times = [0]

        depth = replay(made).depth("BTC-USDT", 50_000)

        assert depth.bids == ((1_000_000, 7),)
        assert depth.asks == ((3_000_000, 5),)


class TestTrades:
    def test_yields_each_trade_once_whoever_asks_how_often(self) -> None:
        played = replay()

        numbers = [
            trade.number
            for now_ms in range(50_000, 75_000, 700)
            for trade in played.trades("BTC-USDT", after_ms=now_ms - 700, now_ms=now_ms)
        ]

        assert numbers == sorted(set(numbers))
        assert numbers == list(range(numbers[0], numbers[-1] + 1))

    def test_a_cross_has_none(self) -> None:
        played = replay(
            recording(), recording("ETH-USDT"), crosses={"ETH-BTC": ("ETH-USDT", "BTC-USDT")}
        )

        assert list(played.trades("ETH-BTC", after_ms=0, now_ms=99_000)) == []


class TestRecordingLoad:
    @pytest.mark.parametrize("symbol", ["BTC-USDT", "ETH-USDT"])
    def test_reads_what_is_shipped(self, symbol: str) -> None:
        found = recording_load(Path("data/replay") / f"{symbol}.jsonl.gz")

        assert found.symbol == symbol
        assert found.duration_ms > 650_000
        assert found.quote_times == sorted(found.quote_times)
        assert all(bids[0][0] < asks[0][0] for bids, asks in found.depths)
        assert all(len(bids) == 20 and len(asks) == 20 for bids, asks in found.depths)

    @pytest.mark.parametrize(
        ("_case", "content"),
        [
            ("not gzip", b"hello"),
            ("cut off", packed(b"x" * 1000)[:30]),
            ("not JSON", packed(b"hello\n")),
            ("empty", packed(b"")),
            ("another format", packed(json.dumps({"format": 2}).encode())),
            (
                "no records",
                packed(b'{"format":1,"symbol":"BTC-USDT","start_ms":1,"duration_ms":1}\n'),
            ),
            (
                "unknown record",
                packed(b'{"format":1,"symbol":"BTC-USDT","start_ms":1,"duration_ms":1}\n["z",1]\n'),
            ),
        ],
        # Compressed bytes carry the time: as part of a name they would change it.
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_names_a_damaged_file(self, tmp_path: Path, _case: str, content: bytes) -> None:
        path = tmp_path / "X.jsonl.gz"
        path.write_bytes(content)

        with pytest.raises(RecordingError, match=r"X\.jsonl\.gz"):
            recording_load(path)

    def test_names_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(RecordingError, match="none"):
            recording_load(tmp_path / "none")
