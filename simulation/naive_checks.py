"""What the naive exchange refuses of an order, check by check in the order of the codes."""

from __future__ import annotations

from exchange.core import commands as c
from exchange.core.enums import (
    LinkKind,
    MarketKind,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    TimeInForce,
    TriggerType,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import AMOUNT_MAX, Refused
from simulation.naive_book import (
    ATOMS,
    MAY_REST,
    WAITS_FOR_RISE,
    WITHOUT_PRICE,
    NaiveOrder,
    price_cap,
)
from simulation.naive_withdrawals import NaiveWithdrawals

CALLBACKS = range(ATOMS // 1000, ATOMS // 10 + 1, ATOMS // 1000)
YEAR_MS = 366 * 24 * 3_600_000
PARTS_MOST = 100
CAP_RATE = ATOMS // 20


def refuse_if(refused: bool, code: Code) -> None:
    """
    End the command with a code if a condition holds.

    Raises:
        Refused: then.
    """
    if refused:
        raise Refused(code)


class NaiveChecks(NaiveWithdrawals):
    """Everything that is looked at before an order meets the book."""

    def require_open(self, order: c.PlaceOrder, account_id: int) -> c.ConfigureMarket:
        """Return the market, if exchange, account and market take such an order now."""
        refuse_if(self.now < self.cancel_only_until, Code.EXCHANGE_CANCEL_ONLY)
        closed = self.now < self.post_only_until and not order.post_only
        refuse_if(closed, Code.EXCHANGE_POST_ONLY)
        self.active_account(account_id)
        market = self.markets.get(order.market_id)
        if market is None:
            raise Refused(Code.MARKET_NOT_FOUND)
        status = self.status[order.market_id]
        refuse_if(status is MarketStatus.HALTED, Code.MARKET_HALTED)
        refuse_if(status is MarketStatus.SETTLED, Code.MARKET_SETTLED)
        refuse_if(status is MarketStatus.CANCEL_ONLY, Code.MARKET_CANCEL_ONLY)
        closed = status is MarketStatus.POST_ONLY and not order.post_only
        refuse_if(closed, Code.MARKET_POST_ONLY)
        return market

    def trades_now(self, market_id: int) -> bool:
        """Tell whether conditional orders are evaluated: everything takes every order."""
        trading = self.status[market_id] is MarketStatus.TRADING
        return trading and self.now >= self.post_only_until

    def require_own(
        self, order: c.PlaceOrder, market: c.ConfigureMarket, *, waits: bool = False
    ) -> None:
        """Check an order for itself; one that ``waits`` meets the market only later."""
        self._require_possible(order)
        self.require_closing_shape(order, market)
        self.require_quantity(order, market)
        if order.order_type not in WITHOUT_PRICE:
            self.require_price(order, market)
        self.require_notional(order, market)
        self.require_special(order, market, waits=waits)

    def _require_possible(self, order: c.PlaceOrder) -> None:
        by_quote = order.quote_quantity_atoms != 0
        may_rest = order.time_in_force in MAY_REST
        priced = order.order_type not in WITHOUT_PRICE
        refuse_if(order.post_only and not (priced and may_rest), Code.POST_ONLY_NOT_RESTING)
        if not priced:
            refuse_if(order.price_atoms != 0, Code.PRICE_NOT_POSSIBLE)
            refuse_if(may_rest, Code.TIME_IN_FORCE_NOT_POSSIBLE)
        alone = (
            order.order_type is OrderType.MARKET
            and order.quantity_atoms == 0
            and order.time_in_force is TimeInForce.IOC
            and order.self_trade_mode is not SelfTradeMode.DECREMENT
        )
        refuse_if(by_quote and not alone, Code.QUOTE_QUANTITY_NOT_POSSIBLE)
        slips = range(1) if priced else range(ATOMS)
        refuse_if(order.slippage_rate_e8 not in slips, Code.SLIPPAGE_NOT_POSSIBLE)
        refuse_if(self._is_mixed_up(order), Code.INVALID_ORDER)

    def _is_mixed_up(self, order: c.PlaceOrder) -> bool:
        """Tell whether the special terms do not go with the type."""
        special = order.special
        if special is None:
            return False
        if special.reduce_only and special.display_atoms:
            return True
        if (order.order_type, order.side) not in WAITS_FOR_RISE:
            return bool(
                special.trigger_type
                or special.trigger_price_atoms
                or special.activation_price_atoms
                or special.callback_rate_e8
                or special.price_protect
            )
        if order.order_type is OrderType.TRAILING_STOP:
            return special.reprice or special.trigger_price_atoms != 0
        return special.reprice or bool(special.activation_price_atoms or special.callback_rate_e8)

    def require_quantity(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        """Check the size; what closes a position has that of the position when it fires."""
        if order.special is not None and order.special.close_position:
            return
        if order.quote_quantity_atoms:
            refuse_if(order.quote_quantity_atoms < 0, Code.INVALID_QUANTITY)
            return
        quantity = order.quantity_atoms
        refuse_if(quantity <= 0, Code.INVALID_QUANTITY)
        refuse_if(quantity % market.lot_atoms != 0, Code.LOT_SIZE)
        refuse_if(quantity < market.quantity_min_atoms, Code.QUANTITY_TOO_SMALL)
        most = market.quantity_max_atoms or AMOUNT_MAX
        refuse_if(quantity > most, Code.QUANTITY_TOO_LARGE)

    def require_price(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        """Check the limit price."""
        price = order.price_atoms
        refuse_if(price <= 0, Code.INVALID_PRICE)
        refuse_if(price % market.tick_atoms != 0, Code.TICK_SIZE)
        refuse_if(price < market.price_min_atoms, Code.PRICE_TOO_LOW)
        refuse_if(price > (market.price_max_atoms or AMOUNT_MAX), Code.PRICE_TOO_HIGH)
        reference = self.mark_of(order.market_id)
        if reference and market.price_band_e8:
            cap = price_cap(order.side, reference, market.price_band_e8)
            outside = price > cap if order.side is Side.BUY else price < cap
            refuse_if(outside, Code.PRICE_BAND)

    def require_notional(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        """Check the value at the limit, the trigger, or the best price of the other side."""
        if order.quote_quantity_atoms:
            notional = order.quote_quantity_atoms
        else:
            price = order.price_atoms or self._price_to_value_at(order)
            if price <= 0 or not order.quantity_atoms:
                return
            notional = price * order.quantity_atoms // ATOMS
        reduces = order.special is not None and order.special.reduce_only
        refuse_if(notional < market.notional_min_atoms and not reduces, Code.MIN_NOTIONAL)
        refuse_if(notional > AMOUNT_MAX, Code.NOTIONAL_TOO_LARGE)

    def _price_to_value_at(self, order: c.PlaceOrder) -> int:
        special = order.special
        if special is None or not special.trigger_type:
            return self.best_opposite(order.market_id, order.side) or 0
        return (
            special.trigger_price_atoms
            or special.activation_price_atoms
            or self.price_of(order.market_id, special.trigger_type)
        )

    def price_of(self, market_id: int, trigger_type: TriggerType) -> int:
        """Return the last price of a kind, 0 when there was none; on spot mark is index."""
        prices = self.last if trigger_type is TriggerType.LAST else self.index
        return prices.get(market_id, 0)

    def best_opposite(self, market_id: int, side: Side) -> int | None:
        """Return the best price that an order of a side would trade at."""
        bids, asks = self.levels(market_id)
        levels = asks if side is Side.BUY else bids
        return levels[0][0] if levels else None

    def require_special(
        self, order: c.PlaceOrder, market: c.ConfigureMarket, *, waits: bool
    ) -> None:
        """Check what plain orders do not have."""
        special = order.special
        conditional = (order.order_type, order.side) in WAITS_FOR_RISE
        if special is None:
            refuse_if(conditional, Code.TRIGGER_PRICE_REQUIRED)
            refuse_if(order.time_in_force is TimeInForce.GTD, Code.EXPIRY_REQUIRED)
            return
        reduces = special.reduce_only or special.close_position
        spot = market.kind is MarketKind.SPOT
        refuse_if(reduces and spot, Code.REDUCE_ONLY_NOT_POSSIBLE)
        if conditional:
            self._require_trigger(order, special, market, waits=waits)
        dated = order.time_in_force is TimeInForce.GTD
        refuse_if(dated != bool(special.expires_ms), Code.EXPIRY_REQUIRED)
        if dated:
            refuse_if(special.expires_ms < self.now + 1_000, Code.EXPIRY_IN_THE_PAST)
            refuse_if(special.expires_ms > self.now + YEAR_MS, Code.EXPIRY_TOO_FAR)
        if special.display_atoms:
            self._require_iceberg(order, special.display_atoms, market)

    def _require_trigger(
        self,
        order: c.PlaceOrder,
        special: c.SpecialTerms,
        market: c.ConfigureMarket,
        *,
        waits: bool,
    ) -> None:
        trailing = order.order_type is OrderType.TRAILING_STOP
        missing = not special.trigger_type or not (trailing or special.trigger_price_atoms)
        refuse_if(missing, Code.TRIGGER_PRICE_REQUIRED)
        for price in (special.trigger_price_atoms, special.activation_price_atoms):
            wrong = not 0 <= price <= AMOUNT_MAX or price % market.tick_atoms != 0
            refuse_if(wrong, Code.INVALID_TRIGGER_PRICE)
        now_at = self.price_of(order.market_id, special.trigger_type)
        threshold = special.trigger_price_atoms or special.activation_price_atoms
        rises = WAITS_FOR_RISE[order.order_type, order.side]
        reached = bool(now_at and threshold) and (
            now_at >= threshold if rises else now_at <= threshold
        )
        if not trailing:
            refuse_if(reached and not waits, Code.TRIGGER_WOULD_FIRE)
            return
        refuse_if(special.callback_rate_e8 not in CALLBACKS, Code.CALLBACK_RATE)
        refuse_if(not now_at, Code.REFERENCE_PRICE_MISSING)
        refuse_if(reached, Code.ACTIVATION_PRICE_REACHED)

    def _require_iceberg(
        self, order: c.PlaceOrder, display: int, market: c.ConfigureMarket
    ) -> None:
        rests = order.price_atoms and order.time_in_force in MAY_REST
        refuse_if(not rests, Code.ICEBERG_NOT_RESTING)
        wrong = (
            display < max(market.lot_atoms, market.quantity_min_atoms)
            or display % market.lot_atoms != 0
            or display >= order.quantity_atoms
        )
        refuse_if(wrong, Code.ICEBERG_DISPLAY)
        refuse_if(order.quantity_atoms > display * PARTS_MOST, Code.ICEBERG_PARTS)

    def require_closing_shape(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        """Check what an order that closes a position may be; on spot there is none."""

    def require_margin_terms(self, order: c.PlaceOrder) -> None:
        """Check what only perpetual markets ask of an order."""

    def require_room(self, order: c.PlaceOrder, count: int) -> None:
        """Check the number of open orders of the account in the market."""
        open_now = sum(
            o.account_id == order.account_id and o.market_id == order.market_id for o in self.orders
        )
        most = self.accounts[order.account_id].open_orders_max
        refuse_if(open_now + count > most, Code.TOO_MANY_OPEN_ORDERS)

    def new_order(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> NaiveOrder:
        """Return the order that a command describes; nothing is changed."""
        account = self.accounts[order.account_id]
        maker_rate, taker_rate = self.tiers[account.fee_tier]
        special = order.special or c.SpecialTerms()
        mode = order.self_trade_mode or account.self_trade_mode
        if order.quote_quantity_atoms and mode is SelfTradeMode.DECREMENT:
            mode = SelfTradeMode.EXPIRE_TAKER
        made = NaiveOrder(
            order_id=self.last_order + 1,
            account_id=order.account_id,
            market_id=order.market_id,
            client_order_id=order.client_order_id,
            side=order.side,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            post_only=order.post_only,
            price=order.price_atoms,
            quantity=order.quantity_atoms,
            quote_quantity=order.quote_quantity_atoms,
            self_trade_mode=mode,
            maker_rate=maker_rate,
            taker_rate=taker_rate,
            remaining=order.quantity_atoms,
            slippage=order.slippage_rate_e8,
            trigger_type=special.trigger_type,
            trigger=special.trigger_price_atoms,
            activation=special.activation_price_atoms,
            callback=special.callback_rate_e8,
            display=special.display_atoms,
            expires=special.expires_ms,
            reprice=special.reprice,
            price_protect=special.price_protect,
            link_kind=LinkKind.NONE,
            margined=market.kind is MarketKind.PERPETUAL,
            reduce_only=special.reduce_only,
            closes=special.close_position,
        )
        if made.is_conditional():
            made.status = OrderStatus.UNTRIGGERED
            if made.callback and not made.activation:
                made.extreme = self.price_of(made.market_id, made.trigger_type)
            self.set_cap(made, market)
        else:
            self.step_back(made, market)
        return made

    def set_cap(self, order: NaiveOrder, market: c.ConfigureMarket) -> None:
        """Note the worst price of a conditional market buy: beyond its trigger, on the tick."""
        if order.order_type not in WITHOUT_PRICE or order.side is Side.SELL:
            return
        rate = order.slippage or market.market_band_e8 or CAP_RATE
        trigger = order.trigger
        if order.callback:
            start = order.activation or order.extreme
            trigger = -(-start * (ATOMS + order.callback) // ATOMS)
        ticks = -(-trigger * (ATOMS + rate) // (ATOMS * market.tick_atoms))
        order.cap = ticks * market.tick_atoms

    def step_back(self, order: NaiveOrder, market: c.ConfigureMarket) -> None:
        """Move a post-only order that asked for it one tick behind the best opposite price."""
        best = self.best_opposite(order.market_id, order.side)
        if not (order.reprice and order.post_only and best and order.crosses(best)):
            return
        away = -market.tick_atoms if order.side is Side.BUY else market.tick_atoms
        if best + away > 0:
            order.price = best + away

    def limit_or_cap(self, order: NaiveOrder, market: c.ConfigureMarket) -> int | None:
        """Return the worst price an order may trade at, None for any."""
        if order.price:
            return order.price
        caps = [order.cap] if order.cap else []
        index = self.mark_of(order.market_id)
        best = self.best_opposite(order.market_id, order.side)
        if index and market.market_band_e8:
            caps.append(price_cap(order.side, index, market.market_band_e8))
        if best and order.slippage:
            caps.append(price_cap(order.side, best, order.slippage))
        if not caps:
            return None
        return min(caps) if order.side is Side.BUY else max(caps)
