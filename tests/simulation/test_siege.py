"""The siege itself: a short one holds, and what it looks for would be found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulation.siege.races import _faults, codes
from simulation.siege.requests import Operation, Request, corpus
from simulation.siege.run import faults_of_logs
from simulation.siege.verdict import Answer, Verdict

ROOT = Path(__file__).resolve().parents[2]
REQUEST = Request("orders_place", "POST", "/api/orders", {}, b"{}", "corpus")
ENVELOPE = {"error": {"code": "NOT_FOUND", "message": "no", "request_id": "x"}}


def answer(status: int, body: object, *, kind: str = "application/json", seconds: float = 0.1):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, kind, text, seconds)


class TestSiege:
    @pytest.mark.functional
    def test_p12_t2_t7_t26_t37_real_processes_hold_against_races_and_bad_requests(self) -> None:
        command = [sys.executable, "-m", "simulation", "siege", "--requests", "1000"]

        done = subprocess.run(
            [*command, "--seconds", "5"],
            cwd=ROOT,
            env={**os.environ, "LOG_LEVEL": "error"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
        assert "4 races, 0 wrong results" in done.stdout
        assert "\n0 faults\n" in done.stdout
        assert "logs, ledger and audit log: 0 faults" in done.stdout


class TestVerdict:
    @pytest.mark.parametrize(
        "found",
        [
            answer(200, {"ok": True}),
            answer(204, b""),
            answer(404, ENVELOPE),
            answer(503, {"error": {**ENVELOPE["error"], "code": "ENGINE_BUSY"}}),
        ],
    )
    def test_takes_what_an_answer_may_be(self, found: Answer) -> None:
        verdict = Verdict()
        verdict.take(REQUEST, found)

        assert (verdict.asked, verdict.faults_found) == (1, 0)

    @pytest.mark.parametrize(
        ("_case", "found"),
        [
            ("a server error", answer(500, {"error": {**ENVELOPE["error"], "code": "X"}})),
            ("unavailable", answer(503, {"error": {**ENVELOPE["error"], "code": "NONE"}})),
            ("a page", answer(404, b"<html>", kind="text/html")),
            ("a page that succeeds", answer(200, b"<html>", kind="text/html")),
            ("broken", answer(400, b"{", kind="application/json")),
            ("no envelope", answer(400, {"detail": "no"})),
            ("no request id", answer(400, {"error": {"code": "A", "message": "b"}})),
            ("an empty refusal", answer(400, b"", kind="")),
            ("checks of another", answer(503, {"checks": {}})),
            ("slow", answer(200, {}, seconds=2.1)),
        ],
    )
    def test_blames_anything_else(self, _case: str, found: Answer) -> None:
        verdict = Verdict()
        verdict.take(REQUEST, found)

        assert verdict.faults_found == 1
        assert "/api/orders" in verdict.faults[0]


class TestRaces:
    def test_a_result_that_is_not_exact_is_told(self) -> None:
        results = [(201, {}), (201, {}), (422, {"error": {"code": "INSUFFICIENT_BALANCE"}})]
        found = codes(results)

        assert _faults(("orders", found, {"201": 2, "422 INSUFFICIENT_BALANCE": 1})) == []
        assert len(_faults(("orders", found, {"201": 1, "422 INSUFFICIENT_BALANCE": 2}))) == 1


class TestLogs:
    def test_t37_a_secret_and_a_forged_line_are_found(self, tmp_path: Path) -> None:
        good, bad = tmp_path / "good.log", tmp_path / "bad.log"
        good.write_text('{"event": "a"}\n{"event": "b\\\\r\\\\nc"}\n')
        bad.write_text('{"event": "hunter2"}\nforged line\n[]\n')

        assert faults_of_logs([good], {"hunter2"}) == []
        assert [fault.split(" ", 1)[0] for fault in faults_of_logs([bad], {"hunter2"})] == [
            "bad.log:1",
            "bad.log:2",
            "bad.log:3",
        ]

    def test_no_logs_at_all_are_a_fault(self) -> None:
        assert faults_of_logs([], {"hunter2"}) == ["nothing was logged"]


class TestCorpus:
    def test_the_same_seed_draws_the_same_hostile_requests(self) -> None:
        operation = Operation(
            name="orders_place",
            method="POST",
            path="/api/orders/{order_id}",
            path_names=("order_id",),
            query_names=("limit",),
            bodies=({"price": "1"},),
        )

        first, again = (
            [request for request, _ in zip(corpus([operation], 7), range(300), strict=False)]
            for _ in range(2)
        )

        assert first == again
        assert len({request.body for request in first}) > 50
        assert len({request.target for request in first}) > 50
        assert {request.method for request in first} > {"POST", "DELETE"}
