"""
The second line behind the exchange's own liquidations.

One process keeps all open positions as arrays: loaded once from the rows, then kept by the
events of every committed batch. Each turn it warns accounts near liquidation, submits who is
overdue for the exchange to decide, ranks everybody for deleveraging, and answers markets whose
bankrupt positions wait for counterparties. Whatever it does is safe to do twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import redis
import structlog
from prometheus_client import Gauge

from common import redis as redis_clients
from common.db import read_snapshot
from common.ids import make_id
from exchange import gateway, keys
from exchange.core.commands import AnyCommand, CheckLiquidation, Deleverage
from exchange.core.deleveraging import CANDIDATES_MAX, CHECKED_MAX
from exchange.core.enums import Lane, MarginMode, PriceQuality, WalletKind, is_system_account
from exchange.core.events import (
    BalanceChanged,
    ContractConfigured,
    DeleveragingNeeded,
    Outcome,
    PositionChanged,
    PricesChanged,
)
from exchange.core.rejects import Code
from exchange.core.units import RATE_ONE
from exchange.events_stream import BatchEvents, EventReader
from markets.selectors import markets_all
from positions.adl import LIGHTS_KEPT_MS, lights_key
from positions.selectors import open_rows
from riskengine import selectors
from riskengine.models import MarginCall
from riskengine.nearest import Nearest
from riskengine.ranking import best, light_limits, scores
from riskengine.screen import Found, PositionRow, Screen
from wallets.selectors import margin_totals

log = structlog.get_logger(__name__)

# Offers, about one a second, after which a market that still waits is an alarm, again and again.
OFFERS_PER_ALARM = 10

# Margin ratios at which an account is warned, and how far below one it must fall to be warned
# of it again.
CALL_LEVELS = (0.8, 0.9)
REARM = 0.05
# Warnings that a start reads back; who was warned before them is warned once more.
CALLS_REMEMBERED_MAX = 50_000
CALLS_KEPT_MS = 90 * 86_400_000
# Entries that one turn follows; more behind than this is loaded anew.
READS_MAX = 50
ROWS_PER_PUT = 20_000

_OVERDUE = Gauge("risk_overdue_accounts", "Accounts below maintenance at two looks in a row.")
_NEAR = Gauge("risk_near_scopes", "Scopes with a margin ratio of at least 80 %.")
_UNMATCHED = Gauge("risk_markets_unmatched", "Markets whose bankrupt positions found nobody yet.")
_POSITIONS = Gauge("risk_open_positions", "Open positions that the sweep looks at.")

Submit = Callable[[AnyCommand], Outcome]


@dataclass(slots=True)
class Turn:
    """What one turn found and did."""

    positions: int = 0
    near: int = 0
    calls: list[MarginCall] = field(default_factory=list)
    overdue: tuple[int, ...] = ()
    deleveraged: list[int] = field(default_factory=list)


def _submit(command: AnyCommand) -> Outcome:
    return gateway.submit(command, lane=Lane.SYSTEM)


class Sweep:
    """The arrays of one process, and what it remembers from turn to turn."""

    def __init__(self, *, submit: Submit = _submit) -> None:
        """Begin without having loaded anything."""
        self.screen = Screen()
        self._submit = submit
        self._assets: dict[int, int] = {}
        self._live: set[int] = set()
        self._paused: set[int] = set()
        self._called: dict[tuple[int, int], float] = {}
        self._suspects: set[int] = set()
        self._waiting: set[int] = set()
        self._near: Found | None = None
        self._nearest = Nearest()
        self._offers: dict[int, int] = {}
        self._batch = 0
        self._epoch = 0
        self._after = ""

    def load(self) -> None:
        """Read all open positions, wallets, terms and prices; what waits is asked for once."""
        screen = Screen()
        with read_snapshot():
            self._assets = {market.market_id: market.quote_asset_id for market in markets_all()}
            self._paused = set()
            for contract in selectors.contracts_by_id().values():
                self._take_contract(
                    screen, contract.market_id, contract.brackets, contract.liquidations_paused
                )
            self._live = set()
            for prices in selectors.prices_by_id().values():
                self._take_prices(screen, prices)
            # What the exchange itself inherited is no one's to warn, close or rank.
            users = (row for row in open_rows() if not is_system_account(row[1][1]))
            for market_id, rows in _by_market(users):
                screen.put(market_id, self._assets[market_id], rows)
            for account_id, asset_id, total_atoms in margin_totals():
                if (account_id, asset_id) in screen.wallet_rows:
                    screen.set_wallet(account_id, asset_id, total_atoms)
            self._called = _called_before()
        self.screen = screen
        self._suspects = set()
        self._waiting = set(screen.markets)

    def follow(self, client: redis.Redis) -> None:
        """Take in what was committed since the last turn; load anew after a gap."""
        reader = EventReader(client)
        if not self._after:
            newest: Any = client.xrevrange(keys.events(), count=1)
            self._after = newest[0][0].decode() if newest else "0-0"
            self.load()
        for _ in range(READS_MAX):
            entries = reader.read(self._after, 1)
            for stream_id, batch in entries:
                self._after = stream_id
                if not self._follows(batch):
                    self.load()
                self.apply(batch)
            if not entries:
                return
        self._after = ""

    def _follows(self, batch: BatchEvents) -> bool:
        known = self._batch
        follows = not known or (
            batch.epoch == self._epoch and batch.batch in (known, known + 1) and not batch.reset
        )
        self._batch, self._epoch = batch.batch, batch.epoch
        return follows

    def apply(self, batch: BatchEvents) -> None:
        """Take in the events of one batch."""
        changed: dict[int, dict[int, PositionRow]] = {}
        for event in batch.events:
            if isinstance(event, PositionChanged):
                if is_system_account(event.account_id):
                    continue
                # The last state of a slot counts; one that is flat is forgotten.
                changed.setdefault(event.market_id, {})[event.slot_id] = _row_of(event)
            elif isinstance(event, BalanceChanged) and event.wallet is WalletKind.MARGIN:
                self.screen.set_wallet(event.account_id, event.asset_id, event.total_atoms)
            elif isinstance(event, PricesChanged):
                self._take_prices(self.screen, event)
            elif isinstance(event, ContractConfigured):
                self._take_contract(
                    self.screen, event.market_id, event.brackets, event.liquidations_paused
                )
            elif isinstance(event, DeleveragingNeeded):
                self._waiting.add(event.market_id)
        for market_id, rows in changed.items():
            self._take_positions(market_id, rows)

    def _take_positions(self, market_id: int, rows: dict[int, PositionRow]) -> None:
        opened = [row for row in rows.values() if row[2]]
        if opened:
            self.screen.put(market_id, self._asset_of(market_id), opened)
        market = self.screen.market(market_id)
        for slot_id, row in rows.items():
            if not row[2]:
                market.remove(slot_id)

    def _asset_of(self, market_id: int) -> int:
        if market_id not in self._assets:
            self._assets = {market.market_id: market.quote_asset_id for market in markets_all()}
        return self._assets[market_id]

    def _take_contract(
        self,
        screen: Screen,
        market_id: int,
        brackets: Sequence[tuple[int, int, int, int]],
        is_paused: bool,
    ) -> None:
        screen.market(market_id).set_brackets(brackets)
        if is_paused:
            self._paused.add(market_id)
        else:
            self._paused.discard(market_id)

    def _take_prices(self, screen: Screen, prices: PricesChanged) -> None:
        screen.market(prices.market_id).mark_atoms = float(prices.mark_atoms)
        if prices.quality is PriceQuality.LIVE:
            self._live.add(prices.market_id)
        else:
            self._live.discard(prices.market_id)

    def turn(self, *, time_ms: int) -> Turn:
        """
        Look at everybody once and act.

        Raises:
            ExchangeError: if the exchange cannot take a command; the next turn tries again.
        """
        near = self.screen.look(least_ratio=CALL_LEVELS[0] - REARM, market_ids=self._live)
        self._near = near
        done = Turn(positions=sum(market.count for market in self.screen.markets.values()))
        done.near = int((near.ratios >= CALL_LEVELS[0]).sum())
        done.calls = self._calls(near, time_ms)
        MarginCall.objects.bulk_create(done.calls)
        done.overdue = self._overdue(near)
        _POSITIONS.set(done.positions)
        _NEAR.set(done.near)
        _OVERDUE.set(len(done.overdue))
        for start in range(0, len(done.overdue), CHECKED_MAX):
            self._submit(CheckLiquidation(done.overdue[start : start + CHECKED_MAX]))
        done.deleveraged = self._deleverage()
        return done

    def _calls(self, near: Found, time_ms: int) -> list[MarginCall]:
        """Return the warnings that are due; a scope is warned of each level once."""
        calls: list[MarginCall] = []
        still: dict[tuple[int, int], float] = {}
        for account, market, ratio in zip(
            near.accounts.tolist(), near.markets.tolist(), near.ratios.tolist(), strict=True
        ):
            scope = (account, market)
            before = self._called.get(scope, 0.0)
            # Five points below a level it can be warned of it again.
            kept = max((level for level in CALL_LEVELS if level <= min(before, ratio + REARM)),
                       default=0.0)  # fmt: skip
            reached = max((level for level in CALL_LEVELS if level <= ratio), default=0.0)
            if reached > kept:
                ratio_e8 = int(min(ratio, 1_000.0) * RATE_ONE)
                level_e8 = round(reached * RATE_ONE)
                calls.append(MarginCall(make_id(), account, market, level_e8, ratio_e8, time_ms))
            if max(kept, reached):
                still[scope] = max(kept, reached)
        self._called = still
        return calls

    def _overdue(self, near: Found) -> tuple[int, ...]:
        """
        Return accounts that were below maintenance at this look and at the one before.

        Who has positions only where liquidations are paused is nobody the exchange would take.
        """
        below = near.ratios >= 1.0
        if self._paused:
            below &= self._may_be_liquidated(near)
        accounts = set(near.accounts[below].tolist())
        overdue = tuple(sorted(accounts & self._suspects))
        self._suspects = accounts
        return overdue

    def _may_be_liquidated(self, near: Found) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Tell of each scope whether one of its positions is in a market that liquidates."""
        taking = self._live - self._paused
        crossed = near.markets == 0
        return np.where(
            crossed,
            np.isin(near.accounts, self.screen.crossed_accounts(taking)),
            np.isin(near.markets, list(taking)),
        )

    def _deleverage(self) -> list[int]:
        """
        Offer counterparties to markets whose bankrupt positions wait; return which.

        A market that goes on waiting is an alarm: what is left is settling it, an operator's word.
        """
        offered: list[int] = []
        _UNMATCHED.set(len(self._offers))
        if not self._waiting:
            return offered
        balances, needs = self.screen.standings()
        for market_id in sorted(self._waiting):
            market = self.screen.market(market_id)
            if not market.count or market_id not in self._live:
                continue
            candidates = best(market, scores(market, balances, needs), limit=CANDIDATES_MAX)
            outcome = self._submit(Deleverage(market_id, tuple(candidates)))
            if outcome.code is Code.OK:
                offered.append(market_id)
                self._offers[market_id] = offers = self._offers.get(market_id, 0) + 1
                if offers % OFFERS_PER_ALARM == 0:
                    log.critical("deleveraging_finds_nobody", market_id=market_id, offers=offers)
            elif outcome.code is not Code.MARK_PRICE_STALE:
                self._waiting.discard(market_id)
                self._offers.pop(market_id, None)
        return offered

    def publish_lights(self, client: redis.Redis) -> None:
        """Say where the fifths of each side begin, for the lights of positions."""
        balances, needs = self.screen.standings()
        pipeline = client.pipeline(transaction=False)
        for market in self.screen.markets.values():
            if market.count and market.mark_atoms and len(market.rates):
                limits = light_limits(market, scores(market, balances, needs))
                pipeline.set(
                    lights_key(market.market_id), msgspec.json.encode(limits), px=LIGHTS_KEPT_MS
                )
        pipeline.execute()

    def publish_nearest(self, client: redis.Redis, *, time_ms: int) -> None:
        """Say who is nearest to liquidation, for operators."""
        self._nearest.publish(client, self.screen, self._near, time_ms=time_ms)


