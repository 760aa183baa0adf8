"""
Long proofs from the command line: ``python -m simulation [prove]``.

Prints what was done and how often; a failure prints its seed and a shrunk list of commands,
and exits with 1.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from simulation import crash, many, margin_compare, prove
from simulation.compare import Comparison, run, shrink
from simulation.mirrors import Disagreement
from simulation.special_commands import CommandSource


class Reported(Protocol):
    """A proof that says whether all held, and what it saw."""

    def run(self) -> bool:
        """Run it."""

    def lines(self) -> list[str]:
        """Return what to print."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    actions = parser.add_subparsers(dest="action")
    whole = actions.add_parser("prove", help="everything, at full length")
    for name, value in inspect.signature(prove.parts).parameters.items():
        whole.add_argument(
            f"--{name.replace('_', '-')}", type=type(value.default), default=value.default
        )
    whole.add_argument("--only", action="append", help="only this part; may be repeated")
    compare = actions.add_parser("compare", help="engine against the naive exchange, one seed")
    compare.add_argument("--crowded", action="store_true")
    digest = actions.add_parser("hash", help="print the state hash after one seed's commands")
    margin = actions.add_parser("margin", help="the same with perpetual markets, one seed")
    for action in (compare, digest, margin):
        action.add_argument("--seed", type=int, default=1)
        action.add_argument("--commands", type=int, default=20_000)
    spot = actions.add_parser("spot", help="engine against the naive exchange, many seeds")
    perpetuals = actions.add_parser("perpetuals", help="the same with perpetual markets")
    for action in (spot, perpetuals):
        action.add_argument("--commands", type=int, default=1_000_000)
    _add_processes(actions)
    return parser


