"""The supervisor keeps real processes running and leaves none behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tradingplatform.supervisor import state as states
from tradingplatform.supervisor.child import BACKOFF_FIRST_S

SCRIPT = Path(__file__).with_name("supervised.py")
ROOT = SCRIPT.parents[2]


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended; only nobody has asked for its exit code.
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


class Running:
    """A supervisor in a process of its own, its output in a file."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir
        self.output = var_dir / "output"
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), str(var_dir)],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )

    def lines(self, word: str) -> list[list[str]]:
        """Return the words after ``| WORD`` of every such line."""
        found = [line.split("| ", 1)[-1].split() for line in self.output.read_text().splitlines()]
        return [words[1:] for words in found if words and words[0] == word]

    def child(self, name: str) -> states.ChildState | None:
        state = states.read(self.var_dir)
        return state.children.get(name) if state else None


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path)
    wait_until(lambda: bool(running.lines("working")) and bool(running.lines("stubborn")))
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)


def test_killed_child_comes_back(running: Running) -> None:
    first = int(running.lines("working")[0][0])

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: len(running.lines("working")) == 2)
    assert int(running.lines("working")[1][0]) != first
    wait_until(lambda: (child := running.child("work")) is not None and child.restarts == 1)
    assert "work ended (SIGKILL), restarting" in running.output.read_text()


def test_child_that_dies_again_and_again_is_restarted_more_slowly(running: Running) -> None:
    waits = []
    for count in range(1, 4):
        wait_until(lambda count=count: len(running.lines("working")) == count)  # type: ignore[misc]
        os.kill(int(running.lines("working")[-1][0]), signal.SIGKILL)
        started = time.monotonic()
        wait_until(lambda count=count: len(running.lines("working")) == count + 1)  # type: ignore[misc]
        waits.append(time.monotonic() - started)

    # Not how long it took (a busy machine adds to that), but that it was waited for.
    for waited, planned_s in zip(waits, (1, 2, 4), strict=True):
        assert waited >= 0.9 * planned_s * BACKOFF_FIRST_S


def test_runs_a_preparation_once(running: Running) -> None:
    time.sleep(0.6)

    assert len(running.lines("prepared")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_nothing_running(running: Running, number: signal.Signals) -> None:
    work, grandchild = (int(text) for text in running.lines("working")[0])
    stubborn = int(running.lines("stubborn")[0][0])

    running.process.send_signal(number)

    assert running.process.wait(60) == 0
    assert [pid for pid in (work, grandchild, stubborn) if alive(pid)] == []
    assert "stubborn did not stop in time and was killed" in running.output.read_text()
    state = states.read(running.var_dir)
    assert state is not None
    assert state.phase == "stopped"


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_children_end_with_a_killed_supervisor(running: Running) -> None:
    work = int(running.lines("working")[0][0])

    running.process.kill()
    running.process.wait()

    wait_until(lambda: not alive(work))
    for name in ("stubborn", "work"):
        child = running.child(name)
        assert child is not None
    # What ignored the signal is ended by the next start.
    assert "stubborn" in states.end_leftovers(running.var_dir)
