"""A process ends exactly at the point, and at the time, that it was told."""

import signal
import subprocess
import sys

import pytest

from exchange.crash_points import CrashPoints

REACHES = """
import sys
from exchange.crash_points import enable_from_environment, reach
enable_from_environment(None)
for number in range(1, 4):
    reach("in_batch")
    print(number, "in_batch", flush=True)
    reach("in_commit")
    print(number, "in_commit", flush=True)
"""


def test_ends_as_by_kill_9_at_the_second_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REACHES],
        env={"EXCHANGE_CRASH_AT": "in_commit:2", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split("\n") == ["1 in_batch", "1 in_commit", "2 in_batch", ""]


@pytest.mark.parametrize(
    "specification", ["in_comit:1", "in_commit", "in_commit:0", "in_commit:-1", "in_commit:x", ""]
)
def test_an_unknown_point_or_number_is_refused(specification: str) -> None:
    with pytest.raises(ValueError, match="EXCHANGE_CRASH_AT: expected one of"):
        CrashPoints().end_at(specification)