def _add_processes(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the proofs that need real processes, and what they share."""
    kill = actions.add_parser("kill", help="kill -9 exchange, Redis and web under load")
    kill.add_argument("--kills", type=int, default=20, help="of each of the three")
    points = actions.add_parser("points", help="the exchange ends at each of its crash points")
    calls = actions.add_parser("calls", help="the exchange ends before each call it makes")
    calls.add_argument("--every", type=int, default=1, help="only every so many calls")
    for action in (points, calls):
        action.add_argument("--seeds", type=int, default=0, help="1 to this, each by itself")
    redis_file = actions.add_parser("redisfile", help="the file of a killed Redis damaged")
    redis_file.add_argument("--rounds", type=int, default=3)
    streams = actions.add_parser("streams", help="every channel rebuilt while frames are lost")
    streams.add_argument("--seconds", type=float, default=60.0)
    fall = actions.add_parser("crash", help="one crash that fires very many stops")
    fall.add_argument("--stops", type=int, default=100_000)
    takeovers = actions.add_parser(
        "takeovers", help="a standby replaces its leader, again and again"
    )
    takeovers.add_argument("--takeovers", type=int, default=200)
    network = actions.add_parser("network", help="seven hosts, links cut and healed under load")
    network.add_argument("--cuts", type=int, default=24)
    actions.add_parser("faults", help="ten faults planted in our code, each to be noticed")
    siege = actions.add_parser("siege", help="races and bad requests against real processes")
    siege.add_argument("--requests", type=int, default=100_000)
    for action in (kill, takeovers, network, siege):
        action.add_argument("--seconds", type=float, default=0, help="no longer (0: no limit)")
    fuzz = actions.add_parser("fuzz", help="order entry's messages, guided by what they reach")
    fuzz.add_argument("--messages", type=int, default=200_000)
    ids = actions.add_parser("ids", help="equal client order ids at once, very many of them")
    ids.add_argument("--ids", type=int, default=20_000)
    jobs = actions.add_parser("jobs", help="two schedulers, and workers killed one by one")
    jobs.add_argument("--kills", type=int, default=20)
    actions.add_parser("deleveraging", help="a winner is closed on real processes")
    backlog = actions.add_parser("backlog", help="very many accounts fall while all send orders")
    backlog.add_argument("--accounts", type=int, default=1_000)
    degraded = actions.add_parser("degraded", help="each part away once, every action asserted")
    degraded.add_argument("--database", choices=("sqlite", "postgres", "mongodb"), default="sqlite")
    degraded.add_argument("--fault", action="append", help="only this row; may be repeated")
    degraded.add_argument("--slower", type=float, default=1.0, help="multiplies the bounds on time")
    degraded.add_argument("--write", action="store_true", help="the table to docs/RELIABILITY.md")
    degraded.add_argument("--passes", type=int, default=1, help="over degraded modes")
    overload = actions.add_parser("overload", help="ten times what can be done is asked for")
    overload.add_argument("--seconds", type=float, default=60.0)
    overload.add_argument("--bare", action="store_true", help="one process, no nginx in front")
    soak = actions.add_parser("soak", help="modest load for long: memory, files and logs stay")
    soak.add_argument("--minutes", type=float, default=60.0)
    corruption = actions.add_parser("corruption", help="a database damaged, then started from")
    corruption.add_argument("--flips", type=int, default=500)
    seeded = (kill, points, calls, redis_file, streams, takeovers, network, siege, ids, jobs, soak)
    for action in (*seeded, corruption, fuzz):
        action.add_argument("--seed", type=int, default=1)


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen proof and return the exit code."""
    words = sys.argv[1:] or ["prove"] if arguments is None else arguments
    options = _parser().parse_args(words)
    run_chosen: dict[str | None, Callable[[argparse.Namespace], int]] = {
        "hash": lambda o: _print_hash(o.seed, o.commands),
        "margin": lambda o: _compare_margin(o.seed, o.commands),
        "compare": lambda o: _compare_one(o.seed, o.commands, crowded=o.crowded),
        "spot": lambda o: many.compare_spot(o.commands, say=_say),
        "perpetuals": lambda o: many.compare_perpetuals(o.commands, say=_say),
        "kill": lambda o: _kill(o.kills, o.seed, o.seconds),
        "points": lambda o: _points(o.seeds, o.seed),
        "calls": lambda o: _calls(o.seeds, o.seed, o.every),
        "redisfile": lambda o: _redis_file(o.rounds, o.seed),
        "takeovers": lambda o: _takeovers(o.takeovers, o.seed, o.seconds),
        "network": lambda o: _network(o.cuts, o.seed, o.seconds),
        "faults": lambda _: _faults(),
        "streams": lambda o: _streams(o.seconds, o.seed),
        "crash": lambda o: _crash(o.stops),
        "corruption": lambda o: _corruption(o.flips, o.seed),
        "soak": lambda o: _soak(o.minutes, o.seed),
        "degraded": _degraded,
        "overload": lambda o: _overload(o.seconds, bare=o.bare),
        "siege": lambda o: _siege(o.requests, o.seed, o.seconds),
        "fuzz": lambda o: _fuzz(o.messages, o.seed),
        "ids": lambda o: _ids(o.ids, o.seed),
        "jobs": lambda o: _jobs(o.kills, o.seed),
        "deleveraging": lambda _: _deleveraging(),
        "backlog": lambda o: _backlog(o.accounts),
        "prove": _prove,
    }
    return run_chosen[options.action](options)


def _prove(options: argparse.Namespace) -> int:
    values = vars(options)
    only = values.pop("only")
    del values["action"]
    chosen = prove.parts(**values)
    names = [part.name for part in chosen]
    if unknown := set(only or ()) - set(names):
        raise SystemExit(f"no part is called {sorted(unknown)}: {', '.join(names)}")
    results = prove.run_parts([part for part in chosen if not only or part.name in only], say=_say)
    for line in prove.table(results):
        _say(line)
    return 1 if any(result.failed for result in results) else 0


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


def _compare_margin(seed: int, count: int) -> int:
    try:
        counts = margin_compare.run(seed, count)
    except Disagreement as error:
        _say(f"DISAGREEMENT {error}")
        return 1
    for what, times in sorted(counts.items()):
        _say(f"{times:10,d}  {what}")
    return 0


def _kill(kills: int, seed: int, seconds: float = 0) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.harness import KillRun

    return _reported(KillRun(kills, seed=seed, seconds=seconds))


def _points(seeds: int, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.points import PointsRun
    from simulation.kill.seeds import run_seeds

    return run_seeds("points", seeds) if seeds else _reported(PointsRun(seed))


def _calls(seeds: int, seed: int, every: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.calls import CallsRun
    from simulation.kill.seeds import run_seeds

    return run_seeds("calls", seeds) if seeds else _reported(CallsRun(seed, every))


def _redis_file(rounds: int, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.redis_file import RedisFileRun

    return _reported(RedisFileRun(rounds, seed))


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
        return prove.NOT_RUN
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
    from simulation.mongo_server import NoMongoError
    from simulation.postgres_server import NoPostgresError

    if options.write:
        write(ROOT / "docs" / "RELIABILITY.md")
        return 0
    try:
        run_of_faults = DegradedRun(
            options.passes, options.fault or (), database=options.database, slower=options.slower
        )
    except (NoPostgresError, NoMongoError) as error:
        _say(f"NOT RUN: {error}")
        return prove.NOT_RUN
    held = run_of_faults.run()
    for line in run_of_faults.lines():
        _say(line)
    return 0 if held else 1


def _overload(seconds: float, *, bare: bool) -> int:
    from simulation.nginx_server import find_nginx

    if not bare and find_nginx() is None:
        _say("NOT RUN: nginx is not installed; --bare measures one process without it")
        return prove.NOT_RUN
    os.environ["LOG_LEVEL"] = "error"
    from simulation.overload.run import OverloadRun

    run_of_load = OverloadRun(seconds, bare=bare)
    held = run_of_load.run()
    for line in run_of_load.lines():
        _say(line)
    return 0 if held else 1


def _streams(seconds: float, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.streams.run import StreamRun

    return _reported(StreamRun(seconds, seed=seed))


def _fuzz(messages: int, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.kill.world import World

    with tempfile.TemporaryDirectory(prefix="exz-") as directory:
        World(Path(directory)).migrate()
        from simulation.fuzz.run import GuidedRun, RandomRun, can_be_guided

        if can_be_guided():
            return _reported(GuidedRun(messages, seed=seed))
        _say("atheris is not installed (pip install atheris): random messages, guided by nothing")
        return _reported(RandomRun(messages, seed=seed))


def _ids(ids: int, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.siege.ids import IdsRun

    return _reported(IdsRun(ids, seed=seed))


def _jobs(kills: int, seed: int) -> int:
    os.environ["LOG_LEVEL"] = "error"
    from simulation.jobs import JobsRun

    return _reported(JobsRun(kills, seed=seed))


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


def _crash(stops: int) -> int:
    result = crash.run(stops)
    for line in result.lines():
        _say(line)
    late = result.longest_ms > crash.STEP_BOUND_MS
    if late:
        _say(f"a step took more than {crash.STEP_BOUND_MS} ms of processor time")
    return 1 if result.faults or late else 0


if __name__ == "__main__":
    sys.exit(main())