def _row_of(event: PositionChanged) -> PositionRow:
    crossed = event.mode is not MarginMode.ISOLATED
    return (
        event.slot_id,
        event.account_id,
        event.quantity_atoms,
        event.cost_atoms,
        event.isolated_atoms,
        crossed,
    )


def _by_market(
    rows: Iterable[tuple[int, PositionRow]],
) -> Iterable[tuple[int, list[PositionRow]]]:
    """Yield positions by market, so many at a time."""
    gathered: dict[int, list[PositionRow]] = {}
    for market_id, row in rows:
        own = gathered.setdefault(market_id, [])
        own.append(row)
        if len(own) == ROWS_PER_PUT:
            yield market_id, gathered.pop(market_id)
    yield from gathered.items()


def _called_before() -> dict[tuple[int, int], float]:
    """Return the levels that scopes were warned of last, so that a restart repeats none."""
    newest = MarginCall.objects.order_by("-id")[:CALLS_REMEMBERED_MAX]
    rows = list(newest.values_list("account_id", "market_id", "level_e8"))
    return {(account, market): level / RATE_ONE for account, market, level in reversed(rows)}


def margin_calls_prune(*, time_ms: int) -> int:
    """Delete warnings that are older than ``CALLS_KEPT_MS``; return how many."""
    deleted, _ = MarginCall.objects.filter(time_ms__lt=time_ms - CALLS_KEPT_MS).delete()
    return deleted


def client() -> redis.Redis:
    """Return the client that a sweep follows events with."""
    return redis_clients.client()
