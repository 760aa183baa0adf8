"""Orders of perpetual markets that wait for a price, or are amended, in the naive exchange."""

from __future__ import annotations

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    MarketKind,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerType,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import Answer, Refused
from simulation.naive_book import DryRun, NaiveOrder
from simulation.naive_checks import refuse_if
from simulation.naive_margin import NaiveMargin
from simulation.naive_positions import NaivePosition

CLOSING_TYPES = (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)


class NaiveWaiting(NaiveMargin):
    """Conditional orders take no margin before they fire; then they are judged like any other."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers |= {c.SetPositionExits: self.set_exits}

    def price_of(self, market_id: int, trigger_type: TriggerType) -> int:
        """Return the last price of a kind; a perpetual market has a mark of its own."""
        if trigger_type is TriggerType.MARK and market_id in self.contracts:
            return self.marks.get(market_id, 0)
        return super().price_of(market_id, trigger_type)

    def require_closing_shape(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        """Check that an order that closes a position is a stop or take-profit without a size."""
        special = order.special
        if special is None or not special.close_position or market.kind is MarketKind.SPOT:
            return
        sized = order.quantity_atoms or order.quote_quantity_atoms or special.display_atoms
        wrong = order.order_type not in CLOSING_TYPES or sized or special.reduce_only
        refuse_if(bool(wrong), Code.CLOSE_POSITION_SHAPE)

    def listed(self, order: NaiveOrder) -> None:
        """Give whoever has an order in a perpetual market a slot."""
        if order.margined:
            self.slot(order.account_id, order.market_id)

    def room(self, slot: NaivePosition, order: NaiveOrder) -> int:
        """Return what an order may take of a position beside the others that rest."""
        if not slot.is_reduced_by(order.side):
            return 0
        others = sum(o.remaining for o in self.reducing(slot) if o is not order)
        return max(0, abs(slot.quantity) - others)

    def size_fired(self, order: NaiveOrder) -> None:
        """Check prices of what may open; size what reduces by the position that is there."""
        if not order.margined:
            return
        if not order.reduces():
            self.require_prices(order.market_id)
            return
        slot = self.slots[order.account_id, order.market_id]
        room = self.room(slot, order)
        if order.closes:
            room = abs(slot.quantity) if slot.is_reduced_by(order.side) else 0
        refuse_if(not room, Code.REDUCE_ONLY_NO_POSITION)
        size = room if order.closes else min(order.remaining, room)
        order.quantity = order.remaining = size

    # -- exits ------------------------------------------------------------------------

    def set_exits(self, change: c.SetPositionExits, _: object) -> Answer:
        """Replace take-profit and stop-loss of a position; each must not be reached yet."""
        self.require_owned(change.account_id, change.market_id)
        slot = self.slots.get((change.account_id, change.market_id))
        if slot is None or not slot.quantity:
            raise Refused(Code.POSITION_NOT_FOUND)
        exits: list[NaiveOrder] = []
        for order_type, trigger in (
            (OrderType.TAKE_PROFIT, change.take_profit_atoms),
            (OrderType.STOP_LOSS, change.stop_loss_atoms),
        ):
            if trigger:
                exits.append(self._exit(change, slot, order_type, trigger))
                exits[-1].order_id = self.last_order + len(exits)
        for order in self.orders:
            mine = (order.account_id, order.market_id) == (slot.account_id, slot.market_id)
            waits = order.closes and order.status is OrderStatus.UNTRIGGERED
            if mine and waits and order.order_type in CLOSING_TYPES:
                self.end(order, OrderStatus.CANCELLED, EndReason.USER_CANCELLED)
        for order in exits:
            self.wait(order)
        self.last_order += len(exits)
        return Answer(Code.OK, exits[0].order_id if exits else 0)

    def _exit(
        self,
        change: c.SetPositionExits,
        slot: NaivePosition,
        order_type: OrderType,
        trigger: int,
    ) -> NaiveOrder:
        order = c.PlaceOrder(
            change.account_id,
            change.market_id,
            slot.closing_side(),
            order_type,
            TimeInForce.IOC,
            0,
            0,
            special=c.SpecialTerms(change.trigger_type, trigger, close_position=True),
        )
        try:
            return self.checked(order, self.require_open(order, change.account_id))
        except Refused as refused:
            reached = refused.code is Code.TRIGGER_WOULD_FIRE
            raise Refused(Code.EXIT_PRICES if reached else refused.code) from None

    # -- amending ---------------------------------------------------------------------

    def require_amended_margin_terms(self, amended: NaiveOrder, placed: c.PlaceOrder) -> None:
        """Check prices, liquidation and room; a resting order makes room for itself."""
        if not amended.margined:
            return
        if not amended.reduce_only or amended.status is OrderStatus.UNTRIGGERED:
            self.require_margin_terms(placed)
            return
        liquidating = self.is_liquidating(amended.account_id, amended.market_id)
        refuse_if(liquidating, Code.ACCOUNT_LIQUIDATING)
        slot = self.slots[amended.account_id, amended.market_id]
        others = sum(o.remaining for o in self.reducing(slot) if o.order_id != amended.order_id)
        room = abs(slot.quantity) - others if slot.is_reduced_by(amended.side) else 0
        refuse_if(amended.remaining > room, Code.REDUCE_ONLY_EXCEEDS)

    def require_amended_funds(
        self,
        order: NaiveOrder,
        amended: NaiveOrder,
        run: DryRun | None,
        market: c.ConfigureMarket,
    ) -> None:
        """Check the margin of an order that comes in again."""
        if not order.margined:
            super().require_amended_funds(order, amended, run, market)
        elif run is not None:
            self.require_funds(amended, run, market)
