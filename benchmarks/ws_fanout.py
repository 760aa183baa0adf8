"""
One frame to many subscribers from one web process, against a bare ``websockets`` broadcast.

From the publication in Redis to the last client; both servers run with uvloop, one after the
other, under the same load process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.report import ROOT, Options, Section, median, say
from benchmarks.ws_site import Site, free_port, memory_bytes, running_site

SUBSCRIBERS = 1_000
PER_S = 20
FEW = 100
IDLE = 10_000
SECONDS = 5.0
BOUND_P99_MS = 100
BOUND_FEW_P50_MS = 5
BOUND_SHARE = 0.5
# Clients that never read, beside some that do, with frames as large as a busy book's.
SLOW = 50
READERS = 10
SLOW_PADDING = 40_000
SLOW_TURNS = 3
BOUND_SLOW_SHARE = 1.5
BOUND_SLOW_MB = 64


def measure(options: Options) -> Section:
    """Return the table of latency, throughput and memory."""
    seconds = 0.5 if options.quick else SECONDS
    many = 100 if options.quick else SUBSCRIBERS
    ours: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    few: list[dict[str, Any]] = []
    with running_site(users=0, exchange=False) as site:
        job = {"seconds": seconds, "per_s": PER_S, "redis": site.environ["REDIS_URL"]}
        for _ in range(options.rounds):
            with _bare_server() as port:
                bare.append(_load({**job, "port": port, "number": many, "bare": True}, site))
            ours.append(_load({**job, "port": site.port, "number": many, "bare": False}, site))
            few.append(_load({**job, "port": site.port, "number": FEW, "bare": False}, site))
            say(f"  bare {bare[-1]}\n  ours {ours[-1]}\n  few {few[-1]}")
        slow = _slow(site, seconds)
        say(f"  slow {slow}")
        idle = _idle(site, 200 if options.quick else IDLE)
    section = Section(
        key="ws_fanout",
        title="WebSocket fan-out from one web process",
        header=("server", "subscribers", "p50", "p99", "frames/s flat out", "bound"),
    )
    share = median(result["rate"] for result in ours) / median(result["rate"] for result in bare)
    p99 = median(result["p99"] for result in ours)
    p50 = median(result["p50"] for result in few)
    section.rows = [
        _row("bare broadcast", many, bare, ""),
        _row(
            "this platform",
            many,
            ours,
            section.bound(p99 < BOUND_P99_MS, f"p99 < {BOUND_P99_MS} ms")
            + ", "
            + section.bound(share >= BOUND_SHARE, f"{share:.2f} of bare, bound {BOUND_SHARE}"),
        ),
        _row(
            "this platform",
            FEW,
            few,
            section.bound(p50 < BOUND_FEW_P50_MS, f"p50 < {BOUND_FEW_P50_MS} ms"),
        ),
    ]
    control, beside = median(slow["alone"]), median(slow["beside"])
    section.rows.append(
        (
            f"this platform beside {SLOW} clients that never read",
            str(READERS),
            "",
            f"{beside:.1f} ms, alone {control:.1f} ms",
            "",
            section.bound(beside < BOUND_P99_MS, f"p99 < {BOUND_P99_MS} ms")
            + ", "
            + section.bound(
                beside <= control * BOUND_SLOW_SHARE,
                f"{beside / control:.2f} of alone, bound {BOUND_SLOW_SHARE}",
            )
            + ", "
            + section.bound(
                slow["grown_mb"] < BOUND_SLOW_MB,
                f"memory +{slow['grown_mb']:.0f} MB, bound {BOUND_SLOW_MB}",
            ),
        )
    )
    section.notes = [
        f"Latency at {PER_S} frames/s of 300 bytes, from PUBLISH to each client; the bare server "
        f"is told over a socket. Medians of {options.rounds} x {seconds:g} s.",
        idle,
    ]
    return section


def _row(name: str, subscribers: int, results: list[dict[str, Any]], bound: str) -> tuple[str, ...]:
    return (
        name,
        f"{subscribers:,d}",
        f"{median(result['p50'] for result in results):.1f} ms",
        f"{median(result['p99'] for result in results):.1f} ms",
        f"{median(result['rate'] for result in results):,.0f}",
        bound,
    )


def _slow(site: Site, seconds: float) -> dict[str, Any]:
    """Return what readers notice of clients that never read, in turn with a control."""
    job = {
        "port": site.port,
        "number": READERS,
        "bare": False,
        "redis": site.environ["REDIS_URL"],
        "seconds": seconds,
        "per_s": PER_S,
        "slow": SLOW,
        "turns": SLOW_TURNS,
        "padding": SLOW_PADDING,
        "web_pid": site.web_pid,
    }
    return _load(job, site)


def _idle(site: Site, number: int) -> str:
    """Return a sentence about what idle connections cost."""
    before = memory_bytes(site.web_pid)
    job = {"port": site.port, "number": number, "bare": False, "seconds": 0}
    process = _start({**job, "redis": site.environ["REDIS_URL"]}, site)
    assert process.stdout is not None
    assert process.stdin is not None
    started = time.monotonic()
    process.stdout.readline()
    seconds = time.monotonic() - started
    each = (memory_bytes(site.web_pid) - before) / number
    process.stdin.write("\n")
    process.stdin.flush()
    left = json.loads(process.stdout.readline())["left"]
    process.wait()
    return (
        f"{left:,d} idle connections, one channel each, stayed open: {each / 1024:.1f} KiB each "
        f"in the web process; opened in {seconds:.0f} s."
    )


def _load(job: dict[str, Any], site: Site) -> dict[str, Any]:
    process = _start(job, site)
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit("the load process failed")
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result


def _start(job: dict[str, Any], site: Site) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ws_fanout_load"],
        env=site.environ,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(job) + "\n")
    process.stdin.flush()
    return process


@contextmanager
def _bare_server() -> Iterator[int]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.ws_bare", str(port)], cwd=ROOT)
    try:
        time.sleep(1.5)
        yield port
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    say(measure(Options()).markdown())
