"""Replays other projects' matching scenarios on our engine: whole prices, whole quantities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from exchange.core.commands import (
    AmendOrder,
    CancelOrder,
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    ContinueTask,
    Credit,
    PlaceOrder,
    SpecialTerms,
)
from exchange.core.enums import (
    FINAL_STATUSES,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.events import OrderChanged, Outcome, TradeExecuted
from exchange.core.units import ATOMS
from tests.support.engine import BTC, MARKET, USDT, Bench, market, units

DATA = Path(__file__).parent / "data"
FIRST_ACCOUNT = 2_000_000


def vectors(name: str) -> list[dict[str, Any]]:
    """Return the rows of one file."""
    rows: list[dict[str, Any]] = json.loads((DATA / name).read_text())["vectors"]
    return rows


def book_of_exchange_core() -> dict[str, list[list[str]]]:
    """Return the book that all rows of exchange-core's file start from."""
    book: dict[str, list[list[str]]] = json.loads(
        (DATA / "matching_exchange_core.json").read_text()
    )["book"]
    return book


class Replay:
    """
    An engine that knows orders by the names of a scenario.

    Each name has an account of its own unless told otherwise, so that no scenario meets
    self-trade prevention by accident.
    """

    def __init__(self, *, tick: str = "1", lot: str = "1") -> None:
        self.bench = Bench()
        self.bench.ok(ConfigureAsset(BTC, "BTC", "Bitcoin", 8))
        self.bench.ok(ConfigureAsset(USDT, "USDT", "Tether", 8))
        self.bench.ok(ConfigureFeeTier(0, 0, 0))
        self.bench.ok(
            market(
                tick_atoms=units(tick),
                lot_atoms=units(lot),
                quantity_min_atoms=0,
                quantity_max_atoms=0,
                price_min_atoms=0,
                price_max_atoms=0,
                notional_min_atoms=0,
            )
        )
        self.accounts: dict[str, int] = {}
        self.order_ids: dict[str, int] = {}
        self.orders: dict[str, OrderChanged] = {}

    def account(self, owner: str) -> int:
        """Return the account of an owner, opened and funded at first use."""
        if owner not in self.accounts:
            account = self.accounts[owner] = FIRST_ACCOUNT + len(self.accounts)
            self.bench.ok(ConfigureAccount(account))
            for asset in (BTC, USDT):
                amount = units(1_000_000_000)
                self.bench.ok(Credit(account, WalletKind.SPOT, asset, amount, "test", "test"))
        return self.accounts[owner]

    def place(
        self,
        name: str,
        side: str,
        quantity: str,
        price: str | None,
        *,
        owner: str = "",
        time_in_force: str = "GTC",
        mode: SelfTradeMode | None = None,
        stop: str | None = None,
        special: SpecialTerms | None = None,
    ) -> Outcome:
        """
        Place an order; without a price it is a market order, with ``stop`` a stop-loss.

        Stops refer to the last price and may pay nearly twice their trigger price: the
        scenarios know no cap.
        """
        force = TimeInForce[time_in_force]
        order_type = OrderType.LIMIT if price else OrderType.MARKET
        if stop:
            order_type = OrderType.STOP_LOSS_LIMIT if price else OrderType.STOP_LOSS
            special = SpecialTerms(TriggerType.LAST, units(stop))
        command = PlaceOrder(
            account_id=self.account(owner or name),
            market_id=MARKET,
            side=Side[side],
            order_type=order_type,
            time_in_force=force if price or force is not TimeInForce.GTC else TimeInForce.IOC,
            price_atoms=units(price) if price else 0,
            quantity_atoms=units(quantity),
            self_trade_mode=mode,
            slippage_rate_e8=ATOMS - 1 if stop and not price else 0,
            special=special,
        )
        outcome = self.bench.do(command)
        self.order_ids[name] = outcome.reference_id
        return self._remember(outcome)

    def amend(self, name: str, *, owner: str = "", **changes: str) -> Outcome:
        """Change an order by its name: quantity, price, trigger_price."""
        atoms = {f"{field}_atoms": units(value) for field, value in changes.items()}
        order_id = self.order_ids.get(name, 999_999)
        command = AmendOrder(self.account(owner or name), order_id, **atoms)  # type: ignore[arg-type]
        return self._remember(self.bench.do(command))

    def carry_on(self) -> list[Outcome]:
        """Take all internal steps that wait; return what each did."""
        outcomes = []
        while self.bench.exchange.has_task:
            outcomes.append(self._remember(self.bench.ok(ContinueTask())))
        return outcomes

    def cancel(self, name: str, *, owner: str = "") -> Outcome:
        """Cancel an order by its name; an unknown name is an unknown number."""
        order_id = self.order_ids.get(name, 999_999)
        return self._remember(self.bench.do(CancelOrder(self.account(owner or name), order_id)))

    def trades(self, outcome: Outcome) -> list[tuple[str, str, str]]:
        """Return (maker, price, quantity) of each trade in whole numbers."""
        names = {order_id: name for name, order_id in self.order_ids.items()}
        return [
            (names[event.maker_order_id], whole(event.price_atoms), whole(event.quantity_atoms))
            for event in outcome.events
            if isinstance(event, TradeExecuted)
        ]

    def resting(self) -> set[tuple[str, str, str, str]]:
        """Return (name, side, quantity left, price) of all open orders."""
        image = self.bench.exchange.image()
        names = {order_id: name for name, order_id in self.order_ids.items()}
        return {
            (
                names[order.order_id],
                order.side.name,
                whole(order.remaining_atoms),
                whole(order.price_atoms),
            )
            for order in image.orders
            if order.status not in FINAL_STATUSES
        }

    def levels(self) -> dict[str, list[tuple[str, str]]]:
        """Return bids and asks as (price, quantity), best first, in whole numbers."""
        bids, asks = self.bench.exchange.book_levels(MARKET, 1_000)
        return {
            name: [(whole(price), whole(quantity)) for price, quantity in levels]
            for name, levels in (("bids", bids), ("asks", asks))
        }

    def _remember(self, outcome: Outcome) -> Outcome:
        names = {order_id: name for name, order_id in self.order_ids.items()}
        for event in outcome.events:
            if isinstance(event, OrderChanged):
                self.orders[names[event.order_id]] = event
        return outcome


def whole(atoms: int) -> str:
    """Return atoms as a plain decimal without trailing zeros."""
    number, fraction = divmod(atoms, ATOMS)
    return f"{number}.{fraction:08d}".rstrip("0").rstrip(".")
