"""
The order book alone against others that Python (or node) can call, in one interleaved run.

Each book is a process that lives through the whole benchmark and runs the same flow from an
empty book, in turn with the others, so that a busy second of the machine hits all alike.
Every book must report the same trades and volume, or its figure is not one.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.flow import MIXED, MOVES, TAKER_HEAVY, Message, make_flow, recorded_flow
from benchmarks.peers.environment import Peers
from benchmarks.report import ROOT, Options, Section, median, say
from exchange.core.units import ATOMS
from simulation.recorded import lobster
from simulation.recorded.data import RecordingAbsentError, recording

DEPTHS = (1_000, 100_000)
MESSAGES = 100_000
RUN_SECONDS_MAX = 60


class Runner:
    """One order book's process."""

    def __init__(self, name: str, command: list[str], flow: Path, directory: Path) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [*command, str(flow)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT) if name == "ours" else ""},
        )
        self.error = "" if self._line() == "ready" else self._why()

    def run(self) -> dict[str, Any] | None:
        """Run the flow once; None when the book cannot."""
        if self.error or self.process.stdin is None:
            return None
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        line = self._line()
        if not line:
            self.error = self._why()
            return None
        result: dict[str, Any] = json.loads(line)
        if result.get("error"):
            self.error = f"did not build the book within {result['preload_seconds']:.0f} s"
            return None
        return result

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        return self.process.stdout.readline().strip() if self.process.stdout else ""

    def _why(self) -> str:
        self.process.wait(RUN_SECONDS_MAX)
        error = self.process.stderr.read() if self.process.stderr else ""
        return error.strip().splitlines()[-1] if error.strip() else "ended without a word"


def measure(options: Options) -> Section:
    """Return the table of messages per second of every book on every flow."""
    peers = Peers()
    peers.install()
    options.work_dir.mkdir(parents=True, exist_ok=True)
    names = list(peers.commands)
    section = Section(
        key="book",
        title="Order book alone",
        header=("flow", "depth", *(f"{name}, msg/s" for name in names), "ours : best other"),
    )
    messages = MESSAGES // 10 if options.quick else MESSAGES
    for mix in (MIXED, TAKER_HEAVY, MOVES):
        for depth in DEPTHS[:1] if options.quick else DEPTHS:
            flow = make_flow(mix, depth=depth, messages=messages)
            _measure_flow(section, peers, flow, (mix.name, f"{depth:,d}"), options)
    try:
        flow = recorded_flow(_recorded_rows(), messages)
        _measure_flow(section, peers, flow, ("recorded, AMZN 2012-06-21", "as recorded"), options)
    except RecordingAbsentError as absent:
        section.notes.append(f"recorded flow left out: {absent}")
    section.notes += [
        "Prices and quantities are integers for every book; making each book's own order "
        "object is inside the time; preload is not; garbage collection is off while timed.",
        f"Medians of {options.rounds} interleaved runs; a book slower than 3 s for a flow is "
        "stopped there. All books that finished a flow reported equal trades and volume.",
        "Ours plans every take before it applies it and checks for self-trades.",
    ]
    section.notes += [f"left out: {name}: {why}" for name, why in peers.missing.items()]
    return section


def _recorded_rows() -> Iterator[tuple[int, int, int, int, int]]:
    """Yield the visible messages of the recorded day, prices in cents."""
    for row in lobster.messages(recording(lobster.ARCHIVE)):
        if lobster.NEW <= row.kind <= lobster.EXECUTE:
            price = row.price_atoms * 100 // ATOMS
            yield row.kind, row.order_id, int(row.side), price, row.quantity_atoms // ATOMS


def _measure_flow(
    section: Section,
    peers: Peers,
    flow: list[list[Message]],
    name: tuple[str, str],
    options: Options,
) -> None:
    messages = len(flow[1])
    path = options.work_dir / "flow.json"
    path.write_text(json.dumps(flow))
    runners = [
        Runner(peer, command, path, peers.directory) for peer, command in peers.commands.items()
    ]
    rates: dict[str, list[float]] = {runner.name: [] for runner in runners}
    totals: dict[str, tuple[int, int]] = {}
    try:
        for _ in range(options.rounds):
            for runner in runners:
                if result := runner.run():
                    rates[runner.name].append(result["messages"] / result["seconds"])
                    if result["messages"] == messages:
                        totals[runner.name] = (result["trades"], result["volume"])
    finally:
        for runner in runners:
            runner.close()
    different = {name for name, total in totals.items() if total != totals["ours"]}
    section.notes += [
        f"{runner.name}, {name[0]}, depth {name[1]}: {runner.error}"
        for runner in runners
        if runner.error
    ]
    section.notes += [f"{peer} traded differently: its figure is void" for peer in different]
    middle = {
        peer: median(values) for peer, values in rates.items() if values and peer not in different
    }
    others = [rate for peer, rate in middle.items() if peer != "ours"]
    ratio = middle["ours"] / max(others) if others else float("inf")
    cells = (f"{middle[peer]:,.0f}" if peer in middle else "-" for peer in rates)
    row = (*name, *cells, section.bound(ratio > 1, f"{ratio:.2f}"))
    section.rows.append(row)
    say("  " + " | ".join(row))
