"""Dead-man switches, market-maker protections and circuit breakers of the naive exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from exchange.core import commands as c
from exchange.core.enums import EndReason, MarketStatus, OrderStatus, StatusCause
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, Answer
from simulation.naive_book import ATOMS, MAY_REST, NaiveOrder
from simulation.naive_checks import NaiveChecks, refuse_if

DAY_MS = 24 * 3_600_000
FOR_EVER = 2**62
# What a market goes through on its way back, most closed first.
PHASES = (
    MarketStatus.HALTED,
    MarketStatus.CANCEL_ONLY,
    MarketStatus.POST_ONLY,
    MarketStatus.TRADING,
)
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
        # Of each market with a breaker: (slot, price before the trade), since it broke last.
        self.tape: dict[int, list[tuple[int, int]]] = {}

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

    # -- prices nobody should believe -------------------------------------------------

    def is_doubtful(self, market_id: int) -> bool:
        """Tell whether last and mark price differ by more than the market believes."""
        rate = self.markets[market_id].safety.trigger_protect_e8
        last, mark = self.last.get(market_id, 0), self.index.get(market_id, 0)
        known = rate > 0 and last > 0 and mark > 0
        return known and Fraction(abs(mark - last), mark) > Fraction(rate, ATOMS)

    # -- circuit breakers -------------------------------------------------------------

    def reference(self, market: c.ConfigureMarket) -> int:
        """
        Return the price that a trade must stay near, 0 when there is none.

        The window is cut into ten slots. The reference is the price before the first trade of
        the oldest slot that counts (this one and the ten before); without a trade in them the
        index price, or else the last price, if the market traded since it broke.
        """
        if not market.safety.breaker_band_e8:
            return 0
        slot = self._slot(market)
        fresh = [before for when, before in self._tape(market) if when >= slot - 10]
        if fresh:
            return fresh[0]
        last = 0 if market.market_id in self.broken else self.last.get(market.market_id, 0)
        return self.index.get(market.market_id, 0) or last

    def _slot(self, market: c.ConfigureMarket) -> int:
        return self.now // max(1, market.safety.breaker_window_ms // 10)

    def _tape(self, market: c.ConfigureMarket) -> list[tuple[int, int]]:
        return self.tape.setdefault(market.market_id, [])

    def saw_trade(self, market: c.ConfigureMarket, price: int) -> None:
        """Note where the price was before a trade."""
        if not market.safety.breaker_band_e8:
            return
        slot, tape = self._slot(market), self._tape(market)
        goes_on = any(when >= slot - 10 for when, _ in tape)
        before = self.last[market.market_id] if goes_on else self.reference(market) or price
        tape.append((slot, before))
        self.broken.discard(market.market_id)

    def forget_prices(self, market_id: int) -> None:
        """Begin the window of a market afresh."""
        self.tape[market_id] = []

    def break_circuit(self, market: c.ConfigureMarket) -> None:
        """Stop a market that was about to trade too far away."""
        self.tape[market.market_id] = []
        self.broken.add(market.market_id)
        self._phase(market, MarketStatus.HALTED)

    def next_phase(self) -> None:
        """Let the market whose phase ended first go on."""
        market_id = min(self.until, key=lambda key: (self.until[key], key))
        order = list(PHASES)
        status = order[order.index(self.status[market_id]) + 1]
        self._phase(self.markets[market_id], status)

    def _phase(self, market: c.ConfigureMarket, status: MarketStatus) -> None:
        safety = market.safety
        lengths = (safety.halt_ms, safety.cancel_only_ms, safety.post_only_ms, 0)
        for phase, length in zip(PHASES, lengths, strict=True):
            if phase.value <= status.value and (length or phase is MarketStatus.TRADING):
                self.set_status(market.market_id, phase, StatusCause.CIRCUIT_BREAKER)
                if length:
                    self.until[market.market_id] = self.now + length
                return
