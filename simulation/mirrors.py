"""What readers of an engine know: of its events, of its ledger, of the rows it touched."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from exchange.core import events as e
from exchange.core.engine import Exchange
from exchange.core.enums import (
    FINAL_STATUSES,
    Side,
    SystemAccount,
    WalletKind,
    clearing_account,
    insurance_account,
)
from exchange.core.state import Changes, Image, Order, Wallet


class Disagreement(Exception):
    """
    Engine and naive exchange differ; the message says where and in what.

    ``index`` is the command at which they did.
    """

    def __init__(self, message: str, index: int = 0) -> None:
        super().__init__(message)
        self.index = index


def equal(what: str, engine: Any, naive: Any) -> None:
    """
    Compare what both say.

    Raises:
        Disagreement: if they differ.
    """
    if engine != naive:
        raise Disagreement(f"{what}: engine {engine!r}, naive {naive!r}")


def equal_maps(what: str, engine: dict[Any, Any], naive: dict[Any, Any]) -> None:
    """
    Compare two maps and name only what differs.

    Raises:
        Disagreement: if they differ.
    """
    if engine != naive:
        keys = [key for key in engine | naive if engine.get(key) != naive.get(key)]
        equal(what, {k: engine.get(k) for k in keys}, {k: naive.get(k) for k in keys})


@dataclass
class EventMirror:
    """What a reader of the events knows: balances, levels, open orders."""

    balances: dict[tuple[int, int, int], tuple[int, int]] = field(default_factory=dict)
    levels: dict[tuple[int, int], dict[int, int]] = field(default_factory=dict)
    orders: dict[int, e.OrderChanged] = field(default_factory=dict)
    ended: dict[int, e.OrderChanged] = field(default_factory=dict)
    trades: list[e.TradeExecuted] = field(default_factory=list)
    trade_id: int = 0
    switches: dict[tuple[int, int], int] = field(default_factory=dict)
    protections: dict[tuple[int, int], e.ProtectionChanged] = field(default_factory=dict)
    markets: dict[int, e.MarketConfigured] = field(default_factory=dict)
    positions: dict[int, e.PositionChanged] = field(default_factory=dict)
    prices: list[e.PricesChanged] = field(default_factory=list)
    fundings: list[e.FundingSettled] = field(default_factory=list)

    def read(self, event: e.AnyEvent) -> None:
        """Take in one event."""
        if isinstance(event, e.BalanceChanged):
            key = (event.account_id, int(event.wallet), event.asset_id)
            self.balances[key] = (event.total_atoms, event.held_atoms)
        elif isinstance(event, e.LevelChanged):
            level = self.levels.setdefault((event.market_id, int(event.side)), {})
            level[event.price_atoms] = event.quantity_atoms
            if event.quantity_atoms == 0:
                del level[event.price_atoms]
        elif isinstance(event, e.OrderChanged):
            self.orders[event.order_id] = event
            if event.status in FINAL_STATUSES:
                self.ended[event.order_id] = self.orders.pop(event.order_id)
        elif isinstance(event, e.TradeExecuted):
            self.trade_id += 1
            if event.trade_id != self.trade_id:
                raise Disagreement(f"expected trade {self.trade_id}, was {event.trade_id}")
            self.trades.append(event)
        elif isinstance(event, e.MarketConfigured):
            self.markets[event.market_id] = event
        elif isinstance(event, e.CancelSwitchChanged | e.ProtectionChanged):
            self._read_safeguard(event)
        else:
            self._read_perpetual(event)

    def _read_perpetual(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.PositionChanged):
            self.positions[event.slot_id] = event
        elif isinstance(event, e.PricesChanged):
            self.prices.append(event)
        elif isinstance(event, e.FundingSettled):
            self.fundings.append(event)

    def _read_safeguard(self, event: e.CancelSwitchChanged | e.ProtectionChanged) -> None:
        scope = (event.account_id, event.market_id)
        if isinstance(event, e.CancelSwitchChanged):
            self.switches[scope] = event.due_ms
            if not event.due_ms:
                del self.switches[scope]
        else:
            self.protections[scope] = event
            if not event.window_ms:
                del self.protections[scope]

    def book(self, market_id: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return bids and asks as (price, quantity), best first."""
        bids = self.levels.get((market_id, int(Side.BUY)), {})
        asks = self.levels.get((market_id, int(Side.SELL)), {})
        return sorted(bids.items(), reverse=True), sorted(asks.items())


