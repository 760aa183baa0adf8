"""
Long proofs from the command line: ``python -m simulation [prove]``.

Prints what was done and how often; a failure prints its seed and a shrunk list of commands,
and exits with 1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Protocol

from simulation import crash, margin_compare, margin_soak
from simulation.compare import OPEN_ORDERS_MOST, Comparison, run, shrink
from simulation.mirrors import Disagreement
from simulation.special_commands import CommandSource

COMMANDS_PER_SEED = 50_000
COMMANDS_PER_CROWDED_SEED = 2_500
COMMANDS_PER_MARGIN_SEED = 10_000
# Of each seed's commands so many (one in ten) also go to the engine alone.
SOAKED_SHARE = 10
# Every so many seeds one lets books grow until the limits on work are met.
CROWDED_EVERY = 5


class Reported(Protocol):
    """A proof that says whether all held, and what it saw."""

    def run(self) -> bool:
        """Run it."""

    def lines(self) -> list[str]:
        """Return what to print."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    actions = parser.add_subparsers(dest="action")
    prove = actions.add_parser("prove", help="everything, at full length")
    prove.add_argument("--commands", type=int, default=1_000_000)
    compare = actions.add_parser("compare", help="engine against the naive exchange, one seed")
    compare.add_argument("--crowded", action="store_true")
    digest = actions.add_parser("hash", help="print the state hash after one seed's commands")
    margin = actions.add_parser("margin", help="the same with perpetual markets, one seed")
    for action in (compare, digest, margin):
        action.add_argument("--seed", type=int, default=1)
        action.add_argument("--commands", type=int, default=20_000)
    kill = actions.add_parser("kill", help="kill -9 exchange, Redis and web under load")
    kill.add_argument("--kills", type=int, default=20, help="of each of the three")
    kill.add_argument("--seed", type=int, default=1)
    kill.add_argument("--seconds", type=float, default=0, help="strike no longer (0: no limit)")
    streams = actions.add_parser("streams", help="every channel rebuilt while frames are lost")
    streams.add_argument("--seconds", type=float, default=60.0)
    streams.add_argument("--seed", type=int, default=1)
    fall = actions.add_parser("crash", help="one crash that fires very many stops")
    for action in (fall, prove):
        action.add_argument("--stops", type=int, default=100_000)
    prove.add_argument("--kills", type=int, default=300)
    takeovers = actions.add_parser(
        "takeovers", help="a standby replaces its leader, again and again"
    )
    takeovers.add_argument("--seed", type=int, default=1)
    takeovers.add_argument("--seconds", type=float, default=0, help="no longer (0: no limit)")
    network = actions.add_parser("network", help="seven hosts, links cut and healed under load")
    network.add_argument("--seed", type=int, default=1)
    network.add_argument("--seconds", type=float, default=0, help="no longer (0: no limit)")
    for action in (network, prove):
        action.add_argument("--cuts", type=int, default=24)
    actions.add_parser("faults", help="ten faults planted in our code, each to be noticed")
    for action in (takeovers, prove):
        action.add_argument("--takeovers", type=int, default=200)
    siege = actions.add_parser("siege", help="races and bad requests against real processes")
    siege.add_argument("--seconds", type=float, default=0, help="bombard no longer (0: no limit)")
    siege.add_argument("--seed", type=int, default=1)
    for action in (siege, prove):
        action.add_argument("--requests", type=int, default=100_000)
    actions.add_parser("deleveraging", help="a winner is closed on real processes")
    backlog = actions.add_parser("backlog", help="very many accounts fall while all send orders")
    for action in (backlog, prove):
        action.add_argument("--accounts", type=int, default=1_000)
    degraded = actions.add_parser("degraded", help="each part away once, every action asserted")
    degraded.add_argument("--fault", action="append", help="only this row; may be repeated")
    degraded.add_argument("--write", action="store_true", help="the table to docs/RELIABILITY.md")
    for action in (degraded, prove):
        action.add_argument("--passes", type=int, default=1, help="over degraded modes")
    overload = actions.add_parser("overload", help="ten times what can be done is asked for")
    overload.add_argument("--seconds", type=float, default=60.0)
    prove.add_argument("--stream-seconds", type=float, default=600.0)
    soak = actions.add_parser("soak", help="modest load for long: memory, files and logs stay")
    soak.add_argument("--minutes", type=float, default=60.0)
    soak.add_argument("--seed", type=int, default=1)
    corruption = actions.add_parser("corruption", help="a database damaged, then started from")
    corruption.add_argument("--seed", type=int, default=1)
    for action in (corruption, prove):
        action.add_argument("--flips", type=int, default=500)
    prove.add_argument("--soak-minutes", type=float, default=60.0)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen proof and return the exit code."""
    words = sys.argv[1:] or ["prove"] if arguments is None else arguments
    options = _parser().parse_args(words)
    run_chosen: dict[str | None, Callable[[argparse.Namespace], int]] = {
        "hash": lambda o: _print_hash(o.seed, o.commands),
        "margin": lambda o: _compare_margin(o.seed, o.commands),
        "compare": lambda o: _compare_one(o.seed, o.commands, crowded=o.crowded),
        "kill": lambda o: _kill(o.kills, o.seed, o.seconds),
        "takeovers": lambda o: _takeovers(o.takeovers, o.seed, o.seconds),
        "network": lambda o: _network(o.cuts, o.seed, o.seconds),
        "faults": lambda _: _faults(),
        "streams": lambda o: _streams(o.seconds, o.seed),
        "crash": lambda o: _crash(o.stops),
        "corruption": lambda o: _corruption(o.flips, o.seed),
        "soak": lambda o: _soak(o.minutes, o.seed),
        "degraded": _degraded,
        "overload": lambda o: _overload(o.seconds),
        "siege": lambda o: _siege(o.requests, o.seed, o.seconds),
        "deleveraging": lambda _: _deleveraging(),
        "backlog": lambda o: _backlog(o.accounts),
        "prove": _prove,
    }
    return run_chosen[options.action](options)


def _prove(options: argparse.Namespace) -> int:
    return (
        _compare_many(options.commands)
        or _compare_margin_many(options.commands)
        or _crash(options.stops)
        or _kill(options.kills, seed=1)
        or _apart("takeovers", "--takeovers", str(options.takeovers))
        or _apart("network", "--cuts", str(options.cuts))
        or _faults()
        or _apart("streams", "--seconds", str(options.stream_seconds))
        or _apart("siege", "--requests", str(options.requests))
        or _apart("corruption", "--flips", str(options.flips))
        or _apart("soak", "--minutes", str(options.soak_minutes))
        or _apart("degraded", "--passes", str(options.passes))
        or _apart("deleveraging")
        or _apart("backlog", "--accounts", str(options.accounts))
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _print_hash(seed: int, count: int) -> int:
    comparison = Comparison()
    for timed in CommandSource(seed).take(count):
        comparison.step(timed)
    _say(comparison.engine.state_hash())
    return 0


def _compare_one(seed: int, count: int, *, crowded: bool) -> int:
    try:
        counts = run(seed, count, crowded=crowded)
    except Disagreement as error:
        _say(f"DISAGREEMENT {error}")
        # What comes after the failing command cannot matter; leave it out before shrinking.
        commands = CommandSource(seed, crowded=crowded).take(count)
        for timed in shrink(commands[: error.index + 1]):
            _say(f"  {timed}")
        return 1
    for what, times in sorted(counts.items()):
        _say(f"{times:10,d}  {what}")
    return 0


def _compare_many(total: int) -> int:
    """Compare over many seeds, in as many processes as there are processors."""
    jobs: list[tuple[int, int, bool]] = []
    planned = 0
    while planned < total:
        seed = len(jobs) + 1
        crowded = seed % CROWDED_EVERY == 0
        count = COMMANDS_PER_CROWDED_SEED if crowded else COMMANDS_PER_SEED
        jobs.append((seed, min(count, total - planned), crowded))
        planned += jobs[-1][1]
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for job, result in zip(jobs, pool.map(_run_job, jobs), strict=True):
            if isinstance(result, str):
                _say(f"DISAGREEMENT {result}")
                _say(f"again, shrunk: {_command_line(job)}")
                return 1
            most = max(counts[OPEN_ORDERS_MOST], result[OPEN_ORDERS_MOST])
            counts += result
            counts[OPEN_ORDERS_MOST] = most
    for what, times in sorted(counts.items()):
        _say(f"{times:10,d}  {what}")
    seconds = time.perf_counter() - started
    _say(f"{planned:,d} commands over {len(jobs)} seeds, 0 disagreements, {seconds:.0f} s")
    return 0


def _compare_margin(seed: int, count: int) -> int:
    try:
        counts = margin_compare.run(seed, count)
    except Disagreement as error:
        _say(f"DISAGREEMENT {error}")
        return 1
    for what, times in sorted(counts.items()):
        _say(f"{times:10,d}  {what}")
    return 0


def _compare_margin_many(total: int) -> int:
    """Compare perpetual markets over many seeds, and soak the engine in all order types."""
    jobs = [
        (seed + 1, COMMANDS_PER_MARGIN_SEED)
        for seed in range(-(-total // COMMANDS_PER_MARGIN_SEED))
    ]
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for job, result in zip(jobs, pool.map(_run_margin_job, jobs), strict=True):
            if isinstance(result, str):
                _say(f"DISAGREEMENT {result}")
                _say(f"again: python -m simulation margin --seed {job[0]} --commands {job[1]}")
                return 1
            counts += result
    for what, times in sorted(counts.items()):
        _say(f"{times:10,d}  {what}")
    planned, seconds = sum(count for _, count in jobs), time.perf_counter() - started
    _say(f"{planned:,d} margin commands, {len(jobs)} seeds, 0 disagreements, {seconds:.0f} s")
    return 0


def _run_margin_job(job: tuple[int, int]) -> Counter[str] | str:
    seed, count = job
    try:
        soaked = margin_soak.run(seed, count // SOAKED_SHARE)
        return margin_compare.run(seed, count) + Counter(
            {f"soaked: {what}": times for what, times in soaked.items()}
        )
    except Disagreement as error:
        return str(error)


def _run_job(job: tuple[int, int, bool]) -> Counter[str] | str:
    seed, count, crowded = job
    try:
        return run(seed, count, crowded=crowded)
    except Disagreement as error:
        return str(error)


def _kill(kills: int, seed: int, seconds: float = 0) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.harness import KillRun

    return _reported(KillRun(kills, seed=seed, seconds=seconds))


def _takeovers(takeovers: int, seed: int, seconds: float) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.takeovers.run import TakeoverRun

    return _reported(TakeoverRun(takeovers, seed=seed, seconds=seconds))


def _network(cuts: int, seed: int, seconds: float) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.network.hosts import HostsError
    from simulation.network.run import NetworkRun

    try:
        run_over_hosts = NetworkRun(cuts, seed=seed, seconds=seconds)
    except HostsError as error:
        _say(f"NOT RUN: {error}; the proof of takeovers cuts links through a proxy instead")
        return 0
    held = run_over_hosts.run()
    for line in run_over_hosts.lines():
        _say(line)
    return 0 if held else 1


def _faults() -> int:
    from simulation.faults.catalogue import FAULTS
    from simulation.faults.run import try_all

    missed = 0
    for verdict in try_all():
        found = f"noticed by {verdict.proof}" if verdict.noticed else "MISSED"
        _say(f"{FAULTS[verdict.number].name}: {found}")
        if not verdict.noticed:
            missed += 1
            _say(verdict.output)
    return 1 if missed else 0


def _siege(requests: int, seed: int, seconds: float) -> int:
    from simulation.siege.run import SiegeRun

    return _reported(SiegeRun(requests, seed=seed, seconds=seconds))


def _degraded(options: argparse.Namespace) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.degraded.expected import write
    from simulation.degraded.run import DegradedRun
    from simulation.kill.world import ROOT

    if options.write:
        write(ROOT / "docs" / "RELIABILITY.md")
        return 0
    run_of_faults = DegradedRun(options.passes, options.fault or ())
    held = run_of_faults.run()
    for line in run_of_faults.lines():
        _say(line)
    return 0 if held else 1


def _overload(seconds: float) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.overload.run import OverloadRun

    run_of_load = OverloadRun(seconds)
    held = run_of_load.run()
    for line in run_of_load.lines():
        _say(line)
    return 0 if held else 1


def _streams(seconds: float, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.streams.run import StreamRun

    return _reported(StreamRun(seconds, seed=seed))


def _deleveraging() -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.margin_live.deleveraging import DeleveragingRun

    return _reported(DeleveragingRun())


def _backlog(accounts: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.margin_live.backlog import BacklogRun

    return _reported(BacklogRun(accounts))


def _corruption(flips: int, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.world import World

    with tempfile.TemporaryDirectory(prefix="exd-") as directory:
        World(Path(directory)).migrate()
        from simulation.corruption import CorruptionRun

        return _reported(CorruptionRun(flips, seed=seed))


def _soak(minutes: float, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.soak.run import SoakRun

    return _reported(SoakRun(minutes, seed=seed))


def _reported(run_of: Reported) -> int:
    held = run_of.run()
    for line in run_of.lines():
        _say(line)
    return 0 if held else 1


def _apart(*words: str) -> int:
    """Run in a process of its own: Django is set up once in each, here for the kills."""
    command = [sys.executable, "-m", "simulation", *words]
    return subprocess.run(command, check=False).returncode


def _crash(stops: int) -> int:
    result = crash.run(stops)
    for line in result.lines():
        _say(line)
    return 1 if result.faults else 0


def _command_line(job: tuple[int, int, bool]) -> str:
    seed, count, crowded = job
    extra = " --crowded" if crowded else ""
    return f"python -m simulation compare --seed {seed} --commands {count}{extra}"


if __name__ == "__main__":
    sys.exit(main())
