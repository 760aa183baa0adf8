"""Kill -9 of exchange, Redis and web under load: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.kill.history import Claim, History, Tail, read_claims
from simulation.kill.verdict import contradictions

ROOT = Path(__file__).parents[2]
KILLS = 17
# A machine that is busy with other things strikes less often in its time, and says so.
SECONDS = 90
STRIKES_MIN = 6


@pytest.mark.functional
def test_killing_every_process_in_turn_loses_and_doubles_nothing() -> None:
    words = ["--kills", str(KILLS), "--seconds", str(SECONDS)]
    done = subprocess.run(
        [sys.executable, "-m", "simulation", "kill", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    sys.stdout.write(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    struck = re.search(r"(\d+) of \d+ kills", done.stdout)
    assert struck
    assert int(struck[1]) >= STRIKES_MIN


class TestHistory:
    def test_an_answer_counts_for_its_client_id(self, tmp_path: Path) -> None:
        history = History(tmp_path / "client.jsonl")
        for result, order_id in (("unknown", 0), ("accepted", 7)):
            history.write("sent", account_id=1, client_id="a")
            history.write("answered", account_id=1, client_id="a", result=result, order_id=order_id)

        claim = read_claims([tmp_path / "client.jsonl"])[1, "a"]

        assert claim.accepted
        assert not claim.unknown
        assert claim.order_ids == {7}

    def test_a_request_without_an_answer_is_unknown(self, tmp_path: Path) -> None:
        history = History(tmp_path / "client.jsonl")
        history.write("sent", account_id=1, client_id="a")

        assert read_claims([tmp_path / "client.jsonl"])[1, "a"].unknown

    def test_a_torn_last_line_is_left_out(self, tmp_path: Path) -> None:
        path = tmp_path / "client.jsonl"
        History(path).write("sent", account_id=1, client_id="a")
        path.write_text(path.read_text() + '{"event": "answered", "acc')

        assert list(read_claims([path])) == [(1, "a")]

    def test_tail_counts_definite_answers_once(self, tmp_path: Path) -> None:
        path = tmp_path / "client.jsonl"
        history, tail = History(path), Tail(path)
        counts = []
        for result in ("accepted", "unknown", "refused", "not_sent"):
            history.write("answered", account_id=1, client_id="a", result=result)
            counts.append(tail.look())

        assert counts == [1, 1, 2, 2]


OPEN, CANCELLED = 1, 4
ACCEPTED = Claim(1, "a", ["accepted"], {7})
REFUSED = Claim(1, "a", ["refused"])


@pytest.mark.parametrize(
    ("_case", "claim", "kind", "found", "wrong"),
    [
        ("accepted and there", ACCEPTED, "accepted", [(7, OPEN)], 0),
        ("accepted and lost", ACCEPTED, "accepted", [], 1),
        ("accepted as another order", ACCEPTED, "accepted", [(8, OPEN)], 1),
        ("accepted and doubled", ACCEPTED, "accepted", [(7, OPEN), (8, OPEN)], 2),
        ("refused and absent", REFUSED, "refused", [], 0),
        ("refused and there", REFUSED, "refused", [(7, OPEN)], 1),
        ("unknown and there", Claim(1, "a", ["unknown"]), "unknown", [(7, OPEN)], 0),
        ("unknown and absent", Claim(1, "a", ["unknown"]), "unknown", [], 0),
        (
            "told cancelled, still open",
            Claim(1, "a", ["accepted"], {7}, 0, True),
            "accepted",
            [(7, OPEN)],
            1,
        ),
        (
            "told cancelled and is",
            Claim(1, "a", ["accepted"], {7}, 0, True),
            "accepted",
            [(7, CANCELLED)],
            0,
        ),
    ],
)
def test_verdict_sees_what_rows_contradict(
    _case: str, claim: Claim, kind: str, found: list[tuple[int, int]], wrong: int
) -> None:
    assert len(list(contradictions(claim, kind, found))) == wrong
