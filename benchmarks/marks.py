"""
Mark prices over a million positions: an update that crosses no guard, and a random walk.

Timed is the command that sets the index of a perpetual market, which computes the mark, looks at
accounts whose guard it crossed and queues those that are liquidated; the ladder itself runs in
steps of its own between the marks, and is not timed here.
"""

from __future__ import annotations

import gc
import random
import time

from benchmarks.report import Options, Section, median, percentile, say
from exchange.core import commands as c
from exchange.core.engine import Exchange
from exchange.core.enums import (
    AccountStatus,
    Lane,
    MarginMode,
    MarketKind,
    MarketStatus,
    SelfTradeMode,
    SystemAccount,
    WalletKind,
)
from exchange.core.events import AccountConfigured
from exchange.core.rejects import Code
from exchange.core.state import Image, Position, Wallet
from exchange.core.units import ATOMS, RATE_ONE

POSITIONS = 1_000_000
MARKS = 10_000
QUIET_MARKS = 1_000
QUIET_BOUND_MS = 1.0
WALK_BOUND_MS = 20.0
PRICE = 60_000 * ATOMS
# Steps are even up to this: as a price moves that is 65 % a year, second by second.
STEP_E8 = 20_000
FIRST_ACCOUNT = 10_000_000
START_MS = 1_700_000_000_000
_MARKET, _BASE, _QUOTE, _GROUP = 1, 1, 2, 1
BRACKETS = (
    (0, 400_000, 125),
    (50_000 * ATOMS, 500_000, 100),
    (600_000 * ATOMS, 650_000, 75),
    (3_000_000 * ATOMS, 1_000_000, 50),
)


