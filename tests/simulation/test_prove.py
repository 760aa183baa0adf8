"""A long proof that fails is named at the end and keeps no other from running."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulation import __main__ as command
from simulation import prove
from simulation.prove import Part, Result, parts, run_parts, table

ROOT = Path(__file__).resolve().parents[2]


def test_each_part_is_a_command_that_exists_or_tests_that_do() -> None:
    for part in parts():
        if part.words[0] == "simulation":
            assert command._parser().parse_args(list(part.words[1:])).action == part.words[1]
        else:
            paths = [word for word in part.words if word.partition("/")[0] == "tests"]
            assert paths
            assert all((ROOT / path.partition("::")[0]).exists() for path in paths)


def test_names_are_given_once() -> None:
    names = [part.name for part in parts()]

    assert len(names) == len(set(names))


def test_what_is_searched_is_at_least_what_was_asked_for() -> None:
    found = {part.name: part.variables for part in parts(examples=50_000)}

    assert int(found["rounding"]["SEARCH_FACTOR"]) * prove.ROUNDING_EXAMPLES >= 100_000
    assert int(found["faulty prices"]["SEARCH_FACTOR"]) * prove.PRICE_SEEDS >= 1_000
    assert int(found["state machine"]["SEARCH_FACTOR"]) * prove.MACHINE_EXAMPLES >= 50_000


@pytest.mark.parametrize(
    ("examples", "path"),
    [
        (prove.ROUNDING_EXAMPLES, "tests/property/test_rounding.py"),
        (prove.MACHINE_EXAMPLES, "tests/property/test_engine_machine.py"),
    ],
)
def test_the_searches_are_as_long_by_day_as_they_are_reckoned(examples: int, path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")

    assert sum(map(int, re.findall(r"search\((\d+)", text))) == examples


def test_every_part_runs_and_those_that_failed_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    codes = {"first": 0, "second": 3, "third": 0, "fourth": prove.NOT_RUN}
    ran: list[str] = []

    def run(words: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        assert words[:2] == [sys.executable, "-m"]
        ran.append(words[2])
        return subprocess.CompletedProcess(words, codes[words[2]])

    monkeypatch.setattr(prove.subprocess, "run", run)
    said: list[str] = []

    results = run_parts([Part(name, (name,)) for name in codes], say=said.append)

    assert ran == list(codes)
    assert said == [f"=== {number} of 4: {name}" for number, name in enumerate(codes, 1)]
    lines = table(results)
    assert ["FAILED with 3" in line for line in lines] == [False, True, False, False, False]
    assert [line.endswith("held") for line in lines] == [True, False, True, False, False]
    assert lines[-1].endswith("FAILED: second; NOT RUN: fourth")


def test_the_exit_code_says_whether_all_held(monkeypatch: pytest.MonkeyPatch) -> None:
    for codes, expected in (((0, 0), 0), ((0, 1), 1), ((0, prove.NOT_RUN), 0)):
        results = [Result("faults", code, 60.0) for code in codes]
        monkeypatch.setattr(prove, "run_parts", lambda chosen, say, results=results: results)

        assert command.main(["prove", "--only", "faults", "--only", "crash"]) == expected


def test_what_lacks_a_program_did_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulation.nginx_server.find_nginx", lambda: None)

    assert command.main(["overload"]) == prove.NOT_RUN


def test_a_part_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit, match="no part is called"):
        command.main(["prove", "--only", "nothing"])
