"""
The core alone: commands with holds, double-entry postings, events and always-on checks.

Envelopes are built before the clock starts, as the runner's decoder hands them over; applying
them and ending a batch every 500 commands (what to store, coalesced events) is timed.
"""

from __future__ import annotations

import gc
import time
from collections import Counter

from benchmarks.flow import ADD, SPOT, Message, make_flow
from benchmarks.report import Options, Section, median, say
from exchange.core import commands as c
from exchange.core.engine import Exchange
from exchange.core.enums import Lane, MarketKind, OrderType, Side, TimeInForce, WalletKind
from exchange.core.rejects import Code

DEPTHS = (1_000, 100_000)
COMMANDS = 100_000
BATCH = 500
BOUND_PER_S = 100_000
ACCOUNTS = 1000
FIRST_ACCOUNT = 1_000_000
ATOMS = 10**8
START_MS = 1_700_000_000_000


def setup_commands() -> list[c.AnyCommand]:
    """Return what makes an empty exchange ready: a market and rich accounts."""
    commands: list[c.AnyCommand] = [
        c.ConfigureAsset(1, "BTC", "Bitcoin", 8),
        c.ConfigureAsset(2, "USDT", "Tether", 8),
        c.ConfigureFeeTier(0, 20_000, 40_000),
        c.ConfigureMarket(
            market_id=1,
            symbol="BTC-USDT",
            kind=MarketKind.SPOT,
            base_asset_id=1,
            quote_asset_id=2,
            tick_atoms=ATOMS // 100,
            lot_atoms=ATOMS // 10_000,
            quantity_min_atoms=ATOMS // 10_000,
            quantity_max_atoms=1_000 * ATOMS,
            price_min_atoms=ATOMS // 100,
            price_max_atoms=10**6 * ATOMS,
            notional_min_atoms=ATOMS,
            price_band_e8=10 * 10**6,
            market_band_e8=5 * 10**6,
        ),
        c.UpdateIndexPrices(((1, 10**6 * ATOMS // 100),)),
    ]
    for account_id in range(FIRST_ACCOUNT, FIRST_ACCOUNT + ACCOUNTS):
        commands.append(c.ConfigureAccount(account_id, open_orders_max=1_000_000))
        commands += [
            c.Credit(account_id, WalletKind.SPOT, asset, 10**6 * ATOMS, "bench", "bench")
            for asset in (1, 2)
        ]
    return commands


def command_of(message: Message, owners: dict[int, int]) -> c.AnyCommand:
    """Return the command that a message of a flow is; its id is the order's number."""
    kind, order_id, side, price, quantity = message
    if kind != ADD:
        return c.CancelOrder(owners[order_id], order_id)
    # A prime step spreads neighbours in the flow over the accounts.
    owners[order_id] = FIRST_ACCOUNT + order_id * 7_919 % ACCOUNTS
    return c.PlaceOrder(
        account_id=owners[order_id],
        market_id=1,
        side=Side(side),
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_atoms=price * (ATOMS // 100),
        quantity_atoms=quantity * (ATOMS // 1_000),
    )


class Session:
    """An exchange that is fed commands in batches."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.number = 0

    def envelopes(self, commands: list[c.AnyCommand]) -> list[c.Envelope]:
        """Return the envelopes of commands, numbered on from the last."""
        first = self.number + 1
        self.number += len(commands)
        return [
            c.Envelope(c.VERSION, number, START_MS + number // 100, f"c{number}", Lane.ORDERS, one)
            for number, one in enumerate(commands, first)
        ]

    def run(self, envelopes: list[c.Envelope]) -> tuple[float, Counter[Code]]:
        """Apply envelopes in batches; return the seconds and the codes."""
        codes: Counter[Code] = Counter()
        apply, drain = self.exchange.apply, self.exchange.drain
        seconds = 0.0
        for start in range(0, len(envelopes), BATCH):
            started = time.perf_counter()
            outcomes = [apply(envelope) for envelope in envelopes[start : start + BATCH]]
            drain()
            seconds += time.perf_counter() - started
            codes.update(outcome.code for outcome in outcomes)
        return seconds, codes


def measure_depth(depth: int, count: int, seed: int) -> tuple[float, int, int]:
    """Return commands per second at a depth, trades, and commands that were refused."""
    preload, timed = make_flow(SPOT, depth=depth, messages=count, seed=seed, hold_depth=False)
    owners: dict[int, int] = {}
    session = Session()
    session.run(session.envelopes(setup_commands()))
    session.run(session.envelopes([command_of(message, owners) for message in preload]))
    envelopes = session.envelopes([command_of(message, owners) for message in timed])
    before = session.exchange.sequences.trade
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        seconds, codes = session.run(envelopes)
    finally:
        gc.enable()
        gc.unfreeze()
    refused = sum(codes.values()) - codes[Code.OK]
    return count / seconds, session.exchange.sequences.trade - before, refused


def measure(options: Options) -> Section:
    """Return the table of commands per second at every depth."""
    section = Section(
        key="core",
        title="Core: holds, postings, events, checks",
        header=("flow", "depth", "commands/s", "fills", "refused", "bound 100,000/s"),
    )
    count = COMMANDS // 10 if options.quick else COMMANDS
    for depth in DEPTHS[:1] if options.quick else DEPTHS:
        runs = [measure_depth(depth, count, seed) for seed in range(1, options.rounds + 1)]
        rate = median(run[0] for run in runs)
        row = (
            SPOT.name,
            f"{depth:,d}",
            f"{rate:,.0f}",
            f"{runs[0][1]:,d}",
            f"{runs[0][2]:,d}",
            section.bound(rate >= BOUND_PER_S, f"{rate / BOUND_PER_S:.2f}"),
        )
        section.rows.append(row)
        say("  " + " | ".join(row))
    section.notes.append(
        f"{count:,d} commands in batches of {BATCH}, {ACCOUNTS:,d} accounts, median of "
        f"{options.rounds} runs; garbage collection off after gc.freeze(), as in the runner."
    )
    return section
