"""Engine against naive exchange over many seeds, in as many processes as there are processors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from simulation import margin_compare, margin_soak
from simulation.compare import OPEN_ORDERS_MOST, run
from simulation.mirrors import Disagreement

COMMANDS_PER_SEED = 50_000
COMMANDS_PER_CROWDED_SEED = 2_500
COMMANDS_PER_MARGIN_SEED = 10_000
# Of each seed's commands so many (one in ten) also go to the engine alone.
SOAKED_SHARE = 10
# Every so many seeds one lets books grow until the limits on work are met.
CROWDED_EVERY = 5

Job = tuple[int, int, bool]


def compare_spot(total: int, *, say: Callable[[str], None]) -> int:
    """Compare ``total`` commands on spot markets; return the exit code."""
    jobs: list[Job] = []
    planned = 0
    while planned < total:
        seed = len(jobs) + 1
        crowded = seed % CROWDED_EVERY == 0
        count = COMMANDS_PER_CROWDED_SEED if crowded else COMMANDS_PER_SEED
        jobs.append((seed, min(count, total - planned), crowded))
        planned += jobs[-1][1]
    return _compare(jobs, _spot, say=say)


def compare_perpetuals(total: int, *, say: Callable[[str], None]) -> int:
    """Compare on perpetual markets, and soak the engine in all order types."""
    seeds = -(-total // COMMANDS_PER_MARGIN_SEED)
    jobs = [(seed, COMMANDS_PER_MARGIN_SEED, False) for seed in range(1, seeds + 1)]
    return _compare(jobs, _perpetuals, say=say)


def _compare(
    jobs: list[Job],
    work: Callable[[Job], Counter[str] | str],
    *,
    say: Callable[[str], None],
) -> int:
    started = time.perf_counter()
    counts: Counter[str] = Counter()
    with ProcessPoolExecutor() as pool:
        for job, result in zip(jobs, pool.map(work, jobs), strict=True):
            if isinstance(result, str):
                say(f"DISAGREEMENT {result}")
                action = "compare" if work is _spot else "margin"
                say(f"again: {_command_line(action, job)}")
                pool.shutdown(cancel_futures=True)
                return 1
            most = max(counts[OPEN_ORDERS_MOST], result[OPEN_ORDERS_MOST])
            counts += result
            if most:
                counts[OPEN_ORDERS_MOST] = most
    for what, times in sorted(counts.items()):
        say(f"{times:10,d}  {what}")
    planned, seconds = sum(count for _, count, _ in jobs), time.perf_counter() - started
    say(f"{planned:,d} commands over {len(jobs)} seeds, 0 disagreements, {seconds:.0f} s")
    return 0


def _spot(job: Job) -> Counter[str] | str:
    seed, count, crowded = job
    try:
        return run(seed, count, crowded=crowded)
    except Disagreement as error:
        return str(error)


def _perpetuals(job: Job) -> Counter[str] | str:
    seed, count, _ = job
    try:
        soaked = margin_soak.run(seed, count // SOAKED_SHARE)
        return margin_compare.run(seed, count) + Counter(
            {f"soaked: {what}": times for what, times in soaked.items()}
        )
    except Disagreement as error:
        return str(error)


def _command_line(action: str, job: Job) -> str:
    seed, count, crowded = job
    extra = " --crowded" if crowded else ""
    return f"python -m simulation {action} --seed {seed} --commands {count}{extra}"