@dataclass
class LedgerMirror:
    """What the ledger says: balances as sums of postings, and the chain of each account."""

    sums: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    heads: dict[int, int] = field(default_factory=dict)
    last_id: int = 0

    def read(self, entry: e.LedgerPosted) -> None:
        """
        Take in one entry.

        Raises:
            Disagreement: if its number, its chain or the balance it states is wrong.
        """
        self.last_id += 1
        head = self.heads.get(entry.account_id, 0)
        equal("entry and chain", (entry.entry_id, entry.previous_id), (self.last_id, head))
        self.heads[entry.account_id] = entry.entry_id
        parts = [(entry.asset_id, entry.amount_atoms, entry.balance_atoms)]
        if entry.quote_asset_id:
            quote = entry.quote_asset_id
            parts.append((quote, entry.quote_amount_atoms, entry.quote_balance_atoms))
            self.sums[int(SystemAccount.FEES), 1, quote] += entry.fee_atoms
        else:
            self.sums[int(SystemAccount.FEES), 1, entry.asset_id] += entry.fee_atoms
        for asset_id, amount, balance in parts:
            key = (entry.account_id, int(entry.wallet), asset_id)
            self.sums[key] += amount
            # An account has an isolated wallet per market, which an entry does not name; a
            # liquidation account passes on what it gains without entries.
            passes_on = clearing_account(0) <= entry.account_id < insurance_account(0)
            if entry.wallet is not WalletKind.ISOLATED and not passes_on:
                equal("balance of an entry", balance, self.sums[key])

    def compare(self, balances: dict[tuple[int, int, int], tuple[int, int]]) -> None:
        """
        Compare the sums of all postings with balances.

        Raises:
            Disagreement: if a wallet differs.
        """
        totals = {key: total for key, (total, _) in balances.items() if total}
        equal("ledger", {key: total for key, total in self.sums.items() if total}, totals)


@dataclass
class Rows:
    """What a store would hold: copies of what batches touched, taken as they ended."""

    orders: dict[int, Order] = field(default_factory=dict)
    wallets: dict[int, Wallet] = field(default_factory=dict)
    configured: Changes = field(default_factory=Changes)

    def write(self, changes: Changes) -> None:
        """Take over what a batch touched."""
        for order_id, order in changes.orders.items():
            if order.status in FINAL_STATUSES:
                self.orders.pop(order_id, None)
            else:
                row = self.orders[order_id] = copy.copy(order)
                row.terms = copy.copy(order.terms)
        self.wallets.update({key: copy.copy(row) for key, row in changes.wallets.items()})
        for name in ("assets", "markets", "fee_tiers", "accounts", "index_prices"):
            getattr(self.configured, name).update(getattr(changes, name))
        for name in ("contracts", "insurances", "prices"):
            getattr(self.configured, name).update(getattr(changes, name))
        for name in ("switches", "protections", "price_windows", "positions"):
            rows = {key: copy.copy(row) for key, row in getattr(changes, name).items()}
            getattr(self.configured, name).update(rows)

    def image(self, engine: Exchange) -> Image:
        """Return the rows as loading takes them; ``engine`` gives what the position row holds."""
        configured = self.configured
        return Image(
            sequences=copy.copy(engine.sequences),
            assets=list(configured.assets.values()),
            markets=list(configured.markets.values()),
            fee_tiers=list(configured.fee_tiers.values()),
            accounts=list(configured.accounts.values()),
            wallets=[copy.copy(row) for row in self.wallets.values()],
            orders=[
                msgspec.structs.replace(row, terms=copy.copy(row.terms))
                for row in self.orders.values()
            ],
            tasks=copy.deepcopy(engine.tasks),
            index_prices=list(configured.index_prices.values()),
            switches=[copy.copy(row) for row in configured.switches.values() if row.due_ms],
            protections=[
                copy.copy(row) for row in configured.protections.values() if row.window_ms
            ],
            price_windows=[copy.copy(row) for row in configured.price_windows.values()],
            positions=[copy.copy(row) for row in configured.positions.values()],
            contracts=list(configured.contracts.values()),
            insurances=list(configured.insurances.values()),
            prices=list(configured.prices.values()),
            last_prices=dict(engine.last_prices),
            time_ms=engine.time_ms,
            epoch=engine.epoch,
            cancel_only_until_ms=engine.cancel_only_until_ms,
            post_only_until_ms=engine.post_only_until_ms,
        )
