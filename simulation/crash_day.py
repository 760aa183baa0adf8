"""
A crash day: recorded trades move the index of a market with thousands of leveraged accounts.

Accounts at 5x to 125x, long more often than short, cross and isolated, enter over the day;
market makers quote around the mark and pull their quotes when the price runs. What the ladder
does then is counted: partial and full liquidations, the fund, deleveraging, what accounts
were worth when they were taken over, and how long a mark takes to its last liquidation.

Trades come from a folder as ``CRASH_DATA`` names it (files of the sort
``gemini_trades_2025-10-10_BTCUSD.csv.gz``). Without one the path is built from that day's
published figures, and says so.
"""

from __future__ import annotations

import csv
import gzip
import math
import time
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from exchange.core import commands as c
from exchange.core.engine import Exchange
from exchange.core.enums import (
    CloseReason,
    Lane,
    MarginMode,
    MarketKind,
    MarketStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TradeKind,
    WalletKind,
    insurance_account,
)
from exchange.core.events import DeleveragingNeeded, LiquidationStepped, PositionClosed
from exchange.core.rejects import Code
from exchange.core.state import Position

ATOMS = 10**8
BTC, USDT, PERP, GROUP = 1, 2, 1, 1
TICK, LOT = ATOMS // 10, ATOMS // 1000
MAKERS = (9_000_001, 9_000_002)
FIRST_ACCOUNT = 1_000_000
DAY_MS = 1_760_054_400_000
LEVERAGES = (5, 10, 20, 25, 50, 75, 100, 125)
# Binance's brackets of BTC, 2024-10: floor, maintenance rate, highest leverage.
BRACKETS = tuple(
    (floor * ATOMS, rate, leverage)
    for floor, rate, leverage in (
        (0, 400_000, 125),
        (50_000, 500_000, 100),
        (600_000, 650_000, 75),
        (3_000_000, 1_000_000, 50),
        (12_000_000, 2_000_000, 25),
        (70_000_000, 2_500_000, 20),
        (100_000_000, 5_000_000, 10),
    )
)
# Published figures of 2025-10-10: minute of the day (UTC) and price of BTC in US dollars.
PUBLISHED = (
    (0, 121_700), (780, 122_590), (870, 120_500), (900, 118_300), (1_240, 117_000),
    (1_255, 113_500), (1_268, 111_500), (1_275, 107_000), (1_279, 110_800), (1_310, 112_600),
    (1_440, 113_200),
)  # fmt: skip
QUOTE_LEVELS = 10
QUOTE_EVERY_MS = 10_000
# Makers withdraw all but a twentieth once the price moved this far within a minute.
PULL_MOVE = 0.006
PULLED_SHARE = 20

Tick = tuple[int, int]


