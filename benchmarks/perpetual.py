"""
The core alone on a perpetual market: every command one fill, both sides margin-checked.

Takers of a thousand accounts buy and sell a lot in turn from makers that quote deep; each fill
changes two positions, their guards and postings. Memory is what a position, its account and
its margin wallet add together.
"""

from __future__ import annotations

import gc
import tracemalloc

from benchmarks.core import ACCOUNTS, FIRST_ACCOUNT, Session
from benchmarks.report import Options, Section, median, say
from exchange.core import commands as c
from exchange.core.enums import (
    MarketKind,
    MarketStatus,
    OrderType,
    Side,
    TimeInForce,
    WalletKind,
)
from exchange.core.rejects import Code

ATOMS = 10**8
COMMANDS = 50_000
BOUND_PER_S = 25_000
BYTES_BOUND = 1_536
MAKERS = range(FIRST_ACCOUNT - 20, FIRST_ACCOUNT)
PRICE = 60_000
BRACKETS = (
    (0, 400_000, 125),
    (50_000 * ATOMS, 500_000, 100),
    (600_000 * ATOMS, 650_000, 75),
    (3_000_000 * ATOMS, 1_000_000, 50),
    (12_000_000 * ATOMS, 2_000_000, 25),
)


def setup_commands(accounts: int) -> list[c.AnyCommand]:
    """Return a market, and accounts with margin."""
    commands: list[c.AnyCommand] = [
        c.ConfigureAsset(1, "BTC", "Bitcoin", 8),
        c.ConfigureAsset(2, "USDT", "Tether", 8),
        c.ConfigureFeeTier(0, 20_000, 40_000),
        c.ConfigureMarket(
            market_id=1,
            symbol="BTC-USDT-PERP",
            kind=MarketKind.PERPETUAL,
            base_asset_id=1,
            quote_asset_id=2,
            tick_atoms=ATOMS // 10,
            lot_atoms=ATOMS // 1_000,
            quantity_min_atoms=ATOMS // 1_000,
            quantity_max_atoms=1_000_000 * ATOMS,
            price_min_atoms=ATOMS // 10,
            price_max_atoms=10**6 * ATOMS,
            notional_min_atoms=ATOMS,
            price_band_e8=0,
            market_band_e8=5 * 10**6,
            status=MarketStatus.HALTED,
        ),
        c.ConfigureContract(1, 1, 8 * 3_600_000, 10_000, 0, ATOMS, 500_000, 0, 0, BRACKETS),
        c.SetMarketStatus(1, MarketStatus.TRADING),
        c.UpdateIndexPrices(((1, PRICE * ATOMS),)),
    ]
    for account_id in (*MAKERS, *range(FIRST_ACCOUNT, FIRST_ACCOUNT + accounts)):
        rich = 10**8 if account_id in MAKERS else 10**5
        commands += [
            c.ConfigureAccount(account_id, open_orders_max=1_000),
            c.Credit(account_id, WalletKind.MARGIN, 2, rich * ATOMS, "bench", "bench"),
        ]
    for number, account_id in enumerate(MAKERS):
        away = number // 2 + 1
        side = Side.BUY if number % 2 else Side.SELL
        price = PRICE * ATOMS + (away if side is Side.SELL else -away) * ATOMS // 10
        commands.append(order(account_id, side, price, 5_000 * ATOMS))
    return commands


def order(account_id: int, side: Side, price: int, quantity: int) -> c.PlaceOrder:
    """Return a limit order."""
    return c.PlaceOrder(account_id, 1, side, OrderType.LIMIT, TimeInForce.GTC, price, quantity)


def takers(count: int, accounts: int) -> list[c.AnyCommand]:
    """Return orders that each take one lot or a few from the best maker, sides in turn."""
    commands: list[c.AnyCommand] = []
    for number in range(count):
        account_id = FIRST_ACCOUNT + number * 7_919 % accounts
        side = Side.BUY if number % 2 else Side.SELL
        price = PRICE * ATOMS + (ATOMS if side is Side.BUY else -ATOMS)
        commands.append(order(account_id, side, price, (number % 7 + 1) * ATOMS // 1_000))
    return commands


def measure_fills(count: int) -> tuple[float, int, int]:
    """Return commands per second, trades, and commands that were refused."""
    session = Session()
    session.run(session.envelopes(setup_commands(ACCOUNTS)))
    envelopes = session.envelopes(takers(count, ACCOUNTS))
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


def bytes_per_position(count: int) -> float:
    """Return the memory that one position adds, all of its own derived objects included."""
    session = Session()
    session.run(session.envelopes(setup_commands(count)))
    opening: list[c.AnyCommand] = takers(count, count)
    envelopes = session.envelopes(opening)
    gc.collect()
    tracemalloc.start()
    for start in range(0, len(envelopes), 100):
        session.run(envelopes[start : start + 100])
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = sum(position.quantity_atoms != 0 for position in session.exchange.image().positions)
    return used / held


def measure(options: Options) -> Section:
    """Return the table of fills per second and memory per position."""
    section = Section(
        key="perpetual",
        title="Core, perpetual market: every command one fill, both sides margin-checked",
        header=("what", "figure", "fills", "refused", "bound"),
    )
    count = COMMANDS // 10 if options.quick else COMMANDS
    runs = [measure_fills(count) for _ in range(options.rounds)]
    rate = median(run[0] for run in runs)
    section.rows.append(
        (
            "commands/s",
            f"{rate:,.0f}",
            f"{runs[0][1]:,d}",
            f"{runs[0][2]:,d}",
            section.bound(rate >= BOUND_PER_S, f"{rate / BOUND_PER_S:.2f} of 25,000"),
        )
    )
    size = bytes_per_position(1_000 if options.quick else 10_000)
    section.rows.append(
        (
            "bytes per position",
            f"{size:,.0f}",
            "",
            "",
            section.bound(size <= BYTES_BOUND, f"{size / BYTES_BOUND:.2f} of 1,536"),
        )
    )
    for row in section.rows:
        say("  " + " | ".join(row))
    section.notes.append(
        f"{count:,d} commands, {ACCOUNTS:,d} accounts, {len(MAKERS)} makers, median of "
        f"{options.rounds} runs; garbage collection off after gc.freeze()."
    )
    return section
