"""
One look at a million positions: the sweep's screen, and taking changed rows in.

Eight markets with seven brackets each; quantities and leverages spread over all brackets, the
marks near the entries, so that few are found. Arrays are in memory, as in the sweep.
"""

from __future__ import annotations

import time
from random import Random

from benchmarks.report import Options, Section, median, say
from riskengine.screen import PositionRow, Screen

POSITIONS = 1_000_000
CHANGED = 100_000
MARKETS = 8
ASSET = 3
ATOMS = 10**8
MARK = 60_000 * ATOMS
ISOLATED_BOUND_MS, CROSS_BOUND_MS, REFRESH_BOUND_MS = 40.0, 100.0, 500.0
BRACKETS = (
    (0, 400_000, 0, 125),
    (50_000 * ATOMS, 500_000, 50 * ATOMS, 100),
    (600_000 * ATOMS, 650_000, 950 * ATOMS, 75),
    (3_000_000 * ATOMS, 1_000_000, 11_450 * ATOMS, 50),
    (12_000_000 * ATOMS, 2_000_000, 131_450 * ATOMS, 25),
    (70_000_000 * ATOMS, 2_500_000, 481_450 * ATOMS, 20),
    (100_000_000 * ATOMS, 5_000_000, 2_981_450 * ATOMS, 10),
)


def measure(options: Options) -> Section:
    """Measure both kinds of margin and a refresh."""
    number = POSITIONS // 100 if options.quick else POSITIONS
    section = Section(
        key="risk",
        title="Risk screen",
        header=("what", "positions", "median", "bound"),
    )
    for name, crossed, bound in (
        ("isolated", False, ISOLATED_BOUND_MS),
        ("cross", True, CROSS_BOUND_MS),
    ):
        screen = _filled(number, crossed=crossed)
        looks = [_look_ms(screen) for _ in range(max(5, options.rounds * 5))]
        took = median(looks)
        section.rows.append(
            (
                f"screen, {name}",
                f"{number:,}",
                f"{took:.1f} ms",
                section.bound(took < bound, f"{name} < {bound:.0f} ms"),
            )
        )
        say(f"  {name}: {took:.1f} ms")
        changed = min(number, CHANGED)
        refreshes = [_refresh_ms(screen, changed, crossed=crossed) for _ in range(options.rounds)]
        took = median(refreshes)
        section.rows.append(
            (
                f"refresh, {name}",
                f"{changed:,} changed",
                f"{took:.1f} ms",
                section.bound(took < REFRESH_BOUND_MS, f"refresh < {REFRESH_BOUND_MS:.0f} ms"),
            )
        )
        say(f"  refresh: {took:.1f} ms")
    section.notes.append(
        f"{MARKETS} markets of {len(BRACKETS)} brackets; float64 with a guard band; one thread."
    )
    return section


def _row(number: int, random: Random, *, crossed: bool) -> PositionRow:
    quantity = int(10 ** random.uniform(-3, 3) * ATOMS) * random.choice((1, -1))
    cost = quantity * (MARK + random.randint(-1_000, 1_000) * ATOMS) // ATOMS
    wallet = 0 if crossed else abs(cost) // random.choice((5, 10, 20))
    # Two positions an account, so that wallets are shared.
    return (number, 1_000_000 + number // 2, quantity, cost, wallet, crossed)


def _filled(number: int, *, crossed: bool) -> Screen:
    random, screen = Random(7), Screen()
    for market_id in range(1, MARKETS + 1):
        market = screen.market(market_id)
        market.set_brackets(BRACKETS)
        market.mark_atoms = float(MARK)
        rows = [
            _row(slot, random, crossed=crossed) for slot in range(market_id, number + 1, MARKETS)
        ]
        screen.put(market_id, ASSET, rows)
    if crossed:
        screen.wallet_atoms[:] = 1e9 * ATOMS
    return screen


def _look_ms(screen: Screen) -> float:
    started = time.perf_counter()
    screen.look(least_ratio=0.75)
    return (time.perf_counter() - started) * 1_000


def _refresh_ms(screen: Screen, changed: int, *, crossed: bool) -> float:
    random = Random(8)
    share = changed // MARKETS
    batches = [
        [_row(market_id + MARKETS * number, random, crossed=crossed) for number in range(share)]
        for market_id in range(1, MARKETS + 1)
    ]
    started = time.perf_counter()
    for market_id, rows in enumerate(batches, start=1):
        screen.put(market_id, ASSET, rows)
    return (time.perf_counter() - started) * 1_000
