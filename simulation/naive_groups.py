"""OCO pairs, brackets and amendments of the naive exchange."""

from __future__ import annotations

from dataclasses import replace

from exchange.core import commands as c
from exchange.core.enums import (
    EndReason,
    LinkKind,
    OrderStatus,
    OrderType,
    Side,
    TriggerType,
    WalletKind,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import (
    BY_INDEX,
    BY_LAST,
    Answer,
    Refused,
    WalletKey,
    same_request,
)
from simulation.naive_book import MAY_REST, WAITS_FOR_RISE, WITHOUT_PRICE, DryRun, NaiveOrder
from simulation.naive_checks import refuse_if
from simulation.naive_matching import NaiveMatching

_UNTRIGGERED = OrderStatus.UNTRIGGERED
PROFITS = (OrderType.LIMIT, OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT, OrderType.TRAILING_STOP)


def leg_price(leg: c.PlaceOrder) -> int:
    """Return where a leg acts: at its limit, or at its trigger."""
    if leg.order_type is OrderType.LIMIT or leg.special is None:
        return leg.price_atoms
    return leg.special.trigger_price_atoms


class NaiveGroups(NaiveMatching):
    """Orders that belong together, and orders that change."""

    # -- placing ----------------------------------------------------------------------

    def place_linked(self, group: c.PlaceLinkedOrders, finding: c.ClientIdFinding | None) -> Answer:
        """Place an OCO or a bracket."""
        if finding:
            return same_request(finding, group.request_hash, Code.CLIENT_ORDER_ID_CONFLICT)
        refuse_if(not group.orders, Code.OCO_LEGS)
        first = group.orders[0]
        market = self.require_open(first, group.account_id)
        if group.kind is LinkKind.OCO:
            self._require_oco(group)
        else:
            self._require_bracket(group)
        for index, leg in enumerate(group.orders):
            self.require_own(leg, market, waits=group.kind is LinkKind.ENTRY and index > 0)
        self.require_thawed(*group.orders)
        self.require_room(first, len(group.orders))
        legs = [self.new_order(leg, market) for leg in group.orders]
        link = self.last_order + 1
        for index, order in enumerate(legs):
            order.order_id = link + index
            order.link = link
            order.link_kind = group.kind
        legs[0].client_order_id = group.client_order_id
        if group.kind is LinkKind.OCO:
            self._open_oco(legs)
        else:
            self._open_bracket(legs, market)
        self.last_order = link + len(legs) - 1
        return Answer(Code.OK, link)

    def _is_one_group(self, group: c.PlaceLinkedOrders) -> bool:
        return all(
            leg.account_id == group.account_id
            and leg.market_id == group.orders[0].market_id
            and not leg.client_order_id
            for leg in group.orders
        )

    def _require_oco(self, group: c.PlaceLinkedOrders) -> None:
        refuse_if(len(group.orders) != 2 or not self._is_one_group(group), Code.OCO_LEGS)
        profit, stop = group.orders
        pair = (
            profit.order_type in PROFITS
            and stop.order_type in STOPS
            and profit.side is stop.side
            and profit.quantity_atoms == stop.quantity_atoms
            and (profit.order_type is not OrderType.LIMIT or profit.time_in_force in MAY_REST)
        )
        refuse_if(not pair, Code.OCO_LEGS)
        market_id = profit.market_id
        reference = self.last.get(market_id, 0) or self.index.get(market_id, 0)
        refuse_if(not reference, Code.REFERENCE_PRICE_MISSING)
        sign = 1 if profit.side is Side.SELL else -1
        stop_price = stop.special.trigger_price_atoms if stop.special else 0
        refuse_if(sign * leg_price(profit) <= sign * reference, Code.LEG_PRICES)
        refuse_if(bool(stop_price) and sign * stop_price >= sign * reference, Code.LEG_PRICES)
        best = self.best_opposite(market_id, profit.side)
        if best and profit.order_type is OrderType.LIMIT:
            refuse_if(sign * leg_price(profit) <= sign * best, Code.LEG_PRICES)

    def _require_bracket(self, group: c.PlaceLinkedOrders) -> None:
        legs = group.orders
        refuse_if(len(legs) not in (2, 3) or not self._is_one_group(group), Code.BRACKET_LEGS)
        entry, children = legs[0], legs[1:]
        plain = entry.order_type in (OrderType.LIMIT, OrderType.MARKET)
        refuse_if(not plain or entry.quote_quantity_atoms != 0, Code.BRACKET_LEGS)
        for child in children:
            fits = (
                child.side is not entry.side
                and child.quantity_atoms == entry.quantity_atoms
                and child.order_type in (*PROFITS, *STOPS)
                and child.order_type is not OrderType.TRAILING_STOP
                and not child.post_only
                and (child.order_type is not OrderType.LIMIT or child.time_in_force in MAY_REST)
            )
            refuse_if(not fits, Code.BRACKET_LEGS)
        if len(children) == 2:
            pair = children[0].order_type in PROFITS and children[1].order_type in STOPS
            refuse_if(not pair, Code.BRACKET_LEGS)
        best = self.best_opposite(entry.market_id, entry.side)
        price = entry.price_atoms or best or self.last.get(entry.market_id, 0)
        refuse_if(not price, Code.REFERENCE_PRICE_MISSING)
        for child in children:
            above = (child.order_type in PROFITS) == (entry.side is Side.BUY)
            wrong = leg_price(child) <= price if above else leg_price(child) >= price
            refuse_if(wrong, Code.LEG_PRICES)

    def _wallet(self, order: NaiveOrder) -> WalletKey:
        return order.account_id, WalletKind.SPOT, self._hold_asset(order)

    def hold_once(self, legs: list[NaiveOrder]) -> bool:
        """Let the leg that needs most hold for all; tell whether that can be paid for."""
        needs = [replace(leg, status=OrderStatus.OPEN, holds=True).hold() for leg in legs]
        holder = needs.index(max(needs))
        enough = needs[holder] <= self.available(self._wallet(legs[0]))
        for index, leg in enumerate(legs):
            leg.holds = index == holder
        return enough

    def _open_oco(self, legs: list[NaiveOrder]) -> None:
        refuse_if(not self.hold_once(legs), Code.INSUFFICIENT_BALANCE)
        for leg in legs:
            self.orders.append(leg)
            if leg.is_conditional():
                leg.since = self.tick()
            else:
                self.rest(leg)

    def _open_bracket(self, legs: list[NaiveOrder], market: c.ConfigureMarket) -> None:
        entry, *children = legs
        run = self.plan(entry, market)
        self.require_funds(entry, run, market)
        for child in children:
            child.status = OrderStatus.WAITING
            child.link_kind = LinkKind.CHILD
        self.orders.append(entry)
        self.carry_out(entry, run, market)
        self.orders.extend(children)

    # -- arming -----------------------------------------------------------------------

    def children_of(self, entry_id: int) -> list[NaiveOrder]:
        """Return what still waits for an entry."""
        return [
            o
            for o in self.orders
            if o.link == entry_id and o.link_kind is LinkKind.CHILD and o.is_open()
        ]

    def arm(self, entry_id: int, filled: int) -> None:
        """Let the children of a bracket live, over what its entry filled."""
        children = self.children_of(entry_id)
        market = self.markets[children[0].market_id]
        for child in children:
            if filled:
                child.quantity = child.remaining = filled
                child.link_kind = LinkKind.OCO
        if not filled or not self.hold_once(children):
            reason = EndReason.INSUFFICIENT_BALANCE if filled else EndReason.ENTRY_NOT_FILLED
            for child in children:
                self.finish(child, OrderStatus.CANCELLED, reason)
            return
        for child in children:
            child.since = self.tick()
            child.status = _UNTRIGGERED if child.is_conditional() else OrderStatus.OPEN
        for child in children:
            if not child.is_conditional() and child.is_open():
                self._open_limit_child(child, market)
        for child in children:
            price = self.price_of(child.market_id, child.trigger_type) if child.trigger else 0
            if child.status is _UNTRIGGERED and price:
                by_last = child.trigger_type is TriggerType.LAST
                self.observe(child.market_id, price, BY_LAST if by_last else BY_INDEX)

    def _open_limit_child(self, child: NaiveOrder, market: c.ConfigureMarket) -> None:
        best = self.best_opposite(child.market_id, child.side)
        if best and child.crosses(best):
            if not self.trades_now(child.market_id):
                for other in self.orders:
                    if other.link == child.link and other is not child:
                        other.holds = True
                self.finish(child, OrderStatus.CANCELLED, EndReason.MARKET_NOT_TRADING)
                return
            self.end_other_leg(child)
            self.carry_out(child, self.plan(child, market), market)
            return
        self.rest(child)

    # -- amending ---------------------------------------------------------------------

    def amend(self, change: c.AmendOrder, _: object) -> Answer:
        """Change an open order in place."""
        refuse_if(change.account_id not in self.accounts, Code.ACCOUNT_NOT_FOUND)
        order = self.order_of(change.account_id, change.order_id, change.client_order_id)
        self._require_amendable(order, change)
        quantity = change.quantity_atoms or order.quantity
        price = change.price_atoms or order.price
        trigger = change.trigger_price_atoms or order.trigger
        left = order.remaining + order.hidden - (order.quantity - quantity)
        if left <= 0 and not order.closes:
            self.end(order, OrderStatus.CANCELLED, EndReason.AMENDED_TO_NOTHING)
            return Answer(Code.OK, order.order_id)
        market = self.markets[order.market_id]
        less = quantity < order.quantity and (price, trigger) == (order.price, order.trigger)
        amended = replace(
            order, quantity=quantity, price=price, trigger=trigger, remaining=left, hidden=0
        )
        self._require_amended(amended, market, less=less)
        run = None
        if order.is_in_book() and not less:
            self.step_back(amended, market)
            run = self.plan(amended, market)
        if trigger != order.trigger:
            self.set_cap(amended, market)
        self.require_amended_funds(order, amended, run, market)
        hidden = max(0, order.hidden - (order.quantity - quantity)) if less else 0
        order.quantity, order.price, order.trigger = quantity, amended.price, trigger
        order.remaining, order.hidden, order.cap = left - hidden, hidden, amended.cap
        if run is not None:
            self.carry_out(order, run, market)
        elif not less and not order.extreme:
            order.since = self.tick()
        return Answer(Code.OK, order.order_id)

    def require_amended_funds(
        self,
        order: NaiveOrder,
        amended: NaiveOrder,
        run: DryRun | None,
        market: c.ConfigureMarket,
    ) -> None:
        """Check that what the amended order holds can be paid for; it gives up what it held."""
        del run, market
        free = self.available(self._wallet(order)) + order.hold()
        refuse_if(amended.hold() > free, Code.INSUFFICIENT_BALANCE)

    def require_amended_margin_terms(self, amended: NaiveOrder, placed: c.PlaceOrder) -> None:
        """Check what only perpetual markets ask of an amendment."""

    def order_of(self, account_id: int, order_id: int, name: str) -> NaiveOrder:
        """Return an open order of an account by number or by client id."""
        for order in self.orders:
            named = order.client_order_id == name != ""
            if order.account_id == account_id and (
                order.order_id == order_id if order_id else named
            ):
                return order
        raise Refused(Code.ORDER_NOT_FOUND)

    def _require_amendable(self, order: NaiveOrder, change: c.AmendOrder) -> None:
        refuse_if(order.link_kind is not LinkKind.NONE, Code.AMEND_LINKED)
        unpriced = change.price_atoms != 0 and order.order_type in WITHOUT_PRICE
        refuse_if(unpriced, Code.AMEND_NOT_POSSIBLE)
        refuse_if(change.quantity_atoms != 0 and order.closes, Code.AMEND_NOT_POSSIBLE)
        armed = order.status is _UNTRIGGERED and order.trigger != 0
        refuse_if(change.trigger_price_atoms != 0 and not armed, Code.AMEND_NOT_POSSIBLE)
        refuse_if(order.fired, Code.ORDER_NOT_FOUND)
        refuse_if(change.quantity_atoms < 0, Code.INVALID_QUANTITY)
        refuse_if(min(change.price_atoms, change.trigger_price_atoms) < 0, Code.INVALID_PRICE)
        same = (
            change.quantity_atoms in (0, order.quantity)
            and change.price_atoms in (0, order.price)
            and change.trigger_price_atoms in (0, order.trigger)
        )
        refuse_if(same, Code.AMEND_NO_CHANGE)

    def _require_amended(
        self, amended: NaiveOrder, market: c.ConfigureMarket, *, less: bool
    ) -> None:
        """Check the amended order as if it were placed; less of it only for its size."""
        waits = amended.status is _UNTRIGGERED
        plain = (amended.order_type, amended.side) in WAITS_FOR_RISE and not waits
        placed = c.PlaceOrder(
            amended.account_id,
            amended.market_id,
            amended.side,
            OrderType.LIMIT if plain else amended.order_type,
            amended.time_in_force,
            amended.price,
            amended.quantity,
            post_only=amended.post_only,
            special=c.SpecialTerms(
                trigger_type=amended.trigger_type if waits else 0,  # type: ignore[arg-type]
                trigger_price_atoms=amended.trigger if waits else 0,
                activation_price_atoms=0 if amended.extreme else amended.activation,
                callback_rate_e8=amended.callback,
                display_atoms=amended.display if amended.display < amended.quantity else 0,
                expires_ms=amended.expires,
                reduce_only=amended.reduce_only,
                close_position=amended.closes,
            ),
        )
        if not less:
            self.require_open(placed, amended.account_id)
        self.require_quantity(placed, market)
        if not less and placed.order_type not in WITHOUT_PRICE:
            self.require_price(placed, market)
        self.require_notional(placed, market)
        if not less:
            self.require_special(placed, market, waits=False)
            if not waits:
                self.require_thawed(placed)
            self.require_amended_margin_terms(amended, placed)
