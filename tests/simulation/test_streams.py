"""Every channel is rebuilt exactly while frames, subscriptions and the projector are lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulation.streams.listening import private_differences, public_differences
from simulation.streams.replicas import AccountReplica, BookReplica, StateReplica, TapeReplica

ROOT = Path(__file__).parents[2]
SECONDS = 6


@pytest.mark.functional
def test_p14_no_gap_goes_unnoticed_on_any_channel() -> None:
    """P14: snapshot before + events = snapshot after; ten minutes of it in ``make prove``."""
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "streams", "--seconds", str(SECONDS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    noticed = re.search(r"gaps noticed: (\d+)", done.stdout)
    assert noticed
    assert int(noticed[1]) > 0
    assert "0 undetected gaps" in done.stdout


def _frame(kind: str, seq: int, data: Any = None, **more: Any) -> dict[str, Any]:
    return {"channel": "x", "epoch": 1, "seq": seq, "type": kind, "data": data, **more}


class TestComparison:
    """The proof would notice: each kind of replica that missed something differs."""

    def test_a_book_that_missed_a_change_differs(self) -> None:
        replica = BookReplica()
        replica.take(_frame("snapshot", 1, {"bids": [["1", "2"]], "asks": []}))
        listener: Any = type("Follower", (), {"replicas": {"book:X": replica}})()
        newer = _frame("snapshot", 2, {"bids": [["1", "3"]], "asks": []})

        assert public_differences(listener, {"book:X": newer}) == ["book:X"]
        replica.take(_frame("delta", 2, {"bids": [["1", "3"]], "asks": []}, prev=1))
        assert public_differences(listener, {"book:X": newer}) == []

    def test_a_tape_keeps_what_a_snapshot_holds(self) -> None:
        replica = TapeReplica(length=3)
        replica.take(_frame("snapshot", 2, {"trades": [{"id": "2"}, {"id": "1"}]}))
        replica.take(_frame("update", 4, {"trades": [{"id": "4"}, {"id": "3"}]}, prev=2))
        replica.take(_frame("update", 9, {"trades": [{"id": "9"}]}, prev=8))

        assert [trade["id"] for trade in replica.trades] == ["4", "3", "2"]
        assert (replica.gaps, replica.needs_snapshot) == (1, True)

    def test_a_state_is_compared_without_when_it_was_published(self) -> None:
        replica = StateReplica()
        replica.take(_frame("snapshot", 1, {"seq": 1, "time": 5, "epoch": 1, "price": "7"}))
        replica.take(_frame("update", 9, {"seq": 9, "time": 8, "epoch": 1, "price": "8"}))

        assert (replica.data, replica.gaps) == ({"price": "8"}, 0)

    def test_an_account_that_missed_a_fill_differs(self) -> None:
        replica = AccountReplica()
        snapshots: dict[str, dict[str, Any]] = {
            name: {**_frame("snapshot", 1, {name: []}), "channel": name}
            for name in ("orders", "fills", "balances")
        }
        for frame in snapshots.values():
            replica.take(frame)

        assert private_differences(replica, snapshots) == []
        snapshots["fills"]["data"]["fills"].append({"trade_id": "7"})
        assert private_differences(replica, snapshots) == ["fills"]
        assert private_differences(None, snapshots) == ["orders", "fills", "balances"]