def recorded(folder: Path) -> list[Tick]:
    """Return (ms, price in atoms) of a folder's recorded trades in BTC, one a second at most."""
    ticks: dict[int, int] = {}
    with gzip.open(folder / "gemini_trades_2025-10-10_BTCUSD.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            second = int(row["timestamp"]) // 1_000_000
            ticks[second * 1_000] = round(float(row["price"]) * 10) * TICK
    return sorted(ticks.items())


def published(seed: int = 1) -> list[Tick]:
    """Return a path through the day's published figures, with seeded noise between them."""
    random = Random(seed)
    minutes = [minute for minute, _ in PUBLISHED]
    ticks: list[Tick] = []
    for second in range(0, 86_400, 5):
        index = min(bisect_right(minutes, second / 60), len(PUBLISHED) - 1)
        (start, low), (end, high) = PUBLISHED[index - 1], PUBLISHED[index]
        price = low + (high - low) * (second / 60 - start) / (end - start)
        noise = 0.0 if second / 60 in minutes else random.gauss(0, 0.0004) * price
        ticks.append((DAY_MS + second * 1_000, round((price + noise) * 10) * TICK))
    return ticks


@dataclass
class Minute:
    """One minute of the day: where the mark and the fund ended, what was liquidated."""

    mark: float = 0.0
    fund: float = 0.0
    liquidated: float = 0.0


@dataclass
class CrashDay:
    """The day as it runs, and what came of it."""

    ticks: list[Tick]
    accounts: int = 10_000
    seed: int = 7
    fund_usdt: int = 250_000
    source: str = ""
    exchange: Exchange = field(default_factory=Exchange)
    now_ms: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    minutes: dict[int, Minute] = field(default_factory=dict)
    equity_bps: list[float] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    fund_low: int = 0
    fund_start: int = 0
    open_interest_top: int = 0
    waiting: int = 0
    recent: list[Tick] = field(default_factory=list)

    def run(self) -> CrashDay:
        """Let the day happen; money and positions are checked in full at its end."""
        self.random = Random(self.seed)
        self.now_ms = self.ticks[0][0] - 10_000
        self._open()
        entries = self._entries()
        last_quote = 0
        for time_ms, price in self.ticks:
            self.now_ms = time_ms
            self._mark(price)
            if time_ms - last_quote >= QUOTE_EVERY_MS:
                self._quote(price)
                last_quote = time_ms
            while entries and entries[-1][0] <= time_ms:
                self._enter(entries.pop())
            self._note(time_ms)
        self.exchange.check_all()
        return self

    # -- the exchange -----------------------------------------------------------------

    def _do(self, command: c.AnyCommand, lane: Lane = Lane.ORDERS) -> Code:
        number = self.exchange.sequences.command + 1
        envelope = c.Envelope(c.VERSION, number, self.now_ms, f"c{number}", lane, command)
        outcome = self.exchange.apply(envelope)
        for event in outcome.events:
            if isinstance(event, LiquidationStepped):
                self._count(event)
            elif isinstance(event, DeleveragingNeeded):
                self.waiting += 1
            elif isinstance(event, PositionClosed) and event.reason is CloseReason.LIQUIDATION:
                self.counts["closed in the book"] += 1
        self.exchange.drain()
        return outcome.code

    def _ok(self, command: c.AnyCommand) -> None:
        code = self._do(command)
        if code is not Code.OK:
            raise RuntimeError(f"{command!r} was refused: {code.name}")

    def _finish(self) -> None:
        while self.exchange.has_task or self.exchange.is_due(self.now_ms):
            self._do(c.ContinueTask(), Lane.INTERNAL)

    def _open(self) -> None:
        self._ok(c.ConfigureAsset(BTC, "BTC", "Bitcoin", 8))
        self._ok(c.ConfigureAsset(USDT, "USDT", "Tether", 8))
        self._ok(
            c.ConfigureMarket(
                PERP, "BTC-USDT-PERP", MarketKind.PERPETUAL, BTC, USDT, TICK, LOT, LOT,
                100_000 * ATOMS, TICK, 10_000_000 * ATOMS, 0, 0, 5_000_000, MarketStatus.HALTED,
            )
        )  # fmt: skip
        self._ok(
            c.ConfigureContract(
                PERP, GROUP, 8 * 3_600_000, 10_000, 0, 25_000 * ATOMS, 1_500_000, 0, 0, BRACKETS
            )
        )
        self._ok(c.SetMarketStatus(PERP, MarketStatus.TRADING))
        self._ok(c.ConfigureFeeTier(0, 20_000, 50_000))
        self._ok(c.MoveInsurance(GROUP, USDT, self.fund_usdt * ATOMS))
        self.fund_low = self.fund_start = self.fund_usdt * ATOMS
        for maker in MAKERS:
            self._ok(
                c.ConfigureAccount(
                    maker, open_orders_max=1_000, self_trade_mode=SelfTradeMode.EXPIRE_MAKER
                )
            )
            self._ok(c.Credit(maker, WalletKind.MARGIN, USDT, 2_000_000_000 * ATOMS, "", ""))
            self._ok(c.SetLeverage(maker, PERP, 10))

    def _entries(self) -> list[tuple[int, int, int, bool]]:
        """Return when which account enters, with which leverage and side, the last first."""
        first, last = self.ticks[0][0], self.ticks[-1][0]
        low = min(self.ticks, key=lambda tick: tick[1])[0]
        until = first + (low - first) * 9 // 10 if low > first else last
        found = []
        for index in range(self.accounts):
            when = self.random.randint(first, until)
            leverage = self.random.choice(LEVERAGES)
            found.append((when, FIRST_ACCOUNT + index, leverage, self.random.random() < 0.7))
        return sorted(found, reverse=True)

    def _enter(self, entry: tuple[int, int, int, bool]) -> None:
        """Let an account open with most of what it has."""
        _, account_id, leverage, is_long = entry
        mark = self._contract_mark()
        lots = max(1, round(math.exp(self.random.uniform(math.log(5), math.log(2_000)))))
        quantity = lots * LOT
        notional = quantity * mark // ATOMS
        leverage = min(leverage, _leverage_max(notional * 11 // 10))
        margin = notional * 110 // (100 * leverage) + notional * 15 // 10_000 + ATOMS
        self._ok(c.ConfigureAccount(account_id))
        self._ok(c.Credit(account_id, WalletKind.MARGIN, USDT, margin, "", ""))
        self._ok(c.SetLeverage(account_id, PERP, leverage))
        if self.random.random() < 0.5:
            self._ok(c.SetMarginMode(account_id, PERP, MarginMode.ISOLATED))
        code = self._do(
            c.PlaceOrder(
                account_id, PERP, Side.BUY if is_long else Side.SELL, OrderType.MARKET,
                TimeInForce.IOC, 0, quantity,
            )
        )  # fmt: skip
        self.counts["entered" if code is Code.OK else f"not entered: {code.name}"] += 1

    def _contract_mark(self) -> int:
        return self.recent[-1][1]

    # -- prices and quotes ------------------------------------------------------------

    def _mark(self, price: int) -> None:
        """Set the index, and time how long its liquidations take in all."""
        self.recent = [tick for tick in self.recent if tick[0] > self.now_ms - 60_000]
        self.recent.append((self.now_ms, price))
        before = self.counts["steps"]
        started = time.perf_counter()
        self._ok(c.UpdateIndexPrices(((PERP, price),)))
        self._finish()
        if self.counts["steps"] > before:
            self.latencies_ms.append((time.perf_counter() - started) * 1_000)
        if self.waiting:
            self._deleverage()

    def _is_running(self) -> bool:
        prices = [price for _, price in self.recent]
        return max(prices) - min(prices) > PULL_MOVE * min(prices)

    def _quote(self, price: int) -> None:
        """Let makers quote anew around the index; they pull back while the price runs."""
        size = 20 * ATOMS
        if self._is_running():
            size //= PULLED_SHARE
            self.counts["quotes pulled"] += 1
        for number, maker in enumerate(MAKERS):
            self._do(c.CancelAllOrders(maker))
            self._finish()
            for level in range(1, QUOTE_LEVELS + 1):
                away = price * (2 * level + number) // (10_000 * TICK) * TICK
                for side, at in ((Side.BUY, price - away), (Side.SELL, price + away)):
                    order = c.PlaceOrder(
                        maker, PERP, side, OrderType.LIMIT, TimeInForce.GTC, at, size
                    )
                    self._do(order)

    # -- what comes of it -------------------------------------------------------------

    def _count(self, step: LiquidationStepped) -> None:
        self.counts["steps"] += 1
        notional = step.quantity_atoms * step.mark_atoms / ATOMS
        minute = self.minutes.setdefault(self.now_ms // 60_000, Minute())
        if step.kind is TradeKind.MATCH:
            self.counts["in the book"] += 1
            self.counts["fees"] += step.fee_atoms
            minute.liquidated += notional / ATOMS
        elif step.kind is TradeKind.TAKEOVER:
            self.counts["taken over"] += 1
            self.equity_bps.append(step.equity_atoms / notional * 10_000)
            minute.liquidated += notional / ATOMS
        elif step.kind is TradeKind.DELEVERAGING:
            self.counts["deleveraged"] += 1
            self.counts["deleveraged lots"] += step.quantity_atoms // LOT
        elif step.kind is TradeKind.SETTLEMENT:
            self.counts["settled"] += 1

    def _deleverage(self) -> None:
        """Offer winners by BitMEX's ranking until nobody waits or nobody is left."""
        for _ in range(100):
            candidates = self._ranked()
            code = self._do(c.Deleverage(PERP, tuple(candidates[:100])))
            self._finish()
            if code is not Code.OK or not candidates:
                break
        self.waiting = 0
        self.counts["deleveraging rounds"] += 1

    def _ranked(self) -> list[int]:
        image = self.exchange.image()
        mark = image.prices[0].mark_atoms
        wallets = {
            wallet.account_id: wallet.total_atoms
            for wallet in image.wallets
            if wallet.kind is WalletKind.MARGIN
        }
        held = [p for p in image.positions if p.quantity_atoms and p.account_id in wallets]
        scored = [(_score(p, mark, wallets[p.account_id]), p.account_id) for p in held]
        return [account_id for _, account_id in sorted(scored, reverse=True)]

    def _note(self, time_ms: int) -> None:
        minute = self.minutes.setdefault(time_ms // 60_000, Minute())
        minute.mark = self.recent[-1][1] / ATOMS
        if time_ms % 30_000 < 1_000 or self.counts["steps"]:
            fund = self.fund()
            self.fund_low = min(self.fund_low, fund)
            minute.fund = fund / ATOMS

    def fund(self) -> int:
        """Return the balance of the insurance fund."""
        return self.exchange.margin_atoms(insurance_account(GROUP), USDT)

    # -- words ------------------------------------------------------------------------

    def lines(self) -> list[str]:
        """Return the figures as a table."""
        book, over = self.counts["in the book"], self.counts["taken over"]
        closed = self.counts["closed in the book"]
        rows = [
            ("source", self.source),
            ("accounts", f"{self.counts['entered']:,d} entered at 5x to 125x"),
            ("liquidation orders in the book", f"{book:,d}, of which {closed:,d} closed all"),
            ("positions (or what was left) taken over", f"{over:,d}"),
            ("deleveraged / settled", f"{self.counts['deleveraged']} / {self.counts['settled']}"),
            ("fund before", _usdt(self.fund_start)),
            ("fund at its lowest", _usdt(self.fund_low)),
            ("fund after", _usdt(self.fund())),
            ("liquidation fees", _usdt(self.counts["fees"])),
            ("quotes pulled", f"{self.counts['quotes pulled']:,d} times"),
            ("equity when taken over, bps of notional", _spread(self.equity_bps)),
            ("mark to last liquidation, ms", _spread(self.latencies_ms)),
        ]
        return [f"{name:42s} {value}" for name, value in rows]


def _leverage_max(notional: int) -> int:
    floors = [floor for floor, _, _ in BRACKETS]
    return BRACKETS[bisect_right(floors, notional) - 1][2]


def _score(position: Position, mark: int, wallet: int) -> float:
    """Return BitMEX's ranking: profit rate x effective leverage, or / if it loses."""
    value = position.quantity_atoms * mark / ATOMS
    profit = value - position.cost_atoms
    collateral = position.isolated_atoms if position.mode is MarginMode.ISOLATED else wallet
    leverage = abs(value) / max(1.0, collateral + profit)
    rate = profit / abs(position.cost_atoms)
    return rate * leverage if rate > 0 else rate / leverage


def _usdt(atoms: int) -> str:
    return f"{atoms / ATOMS:,.0f} USDT"


def _spread(values: list[float]) -> str:
    if not values:
        return "none"
    ordered = sorted(values)
    picks = (ordered[0], ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1])
    return "lowest {:.1f}, median {:.1f}, 99 % {:.1f}, highest {:.1f}".format(*picks)
