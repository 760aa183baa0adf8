"""Degraded modes: a short pass over real processes holds, and what fails would be told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from simulation.degraded.databases import DATABASES
from simulation.degraded.expected import (
    ACTIONS,
    BEGIN,
    END,
    NAMES,
    POSTGRES,
    ROWS,
    SQLITE,
    expected_of,
    faults_on,
    table,
    with_table,
)
from simulation.degraded.probes import Seen, proved_by
from simulation.degraded.run import faults_of
from simulation.degraded.trader import Trader
from simulation.kill.history import ACCEPTED, REFUSED, UNKNOWN
from simulation.kill.world import World
from simulation.mongo_server import NoMongoError
from simulation.postgres_server import NoPostgresError
from simulation.prove import NOT_RUN

ROOT = Path(__file__).parents[2]
# The rows in which most is away; the others take twice the time and are part of ``prove``.
SHORT = {SQLITE: ("redis down", "database read-only"), POSTGRES: ("database down",)}
# A database that cannot be read is looked at twice, with sessions that are known and forgotten.
LOOKS = {"database down": 2}
# Other tests run beside it: what is answered is judged here, how soon by ``prove``.
SLOWER = "5"
DEGRADED = (sys.executable, "-m", "simulation", "degraded")


@pytest.mark.functional
@pytest.mark.parametrize("database", SHORT)
def test_p10_every_action_is_answered_in_time_while_a_part_is_away_and_recovers(
    database: str,
) -> None:
    words = [word for fault in SHORT[database] for word in ("--fault", fault)]
    done = subprocess.run(
        [*DEGRADED, "--database", database, "--slower", SLOWER, *words],
        cwd=ROOT,
        env={**os.environ, "LOG_LEVEL": "error"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    if done.returncode == NOT_RUN:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    looks = sum(LOOKS.get(fault, 1) for fault in SHORT[database])
    assert f"{looks * len(ACTIONS)} cells, 0 problems" in done.stdout


class TestVerdict:
    @pytest.mark.parametrize("fault", [row.fault for row in ROWS])
    @pytest.mark.parametrize("which", [0, -1])
    def test_takes_each_of_what_the_table_says(self, fault: str, which: int) -> None:
        expected = expected_of(fault)
        seen = {action: Seen(outcomes[which], 2.0) for action, outcomes in expected.items()}

        assert faults_of(fault, seen) == []

    @pytest.mark.parametrize("action", ACTIONS)
    def test_blames_another_outcome_and_a_late_one(self, action: str) -> None:
        seen = {name: Seen(told, 0.1) for name, (told,) in expected_of("redis down").items()}
        wrong = seen | {action: Seen("500 INTERNAL_ERROR", 0.1)}
        late = seen | {action: Seen(seen[action].outcome, 2.01)}

        assert faults_of("redis down", wrong) == [
            f"redis down, {action}: 500 INTERNAL_ERROR instead of {seen[action].outcome}"
        ]
        assert faults_of("redis down", late) == [f"redis down, {action}: answered after 2.01 s"]

    def test_names_all_that_may_be_told(self) -> None:
        seen = {name: Seen(told[0], 0.1) for name, told in expected_of("database down").items()}

        assert faults_of("database down", seen | {"place": Seen("500 INTERNAL_ERROR", 0.1)}) == [
            "database down, place: 500 INTERNAL_ERROR instead of"
            " 503 ENGINE_UNAVAILABLE or 503 SERVICE_UNAVAILABLE"
        ]


class TestOrders:
    @pytest.mark.parametrize(
        ("outcome", "proof"),
        [
            ("201", ACCEPTED),
            ("200", ACCEPTED),
            ("503 ENGINE_UNAVAILABLE", REFUSED),
            ("422 INSUFFICIENT_FUNDS", REFUSED),
            ("504 STATUS_UNKNOWN", UNKNOWN),
            ("500 INTERNAL_ERROR", UNKNOWN),
            ("ReadTimeout", UNKNOWN),
        ],
    )
    def test_what_an_answer_proves(self, outcome: str, proof: str) -> None:
        assert proved_by(outcome) == proof

    def test_what_else_an_order_was_told_is_a_problem(self) -> None:
        answers = iter(["201", "504 STATUS_UNKNOWN", "500 INTERNAL_ERROR"])
        done = threading.Event()

        def place() -> str:
            outcome = next(answers, "")
            if not outcome:
                done.set()
            return outcome or "201"

        with Trader(place) as trader:
            assert done.wait(30)

        assert trader.problems == ["an order got 500 INTERNAL_ERROR, 1 times"]

    def test_a_late_answer_is_a_problem(self) -> None:
        placed = threading.Event()

        def place() -> str:
            placed.set()
            return "201"

        with Trader(place, slower=0.0) as trader:
            assert placed.wait(30)

        assert trader.problems
        assert all("was answered after" in problem for problem in trader.problems)


@pytest.mark.parametrize("database", NAMES)
def test_a_database_can_be_away_in_each_way_that_the_table_has_for_it(
    database: str, tmp_path: Path
) -> None:
    try:
        made = DATABASES[database](World(tmp_path, pauses=""))
    except (NoPostgresError, NoMongoError) as error:
        pytest.skip(str(error))

    rows = {fault for fault in faults_on(database) if fault.startswith("database")}

    assert made.ways.keys() == rows
    made.remove()


class TestDocument:
    def test_tells_what_is_asserted(self) -> None:
        document = (ROOT / "docs" / "RELIABILITY.md").read_text()

        assert with_table(document) == document

    def test_keeps_what_stands_around_the_table(self) -> None:
        assert with_table(f"a\n{BEGIN}\nold\n{END}\nb") == f"a\n{BEGIN}\n\n{table()}\n\n{END}\nb"

    @pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
    def test_without_markers_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="no markers"):
            with_table(text)
