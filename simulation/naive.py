"""
A second, naive exchange: the oracle of the property tests.

Written from the trading rules and from the docstrings of commands and events alone, with
plain lists and exact fractions, so that it fails in other ways than the engine does. It
knows spot trading: accounts, wallets, holds, orders, transfers, configuration, statuses.
What is held is never kept, it is computed anew from the open orders each time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange.core import commands as c
from exchange.core.enums import EndReason, OrderStatus, WalletKind
from exchange.core.rejects import Code
from simulation.naive_accounts import Answer, Refused, same_request
from simulation.naive_book import MAY_REST, NaiveOrder
from simulation.naive_checks import refuse_if
from simulation.naive_groups import NaiveGroups


class NaiveExchange(NaiveGroups):
    """Spot trading as plainly as it can be said; ``apply`` is all a test needs."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[type, Callable[[Any, c.ClientIdFinding | None], Answer]] = {
            c.PlaceOrder: self.place,
            c.PlaceLinkedOrders: self.place_linked,
            c.AmendOrder: self.amend,
            c.CancelOrder: self.cancel,
            c.CancelAllOrders: self.cancel_all,
            c.CancelAllAfter: self.cancel_all_after,
            c.ConfigureProtection: self.configure_protection,
            c.ResetProtection: self.reset_protection,
            c.Transfer: self.transfer,
            c.Credit: self.credit,
            c.Debit: self.debit,
            c.MoveWithdrawal: self.move_withdrawal,
            c.ConfigureAsset: self.configure_asset,
            c.ConfigureMarket: self.configure_market,
            c.SetMarketStatus: self.set_market_status,
            c.ConfigureFeeTier: self.configure_fee_tier,
            c.ConfigureAccount: self.configure_account,
            c.UpdateIndexPrices: self.update_index_prices,
            c.StartLeadership: self.start_leadership,
        }

    def apply(self, envelope: c.Envelope) -> Answer:
        """Carry out one command; a refusal changes nothing."""
        self.now = envelope.time_ms
        try:
            answer = self.handlers[type(envelope.command)](envelope.command, envelope.finding)
        except Refused as refused:
            return Answer(refused.code)
        self.orders = [order for order in self.orders if order.is_open()]
        return answer

    # -- placing ----------------------------------------------------------------------

    def place(self, order: c.PlaceOrder, finding: c.ClientIdFinding | None) -> Answer:
        """Place one order: all checks in the order of the codes, then the dry run, then do it."""
        if finding:
            return same_request(finding, order.request_hash, Code.CLIENT_ORDER_ID_CONFLICT)
        market = self.require_open(order, order.account_id)
        taker = self.checked(order, market)
        if taker.is_conditional():
            self.wait(taker)
        else:
            run = self.plan(taker, market)
            self.require_funds(taker, run, market)
            self.orders.append(taker)
            self.carry_out(taker, run, market)
        self.last_order += 1
        return Answer(Code.OK, taker.order_id)

    def checked(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> NaiveOrder:
        """Return the order that a command makes, once it may be placed; nothing is changed."""
        self.require_own(order, market)
        self.require_thawed(order)
        made = self.new_order(order, market)
        if made.time_in_force in MAY_REST or made.is_conditional():
            self.require_room(order, 1)
        self.require_margin_terms(order)
        if made.is_conditional() and not made.margined:
            wallet = (made.account_id, WalletKind.SPOT, self._hold_asset(made))
            refuse_if(made.hold() > self.available(wallet), Code.INSUFFICIENT_BALANCE)
        return made

    def wait(self, order: NaiveOrder) -> None:
        """Let a conditional order wait for its price."""
        order.since = self.tick()
        self.orders.append(order)
        self.listed(order)

    def listed(self, order: NaiveOrder) -> None:
        """Note what else an order that waits brings into being; on spot nothing."""

    # -- internal steps ---------------------------------------------------------------

    def take_turns(self, now: int, ahead: list[tuple[str, int]]) -> None:
        """
        Carry out internal work until what is left is what the engine has still ahead.

        How much one step does is the engine's affair; what is done, and in which order, is not.

        Raises:
            ValueError: if the two never have the same work ahead.
        """
        self.now = now
        while True:
            self.waiting = [turn for turn in self.waiting if self.is_alive(turn)]
            if self.waiting == [turn for turn in ahead if self.is_alive(turn)]:
                break
            if not self.waiting:
                raise ValueError(f"the engine has {ahead[:3]} ahead, the naive exchange nothing")
            self.take_turn(*self.waiting[0])
        self.orders = [order for order in self.orders if order.is_open()]

    def take_turn(self, kind: str, order_id: int) -> None:
        """Carry out the first piece of internal work."""
        if kind == "arm":
            del self.waiting[0]
            self.arm(order_id, self.entries.pop(order_id))
            return
        order = self._order(order_id)
        if self.trades_now(order.market_id):
            del self.waiting[0]
            self.fire(order)
        else:
            self.stay_armed(order.market_id)

    def expire(self, now: int) -> None:
        """Do what is due: orders that expire first, then one switch, then one market's phase."""
        self.now = now
        if any(order.is_due(now) for order in self.orders):
            self.expire_due()
        elif any(when <= now for when in self.switches.values()):
            self.trip_switch()
        else:
            self.next_phase()
        self.orders = [order for order in self.orders if order.is_open()]

    def _order(self, order_id: int) -> NaiveOrder:
        return next(order for order in self.orders if order.order_id == order_id)

    def is_alive(self, turn: tuple[str, int]) -> bool:
        """Tell whether a piece of internal work still does anything."""
        kind, order_id = turn
        if kind == "arm":
            return bool(self.children_of(order_id))
        return any(o.order_id == order_id and o.fired and o.is_open() for o in self.orders)

    # -- cancelling -------------------------------------------------------------------

    def cancel(self, cancel: c.CancelOrder, _: object) -> Answer:
        """Cancel one open order of the account."""
        if cancel.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        order = self.order_of(cancel.account_id, cancel.order_id, cancel.client_order_id)
        self.end(order, OrderStatus.CANCELLED, _cancel_reason(cancel))
        return Answer(Code.OK, order.order_id)

    def cancel_all(self, cancel: c.CancelAllOrders, _: object) -> Answer:
        """Cancel all open orders of an account; here at once, in the engine in steps."""
        if cancel.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        if cancel.market_id and cancel.market_id not in self.markets:
            raise Refused(Code.MARKET_NOT_FOUND)
        for order in self.orders:
            mine = order.account_id == cancel.account_id and order.is_open()
            if mine and cancel.market_id in (0, order.market_id):
                self.end(order, OrderStatus.CANCELLED, _cancel_reason(cancel))
        return Answer(Code.OK)


def _cancel_reason(cancel: c.CancelOrder | c.CancelAllOrders) -> EndReason:
    return EndReason.OPERATOR_CANCELLED if cancel.by_operator else EndReason.USER_CANCELLED
