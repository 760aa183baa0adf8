"""One's own account, rebuilt from the private stream: open orders, balances, recent fills."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from tradingclient.models import Balance, Fill, Order

# Fills kept; older ones are in GET /api/fills.
FILLS_KEPT = 1_000


class OrdersSnapshot(msgspec.Struct):
    """The data of a snapshot of ``orders``: all open ones."""

    orders: list[Order]


class FillsSnapshot(msgspec.Struct):
    """The data of a snapshot of ``fills``: the last ones, newest first."""

    fills: list[Fill]


class BalancesSnapshot(msgspec.Struct):
    """The data of a snapshot of ``balances``: all of them."""

    balances: list[Balance]


class AccountState:
    """
    What the platform last told about the account.

    ``is_live`` is true once all subscribed channels had their snapshot and nothing is missing;
    it is false while the connection is down or silent, and after it came back until what was
    missed is here. After a reset ``fills`` may lack what happened in between, and an order that
    ended then is only no longer in ``orders``: ``GET /api/fills`` and ``/api/orders/:id`` know.
    """

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.balances: dict[tuple[str, str], Balance] = {}
        self.fills: OrderedDict[str, Fill] = OrderedDict()
        self.account_id = ""
        self.is_live = False

    def balance(self, currency: str, wallet: str = "spot") -> Balance | None:
        """Return a balance, None if there never was one."""
        return self.balances.get((currency, wallet))

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Return the open order of a client id."""
        for order in self.orders.values():
            if order.client_order_id == client_order_id:
                return order
        return None

    def replace_orders(self, snapshot: OrdersSnapshot) -> list[Order]:
        """Take all open orders; return those that are new or have changed."""
        known, self.orders = self.orders, {order.id: order for order in snapshot.orders}
        return [order for order in snapshot.orders if known.get(order.id) != order]

    def replace_balances(self, snapshot: BalancesSnapshot) -> list[Balance]:
        """Take all balances; return those that are new or have changed."""
        known = self.balances
        self.balances = {(item.currency, item.wallet): item for item in snapshot.balances}
        return [item for place, item in self.balances.items() if known.get(place) != item]

    def add_fills(self, snapshot: FillsSnapshot) -> list[Fill]:
        """Take recent fills; return those that were not known, oldest first."""
        return [fill for fill in reversed(snapshot.fills) if self.add_fill(fill)]

    def set_order(self, order: Order) -> None:
        """Take an order as it is now; one that has ended is no longer kept."""
        if order.is_ended:
            self.orders.pop(order.id, None)
        else:
            self.orders[order.id] = order

    def set_balance(self, balance: Balance) -> None:
        """Take a balance as it is now."""
        self.balances[balance.currency, balance.wallet] = balance

    def add_fill(self, fill: Fill) -> bool:
        """Take a fill; return whether it was not known."""
        if fill.trade_id in self.fills:
            return False
        self.fills[fill.trade_id] = fill
        while len(self.fills) > FILLS_KEPT:
            self.fills.popitem(last=False)
        return True
