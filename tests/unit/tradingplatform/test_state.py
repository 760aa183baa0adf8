"""One supervisor for each directory, and what it writes down about its processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tradingplatform.supervisor import state as states
from tradingplatform.supervisor.state import AlreadyRunningError, ChildState, State


def test_second_lock_names_the_holder(tmp_path: Path) -> None:
    with states.lock(tmp_path), pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        states.lock(tmp_path)


def test_holder_is_known_while_it_lives(tmp_path: Path) -> None:
    with states.lock(tmp_path):
        assert states.holder(tmp_path) == os.getpid()

    assert states.holder(tmp_path) is None


def test_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    state = State(
        pid=17, url="http://localhost:1", phase="running", children={"web": ChildState(18, "5", 2)}
    )

    states.write(tmp_path, state)

    assert states.read(tmp_path) == state


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_damaged_state_counts_as_none(content: str, tmp_path: Path) -> None:
    (tmp_path / "supervisor.json").write_text(content)

    assert states.read(tmp_path) is None


def test_ends_processes_that_a_killed_supervisor_left(tmp_path: Path) -> None:
    ours = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    children = {
        "web": ChildState(ours.pid, states.start_time(ours.pid), 0),
        # The id was used again by a process that started at another time.
        "feed": ChildState(other.pid, "1", 0),
        "gone": ChildState(None, "", 0),
    }
    states.write(tmp_path, State(pid=1, url="", phase="running", children=children))

    ended = states.end_leftovers(tmp_path)

    assert ended == ["web"]
    assert ours.wait(60) == -9
    assert other.poll() is None
    other.kill()
    other.wait()
