"""What orders of the naive exchange do: trade, end, wait for prices, fire, expire."""

from __future__ import annotations

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    Side,
    SystemAccount,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import BY_LAST, Refused
from simulation.naive_book import (
    MAY_REST,
    WITHOUT_PRICE,
    DryRun,
    Judge,
    NaiveOrder,
    dry_run,
    rounded_up,
    value_of,
)
from simulation.naive_checks import refuse_if
from simulation.naive_safeguards import NaiveSafeguards

_UNTRIGGERED = OrderStatus.UNTRIGGERED
_HARD_STOPS = (EndReason.SELF_TRADE, EndReason.MATCH_LIMIT, EndReason.CIRCUIT_BREAKER)
_FAILED_TO_TAKE = {
    Code.FOK_NOT_FILLABLE: EndReason.FOK_NOT_FILLABLE,
    Code.POST_ONLY_WOULD_CROSS: EndReason.POST_ONLY_WOULD_CROSS,
    Code.REDUCE_ONLY_NO_POSITION: EndReason.POSITION_CLOSED,
}


class NaiveMatching(NaiveSafeguards):
    """
    Orders that live.

    ``waiting`` is internal work in its order: ("fire", order) and ("arm", entry) by number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[str, int]] = []
        self.entries: dict[int, int] = {}
        self.clock = 0

    def tick(self) -> int:
        """Return a number behind all given out before."""
        self.clock += 1
        return self.clock

    def find(self, order_id: int) -> NaiveOrder | None:
        """Return an open order."""
        return next((o for o in self.orders if o.order_id == order_id and o.is_open()), None)

    # -- taking -----------------------------------------------------------------------

    def plan(self, taker: NaiveOrder, market: c.ConfigureMarket) -> DryRun:
        """
        Return what a taker would do.

        Raises:
            Refused: if it would do something it must not, or less than it must.
        """
        cap = self.limit_or_cap(taker, market)
        run = dry_run(
            self.orders,
            taker,
            cap=cap,
            lot=market.lot_atoms,
            now=self.now,
            reference=self.reference(market),
            band=market.safety.breaker_band_e8,
            judge=self.judge(taker, market),
        )
        best = self.best_opposite(taker.market_id, taker.side)
        takes = taker.post_only and best is not None and taker.crosses(best)
        refuse_if(takes, Code.POST_ONLY_WOULD_CROSS)
        incomplete = taker.time_in_force is TimeInForce.FOK and run.filled < taker.remaining
        refuse_if(incomplete, Code.FOK_NOT_FILLABLE)
        refuse_if(run.spent and not run.filled, Code.QUANTITY_TOO_SMALL)
        return run

    def judge(self, taker: NaiveOrder, market: c.ConfigureMarket) -> Judge | None:
        """Return who judges makers; nobody on spot, where they hold what they need."""
        del taker, market
        return None

    def require_funds(self, taker: NaiveOrder, run: DryRun, market: c.ConfigureMarket) -> None:
        """Check that all of a limit order, or what a market one takes, can be paid for."""
        limit = taker.order_type is OrderType.LIMIT
        if taker.side is Side.SELL:
            needed = taker.quantity if limit else max(1, run.filled)
            asset_id = market.base_asset_id
        else:
            cost = run.quote_filled + rounded_up(run.fee_e8)
            needed = taker.hold() if limit else max(1, cost)
            asset_id = market.quote_asset_id
        wallet = (taker.account_id, WalletKind.SPOT, asset_id)
        refuse_if(needed > self.available(wallet), Code.INSUFFICIENT_BALANCE)

    def carry_out(self, taker: NaiveOrder, run: DryRun, market: c.ConfigureMarket) -> None:
        """Do what a dry run said, and what becomes of the rest."""
        for step in run.steps:
            maker = step.maker
            if step.filled:
                self._trade(taker, maker, step.filled, market)
                continue
            if step.taker_prevented == 0:
                self.end(maker, OrderStatus.EXPIRED, step.expires())
                continue
            maker.remaining -= step.maker_prevented
            taker.remaining -= step.taker_prevented
            if maker.remaining + maker.hidden == 0:
                self.end(maker, OrderStatus.EXPIRED, EndReason.SELF_TRADE)
            else:
                self.end_other_leg(maker)
                self._show_more(maker)
        # Before anything follows from the taker's own end.
        self.pull_quotes()
        if run.stop is EndReason.CIRCUIT_BREAKER:
            self.break_circuit(market)
        hard_stop = run.stop in _HARD_STOPS
        if run.stop is EndReason.NONE:
            self.finish(taker, OrderStatus.FILLED, EndReason.NONE)
        elif hard_stop or taker.order_type in WITHOUT_PRICE:
            self.finish(taker, OrderStatus.EXPIRED, run.stop)
        elif taker.time_in_force not in MAY_REST:
            self.finish(taker, OrderStatus.EXPIRED, EndReason.IOC_REMAINDER)
        else:
            self.rest(taker)

    def rest(self, order: NaiveOrder) -> None:
        """Let an order rest behind all others at its price; an iceberg shows a part."""
        order.status = OrderStatus.PARTIALLY_FILLED if order.filled else OrderStatus.OPEN
        order.turn = self.tick()
        if order.display and order.remaining > order.display:
            order.hidden = order.remaining - order.display
            order.remaining = order.display

    def _show_more(self, order: NaiveOrder) -> None:
        if order.remaining == 0 and order.hidden:
            order.remaining = min(order.hidden, order.display)
            order.hidden -= order.remaining
            order.turn = self.tick()

    def _trade(
        self, taker: NaiveOrder, maker: NaiveOrder, quantity: int, market: c.ConfigureMarket
    ) -> None:
        self.end_other_leg(maker)
        fees = self.charge(taker, maker, quantity)
        self.exchange_assets(taker, maker, quantity, fees, market)
        self.fills.append((maker.price, quantity, taker.order_id, maker.order_id, fees[0], fees[1]))
        self._show_more(maker)
        if maker.remaining == 0:
            self.finish(maker, OrderStatus.FILLED, EndReason.NONE)
        self.saw_fill(maker, quantity)
        self.saw_trade(market, maker.price)
        self.after_trade(taker, maker, market)
        self.last[market.market_id] = maker.price
        self.traded_ms[market.market_id] = self.now
        self.observe(market.market_id, maker.price, BY_LAST)

    def charge(self, taker: NaiveOrder, maker: NaiveOrder, quantity: int) -> tuple[int, int]:
        """Fill both orders; return the fees of taker and maker, rounded up over an order."""
        notional = value_of(maker.price, quantity)
        fees = []
        for order, rate in ((taker, taker.taker_rate), (maker, maker.maker_rate)):
            order.fee_e8 += notional * rate
            fee = rounded_up(order.fee_e8) - order.fee
            order.fee += fee
            order.filled += quantity
            order.quote_filled += notional
            if not order.quote_quantity:
                order.remaining -= quantity
            order.status = OrderStatus.PARTIALLY_FILLED
            fees.append(fee)
        return fees[0], fees[1]

    def exchange_assets(
        self,
        taker: NaiveOrder,
        maker: NaiveOrder,
        quantity: int,
        fees: tuple[int, int],
        market: c.ConfigureMarket,
    ) -> None:
        """Move base, quote and fees of a trade."""
        notional = value_of(maker.price, quantity)
        for order, fee in zip((taker, maker), fees, strict=True):
            sign = 1 if order.side is Side.BUY else -1
            self.add(order.account_id, market.base_asset_id, sign * quantity)
            self.add(order.account_id, market.quote_asset_id, -sign * notional - fee)
        self.add(SystemAccount.FEES, market.quote_asset_id, sum(fees))

    def after_trade(self, taker: NaiveOrder, maker: NaiveOrder, market: c.ConfigureMarket) -> None:
        """Do what else follows from a trade; on spot nothing does."""

    # -- ending -----------------------------------------------------------------------

    def end(self, order: NaiveOrder, status: OrderStatus, reason: EndReason) -> None:
        """End an order; the other leg of its OCO ends with it."""
        self.finish(order, status, reason)
        self.end_other_leg(order)

    def finish(self, order: NaiveOrder, status: OrderStatus, reason: EndReason) -> None:
        """End an order alone."""
        order.status = status
        order.reason = reason
        self.ended.append(order)
        if order.link_kind is LinkKind.ENTRY:
            self.waiting.append(("arm", order.order_id))
            self.entries[order.order_id] = order.filled

    def end_other_leg(self, order: NaiveOrder) -> None:
        """Cancel the other leg of an OCO, if any is open; what is left holds for itself."""
        order.holds = True
        if order.link_kind is not LinkKind.OCO:
            return
        for other in self.orders:
            if other.link == order.link and other is not order and other.is_open():
                self.finish(other, OrderStatus.CANCELLED, EndReason.LINKED_ORDER)

    def expire_due(self) -> None:
        """End the orders whose time is over, the earliest first."""
        due = [o for o in self.orders if o.expires and o.expires <= self.now]
        for order in sorted(due, key=lambda o: (o.expires, o.order_id)):
            if order.is_open():
                self.end(order, OrderStatus.EXPIRED, EndReason.TIME_EXPIRED)

    # -- waiting for prices -----------------------------------------------------------

    def observe(self, market_id: int, price: int, kinds: tuple[TriggerType, ...]) -> None:
        """
        Let conditional orders see a price of some kinds; those it fires have their turn later.

        First those that wait for a rise, then those that wait for a fall: the most distant
        trigger first, then the oldest. Then the trailing stops that follow the price: the
        smaller callback first, buys first, then the oldest. In a market that does not trade
        these follow too, and nothing fires.
        """
        conditional = [
            o
            for o in self.orders
            if o.market_id == market_id and o.status is _UNTRIGGERED and o.trigger_type in kinds
        ]
        for order in conditional:
            if order.extreme:
                best = max if order.side is Side.SELL else min
                order.extreme = best(order.extreme, price)
        if not self.trades_now(market_id):
            return
        doubtful = self.is_doubtful(market_id)
        armed = [o for o in conditional if not o.fired]
        following = [o for o in armed if o.extreme]
        for rises in (True, False):
            sign = 1 if rises else -1
            reached = [
                o
                for o in armed
                if not o.extreme and o.waits_for_rise() is rises and o.is_reached(price)
            ]
            for order in sorted(reached, key=lambda o: (sign * o.threshold(), o.since)):
                if order.callback:
                    order.extreme = price
                    order.since = self.tick()
                elif not (doubtful and order.price_protect):
                    self._fire_later(order)
        for order in sorted(following, key=lambda o: (o.callback, o.side, o.since)):
            if order.came_back(price) and not (doubtful and order.price_protect):
                self._fire_later(order)

    def _fire_later(self, order: NaiveOrder) -> None:
        order.fired = True
        self.waiting.append(("fire", order.order_id))

    def stay_armed(self, market_id: int) -> None:
        """Let fired orders of a market wait again: it stopped trading before their turn."""
        for order in self.orders:
            if order.fired and order.market_id == market_id and order.is_open():
                order.fired = False
                self.waiting.remove(("fire", order.order_id))

    def fire(self, order: NaiveOrder) -> None:
        """Carry a conditional order out as a market or limit order."""
        market = self.markets[order.market_id]
        self.end_other_leg(order)
        order.fired = False
        # It is a taker now: nothing of it is held back or in the book while it takes.
        try:
            self.size_fired(order)
            run = self.plan(order, market)
            if order.margined:
                self.require_funds(order, run, market)
        except Refused as refused:
            why = _FAILED_TO_TAKE.get(refused.code, EndReason.INSUFFICIENT_MARGIN)
            self.finish(order, OrderStatus.EXPIRED, why)
            return
        order.status = OrderStatus.OPEN
        self.carry_out(order, run, market)

    def size_fired(self, order: NaiveOrder) -> None:
        """Check that a fired order may take now, and how much; on spot it is what it was."""
