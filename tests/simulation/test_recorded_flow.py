"""
Recorded order flow through our book, and proof that the comparison can fail.

Every count is asserted exactly: what agrees, and each class of what does not. The recordings
may not be copied into the project; where they are absent these tests are skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exchange.core import book
from exchange.core.matching import plan_match
from simulation.recorded import __main__ as command
from simulation.recorded import bitstamp, bitstamp_log, lobster
from simulation.recorded.data import VARIABLE, RecordingAbsentError, recording

# Long enough to hold the opening and 5 % of the executions.
PREFIX = 8_400


def recorded(name: str) -> Path:
    try:
        return recording(name)
    except RecordingAbsentError as absent:
        pytest.skip(str(absent))


@pytest.fixture
def day() -> Path:
    return recorded(lobster.ARCHIVE)


@pytest.fixture(scope="module")
def log() -> list[bitstamp_log.Entry]:
    return bitstamp_log.entries(recorded(bitstamp_log.LOG))


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariants would show a planted fault at once; without them the recording alone must."""
    for owner in (book.BookSide, book.OrderBook):
        monkeypatch.setattr(owner, "check_invariants", lambda _: None)


class TestLobsterDay:
    @pytest.mark.usefixtures("day")
    def test_visible_levels_equal_the_recorded_after_every_message(self) -> None:
        counts = lobster.replay()

        assert counts == Counter(
            {
                "messages": 155_935,
                "messages of type 1": 77_381,
                "messages of type 2": 450,
                "messages of type 3": 66_685,
                "messages of type 4": 8_974,
                "messages of type 5": 2_445,
                "levels compared": 1_525_500,
                "levels seeded at the start": 10,
                "levels seeded when they came into view": 33_840,
                "levels dropped from the view": 35_386,
                "rows naming an order never submitted": 8_491,
                "rows naming an order that left the view with its level": 5_358,
                "known orders deleted whole": 54_630,
                "known orders deleted in part": 0,
                "marketable orders": 6_610,
                "executions at the best price": 8_974,
                "executions where the queue is fully known": 7_281,
                "executions first in a queue fully known": 7_272,
                # Each execution is in exactly one of the classes that follow.
                "executions as planned": 8_933,
                "executions not first in a queue fully known": 9,
                "executions that passed the pool of the opening": 26,
                "executions by a sweep that went beyond the view": 6,
            }
        )

    def test_a_level_that_differs_is_a_disagreement(self, day: Path) -> None:
        messages = list(lobster.messages(day, 200))
        altered = messages[150]
        price, quantity = altered.levels[altered.side][2]
        altered.levels[altered.side][2] = (price, quantity + 1)

        with pytest.raises(lobster.DisagreementError, match="message 151: expected"):
            lobster.LobsterReplay().run(iter(messages))


class TestBitstampMorning:
    def test_fills_trades_and_snapshots_are_those_we_plan(
        self, log: list[bitstamp_log.Entry]
    ) -> None:
        counts = bitstamp.BitstampReplay(log).run()

        assert counts == Counter(
            {
                "orders seeded": 182,
                "levels seeded": 24,
                "orders created": 24_894,
                "orders changed": 602,
                "orders deleted": 24_918,
                "orders left in the book": 179,
                "orders that changed their price": 36,
                # Channels out of step, and what is told twice.
                "orders created after their deletion": 5,
                "orders deleted before their creation": 5,
                "orders changed after their deletion": 1,
                "orders deleted after their deletion": 21,
                "trades recorded": 575,
                "trades planned": 575,
                "trades as planned, in order": 568,
                "trades as planned, in another order": 3,
                "trades a cent short of the plan": 4,
                "planned trades that the tape lacks": 0,
                "cancellations with the quantity left as ours": 24_308,
                "fills as planned": 1_140,
                # The two orders of each of the four trades a cent short; one deletion that
                # is told before the change it follows.
                "orders deleted instead of filled by the last fill planned": 4,
                "fills not as planned": 5,
                "planned fills that the recording lacks": 5,
                "quantities corrected upward": 4,
                "quantities cut to a budget at a new price": 15,
                "snapshots recorded": 5_011,
                "snapshots equal at their place": 4_958,
                "snapshots equal a few events earlier": 48,
                "snapshots equal a few events later": 5,
                "snapshots not equal": 0,
                "levels compared": 200_440,
                "levels equal at their place": 199_882,
            }
        )


def newest_first(side: Any, order: Any) -> None:
    INSERT(side, order)
    level = side.levels[order.price_atoms]
    for places in (level.queue, level.priorities):
        places.insert(level.head, places.pop())


def keeps_the_level_whole(side: Any, order: Any, quantity_atoms: int) -> None:
    REDUCE(side, order, quantity_atoms)
    if order.price_atoms in side.levels:
        side.levels[order.price_atoms].quantity_atoms += quantity_atoms


def ignores_the_limit(opposite: Any, **arguments: Any) -> Any:
    return plan_match(opposite, **{**arguments, "limit_atoms": 0})


INSERT = book.BookSide.insert
REDUCE = book.BookSide.reduce


@pytest.mark.usefixtures("unchecked")
class TestPlantedFaults:
    @pytest.mark.parametrize(
        ("name", "fault"), [("insert", newest_first), ("reduce", keeps_the_level_whole)]
    )
    def test_show_in_the_lobster_day(
        self,
        day: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
        fault: Callable[..., Any],
    ) -> None:
        honest = lobster.LobsterReplay().run(lobster.messages(day, PREFIX))
        monkeypatch.setattr(book.BookSide, name, fault)

        try:
            counts = lobster.LobsterReplay().run(lobster.messages(day, PREFIX))
        except lobster.DisagreementError:
            assert fault is keeps_the_level_whole
        else:
            assert fault is newest_first
            planned = "executions as planned"
            assert counts[planned] < 0.9 * honest[planned]

    @pytest.mark.parametrize(
        ("owner", "name", "fault"),
        [
            (book.BookSide, "insert", newest_first),
            (book.BookSide, "reduce", keeps_the_level_whole),
            (bitstamp, "plan_match", ignores_the_limit),
        ],
        ids=["insert", "reduce", "plan_match"],
    )
    def test_show_in_the_bitstamp_morning(
        self,
        log: list[bitstamp_log.Entry],
        monkeypatch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        fault: Callable[..., Any],
    ) -> None:
        monkeypatch.setattr(owner, name, fault)

        counts = bitstamp.BitstampReplay(log[:12_000]).run()

        assert counts["snapshots not equal"] + counts["fills not as planned"] > 20


class TestRecordingsAbsent:
    def test_command_names_each_and_leaves_it_out(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path))

        code = command.main()

        lines = capsys.readouterr().out.splitlines()
        assert code == 0
        assert lines == [
            f"LOBSTER AMZN 2012-06-21: left out, {lobster.ARCHIVE} is not in {tmp_path}; "
            f"set {VARIABLE} to where it lies",
            f"Bitstamp BTC/USD 2015-05-01: left out, {bitstamp_log.LOG} is not in {tmp_path}; "
            f"set {VARIABLE} to where it lies",
        ]
