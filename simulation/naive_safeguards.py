"""Dead-man switches and market-maker protections of the naive exchange."""

from __future__ import annotations

from dataclasses import dataclass, field

from exchange.core import commands as c
from exchange.core.enums import EndReason, OrderStatus
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, Answer
from simulation.naive_book import MAY_REST, NaiveOrder
from simulation.naive_checks import NaiveChecks, refuse_if

DAY_MS = 24 * 3_600_000
FOR_EVER = 2**62
Scope = tuple[int, int]


@dataclass
class NaiveProtection:
    """What protects an account's quotes in one market, and every fill that it saw."""

    window: int
    quantity: int
    fills: int
    frozen: int
    frozen_until: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)

    def counts(self, now: int) -> tuple[int, int]:
        """
        Return quantity and number of the fills that still count.

        Time is cut into slots of a twentieth of the window, at least one millisecond; a fill
        counts until the window has passed since the end of its slot.
        """
        slot = max(1, self.window // 20)
        fresh = [q for time, q in self.seen if now < (time // slot + 1) * slot + self.window]
        return sum(fresh), len(fresh)

    def is_over(self, now: int) -> bool:
        """Tell whether more was filled than a limit allows."""
        quantity, fills = self.counts(now)
        return 0 < self.quantity < quantity or 0 < self.fills < fills


class NaiveSafeguards(NaiveChecks):
    """What watches over orders: ``switches`` say when all of a scope are cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.switches: dict[Scope, int] = {}
        self.protections: dict[Scope, NaiveProtection] = {}
        self.run_over: list[Scope] = []

    def end(self, order: NaiveOrder, status: OrderStatus, reason: EndReason) -> None:
        """End an order."""
        raise NotImplementedError

    def _require_scope(self, account_id: int, market_id: int) -> None:
        refuse_if(account_id not in self.accounts, Code.ACCOUNT_NOT_FOUND)
        refuse_if(market_id not in self.markets, Code.MARKET_NOT_FOUND)

    # -- dead-man switches ------------------------------------------------------------

    def cancel_all_after(self, command: c.CancelAllAfter, _: object) -> Answer:
        """Set when all orders of a scope are cancelled, or that they are not."""
        refuse_if(command.account_id not in self.accounts, Code.ACCOUNT_NOT_FOUND)
        if command.market_id:
            self._require_scope(command.account_id, command.market_id)
        wait = command.timeout_ms
        refuse_if(wait != 0 and not 1_000 <= wait <= DAY_MS, Code.INVALID_TIMEOUT)
        scope = (command.account_id, command.market_id)
        self.switches.pop(scope, None)
        if wait:
            self.switches[scope] = self.now + wait
        return Answer(Code.OK)

    def trip_switch(self) -> None:
        """Let the switch that is due first cancel what its scope has open."""
        due = sorted((when, scope) for scope, when in self.switches.items() if when <= self.now)
        _, (account_id, market_id) = due[0]
        del self.switches[account_id, market_id]
        for order in self.orders:
            mine = order.account_id == account_id and order.is_open()
            if mine and market_id in (0, order.market_id):
                self.end(order, OrderStatus.CANCELLED, EndReason.CANCEL_ALL_AFTER)

    # -- market-maker protection ------------------------------------------------------

    def configure_protection(self, command: c.ConfigureProtection, _: object) -> Answer:
        """Set up, change or take away a protection; a freeze outlasts a change."""
        self._require_scope(command.account_id, command.market_id)
        scope = (command.account_id, command.market_id)
        known = self.protections.get(scope)
        if command.window_ms == 0:
            refuse_if(known is None, Code.NO_PROTECTION)
            del self.protections[scope]
            return Answer(Code.OK)
        wrong = (
            command.window_ms not in range(1, 10_001)
            or command.quantity_atoms not in range(AMOUNT_MAX + 1)
            or command.fills not in range(1_000_001)
            or command.frozen_ms not in range(DAY_MS + 1)
            or command.quantity_atoms == command.fills == 0
        )
        refuse_if(wrong, Code.INVALID_PROTECTION)
        self.protections[scope] = NaiveProtection(
            command.window_ms,
            command.quantity_atoms,
            command.fills,
            command.frozen_ms,
            known.frozen_until if known else 0,
        )
        return Answer(Code.OK)

    def reset_protection(self, command: c.ResetProtection, _: object) -> Answer:
        """End a freeze and forget what was counted."""
        self._require_scope(command.account_id, command.market_id)
        protection = self.protections.get((command.account_id, command.market_id))
        refuse_if(protection is None, Code.NO_PROTECTION)
        if protection:
            protection.frozen_until = 0
            protection.seen = []
        return Answer(Code.OK)

    def require_thawed(self, *orders: c.PlaceOrder) -> None:
        """Check that no freeze keeps any of these orders from resting."""
        for order in orders:
            protection = self.protections.get((order.account_id, order.market_id))
            rests = order.price_atoms and order.time_in_force in MAY_REST
            frozen = protection is not None and self.now < protection.frozen_until
            refuse_if(bool(rests) and frozen, Code.QUOTES_FROZEN)

    def saw_fill(self, maker: NaiveOrder, quantity: int) -> None:
        """Let the protection of a resting order's owner see a fill of it."""
        scope = (maker.account_id, maker.market_id)
        protection = self.protections.get(scope)
        if protection:
            protection.seen.append((self.now, quantity))
            if protection.is_over(self.now) and scope not in self.run_over:
                self.run_over.append(scope)

    def pull_quotes(self) -> None:
        """Cancel what rests of those that a taker ran over, and freeze them."""
        for scope in self.run_over:
            protection = self.protections[scope]
            wait = protection.frozen
            protection.frozen_until = self.now + wait if wait else FOR_EVER
            protection.seen = []
            for order in self.orders:
                if (order.account_id, order.market_id) == scope and order.is_in_book():
                    self.end(order, OrderStatus.CANCELLED, EndReason.QUOTE_PROTECTION)
        self.run_over = []
