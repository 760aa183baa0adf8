"""
Logging in while the exchange runs at its bound, against logging in while it idles.

Web, exchange, Redis and load generator share the machine. ``python -m benchmarks.login N``
is the measuring process; it needs Django settings of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import ROOT, Options, Section, median, percentile

LOGINS = 100
BOUND_MS = 250


def measure(options: Options) -> Section:
    """Return the table of login times."""
    logins = LOGINS // 10 if options.quick else LOGINS
    runs = [_child(logins) for _ in range(options.rounds)]
    section = Section(
        key="login",
        title="Login beside the running exchange",
        header=("exchange", "commands/s", "p50 ms", "p99 ms", "above idle, bound 250 ms"),
    )
    idle_p99 = median(run["idle_p99"] for run in runs)
    busy_p99 = median(run["busy_p99"] for run in runs)
    above = busy_p99 - idle_p99
    section.rows.append(
        ("idle", "0", f"{median(run['idle_p50'] for run in runs):.0f}", f"{idle_p99:.0f}", "")
    )
    section.rows.append(
        (
            "at its bound",
            f"{median(run['rate'] for run in runs):,.0f}",
            f"{median(run['busy_p50'] for run in runs):.0f}",
            f"{busy_p99:.0f}",
            section.bound(above < BOUND_MS, f"{above:.0f} ms"),
        )
    )
    section.notes.append(
        f"{logins} logins one after the other (bcrypt included), SQLite with synchronous=FULL, "
        f"everything on one machine; medians of {options.rounds} runs."
    )
    return section


def _child(logins: int) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.login", str(logins)],
        cwd=ROOT,
        env={**os.environ, "LOG_LEVEL": "error"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=900,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Measure once and print one JSON object."""
    import httpx

    from simulation.kill.setup import PASSWORD, USERNAME, prepare_exchange
    from simulation.kill.world import World

    logins = int(sys.argv[1])
    directory = Path(tempfile.mkdtemp(prefix="exb-"))
    world = World(directory, pauses="")
    result_file = directory / "load.json"
    credentials = {"username": USERNAME, "password": PASSWORD}

    def timed_logins() -> list[float]:
        times = []
        with httpx.Client(base_url=world.url, timeout=30.0) as client:
            for _ in range(logins):
                started = time.perf_counter()
                client.post("/api/auth/login", json=credentials).raise_for_status()
                times.append((time.perf_counter() - started) * 1_000)
        return times

    try:
        world.start_all()
        prepare_exchange(world.url)
        timed_logins()
        idle = timed_logins()
        world.start("load", "-m", "benchmarks.load", str(world.stop_file), str(result_file))
        time.sleep(4.0)
        busy = timed_logins()
        world.stop_file.touch()
        world.processes["load"].wait(30)
    finally:
        world.end()
    load = json.loads(result_file.read_text())
    shutil.rmtree(directory)
    result = {
        "idle_p50": percentile(idle, 0.5),
        "idle_p99": percentile(idle, 0.99),
        "busy_p50": percentile(busy, 0.5),
        "busy_p99": percentile(busy, 0.99),
        "rate": load["commands"] / load["seconds"],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