class Session:
    """An exchange that is told marks, one a second."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.time_ms = exchange.time_ms or START_MS

    def apply(self, command: c.AnyCommand) -> float:
        """Apply a command that must be accepted; return the seconds it took."""
        number = self.exchange.sequences.command + 1
        envelope = c.Envelope(c.VERSION, number, self.time_ms, f"c{number}", Lane.SYSTEM, command)
        started = time.perf_counter()
        outcome = self.exchange.apply(envelope)
        seconds = time.perf_counter() - started
        if outcome.code is not Code.OK:
            raise RuntimeError(f"{command} was refused: {outcome.code.name} {outcome.detail}")
        return seconds

    def mark(self, price_atoms: int) -> float:
        """Set the index a second later; return the seconds, and carry out what follows."""
        self.time_ms += 1_000
        seconds = self.apply(c.UpdateIndexPrices(((_MARKET, price_atoms),)))
        while self.exchange.has_task:
            self.apply(c.ContinueTask())
        self.exchange.drain()
        return seconds


def empty() -> Exchange:
    """Return an exchange with one perpetual market, a price and a large fund."""
    session = Session(Exchange())
    for command in (
        c.ConfigureAsset(_BASE, "BTC", "Bitcoin", 8),
        c.ConfigureAsset(_QUOTE, "USDT", "Tether", 8),
        c.ConfigureFeeTier(0, 20_000, 50_000),
        c.ConfigureMarket(
            market_id=_MARKET,
            symbol="BTC-USDT-PERP",
            kind=MarketKind.PERPETUAL,
            base_asset_id=_BASE,
            quote_asset_id=_QUOTE,
            tick_atoms=ATOMS // 10,
            lot_atoms=ATOMS // 1_000,
            quantity_min_atoms=ATOMS // 1_000,
            quantity_max_atoms=1_000 * ATOMS,
            price_min_atoms=ATOMS,
            price_max_atoms=10**7 * ATOMS,
            notional_min_atoms=ATOMS,
            price_band_e8=0,
            market_band_e8=5_000_000,
            status=MarketStatus.HALTED,
        ),
        c.ConfigureContract(
            market_id=_MARKET,
            insurance_group=_GROUP,
            funding_interval_ms=24 * 3_600_000,
            interest_rate_e8=0,
            funding_cap_e8=0,
            impact_notional_atoms=25_000 * ATOMS,
            liquidation_fee_e8=500_000,
            position_notional_max_atoms=0,
            open_interest_max_atoms=0,
            brackets=BRACKETS,
        ),
        c.SetMarketStatus(_MARKET, MarketStatus.TRADING),
        c.MoveInsurance(_GROUP, _QUOTE, 10**10 * ATOMS, "bench", "bench"),
        c.ConfigureInsurance(_GROUP, 1_000 * RATE_ONE, 0, RATE_ONE, RATE_ONE),
        c.UpdateIndexPrices(((_MARKET, PRICE),)),
    ):
        session.apply(command)
    return session.exchange


def crowd(image: Image, count: int, chance: random.Random) -> None:
    """
    Add accounts with one isolated position each, longs and shorts in pairs of one size.

    Their liquidation prices lie between about 0.3 and 20 % from the price.
    """
    slot, wallet, trade = image.sequences.slot, image.sequences.wallet, image.sequences.trade
    for number in range(count):
        account_id = FIRST_ACCOUNT + number
        sign = 1 if number % 2 else -1
        if sign < 0:
            quantity = chance.randrange(1, 500) * ATOMS // 1_000
            trade += 1
        cost = quantity * PRICE // ATOMS
        margin = cost * chance.randrange(800_000, 20_000_000) // RATE_ONE
        image.accounts.append(
            AccountConfigured(account_id, AccountStatus.ACTIVE, 0, 200, SelfTradeMode.EXPIRE_TAKER)
        )
        image.wallets.append(Wallet(wallet + number + 1, account_id, WalletKind.MARGIN, _QUOTE))
        image.positions.append(
            Position(
                slot + number + 1,
                account_id,
                _MARKET,
                mode=MarginMode.ISOLATED,
                leverage=1,
                position_id=trade * 2 + (sign < 0),
                quantity_atoms=sign * quantity,
                cost_atoms=sign * cost,
                isolated_atoms=margin,
                opened_ms=START_MS,
                updated_ms=START_MS,
                funded_ms=START_MS,
            )
        )
    image.sequences.slot += count
    image.sequences.wallet += count
    image.sequences.trade = trade
    # Somebody paid in what the positions' wallets hold.
    deposited = sum(position.isolated_atoms for position in image.positions)
    for held in image.wallets:
        if held.account_id == SystemAccount.EXTERNAL and held.asset_id == _QUOTE:
            held.total_atoms -= deposited


def measure_walk(count: int, marks: int, seed: int) -> tuple[list[float], list[float], int]:
    """Return the milliseconds of marks that cross no guard and of a walk, and liquidations."""
    chance = random.Random(seed)
    image = empty().image()
    crowd(image, count, chance)
    session = Session(Exchange.load(image))
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        quiet = [
            session.mark(PRICE + (turn % 2) * ATOMS // 10) * 1e3
            for turn in range(min(marks, QUIET_MARKS))
        ]
        before = session.exchange.sequences.liquidation
        price, walk = PRICE, []
        for _ in range(marks):
            price = max(ATOMS, price + price * chance.randrange(-STEP_E8, STEP_E8 + 1) // RATE_ONE)
            walk.append(session.mark(price) * 1e3)
    finally:
        gc.enable()
        gc.unfreeze()
    return quiet, walk, session.exchange.sequences.liquidation - before


def measure(options: Options) -> Section:
    """Return the table of both flows."""
    section = Section(
        key="marks",
        title="Marks over open positions",
        header=("flow", "positions", "marks", "p50 ms", "p99 ms", "liquidated", "bound"),
    )
    count = POSITIONS // 100 if options.quick else POSITIONS
    marks = MARKS // 100 if options.quick else MARKS
    runs = [measure_walk(count, marks, seed) for seed in range(1, options.rounds + 1)]
    for name, index, limit in (
        ("crossing no guard", 0, QUIET_BOUND_MS),
        ("random walk", 1, WALK_BOUND_MS),
    ):
        times = [run[index] for run in runs]
        p99 = median(percentile(found, 0.99) for found in times)
        row = (
            name,
            f"{count:,d}",
            f"{len(times[0]):,d}",
            f"{median(median(found) for found in times):.3f}",
            f"{p99:.3f}",
            f"{runs[0][2]:,d}" if index else "0",
            section.bound(p99 <= limit, f"p99 < {limit:g} ms"),
        )
        section.rows.append(row)
        say("  " + " | ".join(row))
    section.notes.append(
        "Isolated positions whose liquidation lies 0.3 to 20 % away; steps of up to "
        f"{STEP_E8 / 10**6:g} % a second; median of {options.rounds} runs."
    )
    return section
