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
from exchange.core.enums import (
    EndReason,
    MarketStatus,
    OrderStatus,
    OrderType,
    SelfTradeMode,
    Side,
    SystemAccount,
    TimeInForce,
    WalletKind,
)
from exchange.core.rejects import Code
from simulation.naive_accounts import (
    AMOUNT_MAX,
    Answer,
    Fill,
    NaiveAccounts,
    Refused,
    same_request,
)
from simulation.naive_book import (
    ATOMS,
    DryRun,
    NaiveOrder,
    dry_run,
    opposite_in_turn,
    price_cap,
    rounded_up,
    value_of,
)


class NaiveExchange(NaiveAccounts):
    """Spot trading as plainly as it can be said; ``apply`` is all a test needs."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[type, Callable[[Any, c.ClientIdFinding | None], Answer]] = {
            c.PlaceOrder: self.place,
            c.CancelOrder: self.cancel,
            c.CancelAllOrders: self.cancel_all,
            c.Transfer: self.transfer,
            c.Credit: self.credit,
            c.Debit: self.debit,
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
        self.ended = []
        if isinstance(envelope.command, c.ContinueTask):
            return Answer(Code.OK)
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
        self._require_open_for_orders(order)
        account = self.active_account(order.account_id)
        market = self._market_for_order(order)
        self._require_possible(order)
        self._require_quantity(order, market)
        if order.order_type is OrderType.LIMIT:
            self._require_price(order, market)
        self._require_notional(order, market)
        mine = [
            o
            for o in self.orders
            if o.account_id == order.account_id and o.market_id == order.market_id
        ]
        rests = order.order_type is OrderType.LIMIT and order.time_in_force is TimeInForce.GTC
        if rests and len(mine) >= account.open_orders_max:
            raise Refused(Code.TOO_MANY_OPEN_ORDERS)
        maker_rate, taker_rate = self.tiers.get(account.fee_tier, (0, 0))
        taker = NaiveOrder(
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
            self_trade_mode=order.self_trade_mode or account.self_trade_mode,
            maker_rate=maker_rate,
            taker_rate=taker_rate,
            remaining=order.quantity_atoms,
        )
        run = dry_run(self.orders, taker, cap=self._cap(order, market), lot=market.lot_atoms)
        self._require_plan(taker, run)
        self._require_funds(taker, run, market)
        self.last_order += 1
        fills = self._carry_out(taker, run, market)
        return Answer(Code.OK, taker.order_id, fills=fills)

    def _require_open_for_orders(self, order: c.PlaceOrder) -> None:
        if self.now < self.cancel_only_until:
            raise Refused(Code.EXCHANGE_CANCEL_ONLY)
        if self.now < self.post_only_until and not order.post_only:
            raise Refused(Code.EXCHANGE_POST_ONLY)

    def _market_for_order(self, order: c.PlaceOrder) -> c.ConfigureMarket:
        market = self.markets.get(order.market_id)
        if market is None:
            raise Refused(Code.MARKET_NOT_FOUND)
        status = self.status[order.market_id]
        if status is MarketStatus.HALTED:
            raise Refused(Code.MARKET_HALTED)
        if status is MarketStatus.CANCEL_ONLY:
            raise Refused(Code.MARKET_CANCEL_ONLY)
        if status is MarketStatus.POST_ONLY and not order.post_only:
            raise Refused(Code.MARKET_POST_ONLY)
        return market

    def _require_possible(self, order: c.PlaceOrder) -> None:
        if order.order_type is OrderType.LIMIT:
            impossible = (
                order.quote_quantity_atoms != 0
                or order.slippage_rate_e8 != 0
                or (order.post_only and order.time_in_force is not TimeInForce.GTC)
            )
        else:
            impossible = (
                order.price_atoms != 0
                or order.post_only
                or order.time_in_force is TimeInForce.GTC
                or (order.quantity_atoms != 0 and order.quote_quantity_atoms != 0)
                or not 0 <= order.slippage_rate_e8 < ATOMS
                or (order.quote_quantity_atoms != 0 and order.time_in_force is TimeInForce.FOK)
                or (
                    order.quote_quantity_atoms != 0
                    and order.self_trade_mode is SelfTradeMode.DECREMENT
                )
            )
        if impossible:
            raise Refused(Code.INVALID_ORDER)

    def _require_quantity(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        if order.quote_quantity_atoms:
            if order.quote_quantity_atoms < 0:
                raise Refused(Code.INVALID_QUANTITY)
            return
        if order.quantity_atoms <= 0:
            raise Refused(Code.INVALID_QUANTITY)
        if order.quantity_atoms % market.lot_atoms:
            raise Refused(Code.LOT_SIZE)
        if order.quantity_atoms < market.quantity_min_atoms:
            raise Refused(Code.QUANTITY_TOO_SMALL)
        if order.quantity_atoms > (market.quantity_max_atoms or AMOUNT_MAX):
            raise Refused(Code.QUANTITY_TOO_LARGE)

    def _require_price(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        price = order.price_atoms
        if price <= 0:
            raise Refused(Code.INVALID_PRICE)
        if price % market.tick_atoms:
            raise Refused(Code.TICK_SIZE)
        if price < market.price_min_atoms:
            raise Refused(Code.PRICE_TOO_LOW)
        if price > (market.price_max_atoms or AMOUNT_MAX):
            raise Refused(Code.PRICE_TOO_HIGH)
        reference = self.index.get(order.market_id)
        if reference and market.price_band_e8:
            cap = price_cap(order.side, reference, market.price_band_e8)
            if price > cap if order.side is Side.BUY else price < cap:
                raise Refused(Code.PRICE_BAND)

    def _require_notional(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> None:
        if order.quote_quantity_atoms:
            notional = order.quote_quantity_atoms
        elif order.order_type is OrderType.LIMIT:
            notional = value_of(order.price_atoms, order.quantity_atoms)
        else:
            best = self._best_opposite(order)
            if best is None:
                return
            notional = value_of(best, order.quantity_atoms)
        if notional < market.notional_min_atoms:
            raise Refused(Code.MIN_NOTIONAL)
        if notional > AMOUNT_MAX:
            raise Refused(Code.NOTIONAL_TOO_LARGE)

    def _best_opposite(self, order: c.PlaceOrder) -> int | None:
        bids, asks = self.levels(order.market_id)
        levels = asks if order.side is Side.BUY else bids
        return levels[0][0] if levels else None

    def _cap(self, order: c.PlaceOrder, market: c.ConfigureMarket) -> int | None:
        if order.order_type is OrderType.LIMIT:
            return order.price_atoms
        caps = []
        index, best = self.index.get(order.market_id), self._best_opposite(order)
        if index and market.market_band_e8:
            caps.append(price_cap(order.side, index, market.market_band_e8))
        if best and order.slippage_rate_e8:
            caps.append(price_cap(order.side, best, order.slippage_rate_e8))
        if not caps:
            return None
        return min(caps) if order.side is Side.BUY else max(caps)

    def _require_plan(self, taker: NaiveOrder, run: DryRun) -> None:
        if taker.post_only:
            best = opposite_in_turn(self.orders, taker)[:1]
            if best and (
                best[0].price <= taker.price
                if taker.side is Side.BUY
                else best[0].price >= taker.price
            ):
                raise Refused(Code.POST_ONLY_WOULD_CROSS)
        if taker.time_in_force is TimeInForce.FOK and run.filled < taker.quantity:
            raise Refused(Code.FOK_NOT_FILLABLE)
        if run.spent and not run.filled:
            raise Refused(Code.QUANTITY_TOO_SMALL)

    def _require_funds(self, taker: NaiveOrder, run: DryRun, market: c.ConfigureMarket) -> None:
        if taker.side is Side.SELL:
            limit = taker.order_type is OrderType.LIMIT
            needed = taker.quantity if limit else max(1, run.filled)
            asset_id = market.base_asset_id
        elif taker.order_type is OrderType.LIMIT:
            needed = taker.hold()
            asset_id = market.quote_asset_id
        else:
            needed = max(1, run.quote_filled + rounded_up(run.fee_e8))
            asset_id = market.quote_asset_id
        if needed > self.available((taker.account_id, WalletKind.SPOT, asset_id)):
            raise Refused(Code.INSUFFICIENT_BALANCE)

    def _carry_out(self, taker: NaiveOrder, run: DryRun, market: c.ConfigureMarket) -> list[Fill]:
        fills: list[Fill] = []
        self.orders.append(taker)
        for step in run.steps:
            if step.filled:
                fills.append(self._trade(taker, step.maker, step.filled, market))
                continue
            step.maker.remaining -= step.maker_prevented
            taker.remaining -= step.taker_prevented
            if step.maker.remaining == 0 or step.taker_prevented == 0:
                self._end(step.maker, OrderStatus.EXPIRED, EndReason.SELF_TRADE)
        self._settle_taker(taker, run)
        return fills

    def _settle_taker(self, taker: NaiveOrder, run: DryRun) -> None:
        rests = taker.order_type is OrderType.LIMIT and taker.time_in_force is TimeInForce.GTC
        hard_stop = run.stop in (EndReason.SELF_TRADE, EndReason.MATCH_LIMIT)
        if run.stop is EndReason.NONE:
            self._end(taker, OrderStatus.FILLED, EndReason.NONE)
        elif hard_stop or taker.order_type is OrderType.MARKET:
            self._end(taker, OrderStatus.EXPIRED, run.stop)
        elif not rests:
            self._end(taker, OrderStatus.EXPIRED, EndReason.IOC_REMAINDER)

    def _trade(
        self,
        taker: NaiveOrder,
        maker: NaiveOrder,
        quantity: int,
        market: c.ConfigureMarket,
    ) -> Fill:
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
            sign = 1 if order.side is Side.BUY else -1
            self.add(order.account_id, market.base_asset_id, sign * quantity)
            self.add(order.account_id, market.quote_asset_id, -sign * notional - fee)
            fees.append(fee)
        self.add(SystemAccount.FEES, market.quote_asset_id, sum(fees))
        if maker.remaining == 0:
            self._end(maker, OrderStatus.FILLED, EndReason.NONE)
        return maker.price, quantity, taker.order_id, maker.order_id, fees[0], fees[1]

    def _end(self, order: NaiveOrder, status: OrderStatus, reason: EndReason) -> None:
        order.status = status
        order.reason = reason
        self.ended.append(order)

    # -- cancelling -------------------------------------------------------------------

    def cancel(self, cancel: c.CancelOrder, _: object) -> Answer:
        """Cancel one open order of the account."""
        if cancel.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        for order in self.orders:
            by_id = cancel.order_id and order.order_id == cancel.order_id
            by_name = not cancel.order_id and (
                cancel.client_order_id and order.client_order_id == cancel.client_order_id
            )
            if order.account_id == cancel.account_id and (by_id or by_name):
                self._end(order, OrderStatus.CANCELLED, _cancel_reason(cancel))
                return Answer(Code.OK, order.order_id)
        raise Refused(Code.ORDER_NOT_FOUND)

    def cancel_all(self, cancel: c.CancelAllOrders, _: object) -> Answer:
        """Cancel all open orders of an account; here at once, in the engine in steps."""
        if cancel.account_id not in self.accounts:
            raise Refused(Code.ACCOUNT_NOT_FOUND)
        if cancel.market_id and cancel.market_id not in self.markets:
            raise Refused(Code.MARKET_NOT_FOUND)
        for order in self.orders:
            if order.account_id == cancel.account_id and (cancel.market_id in (0, order.market_id)):
                self._end(order, OrderStatus.CANCELLED, _cancel_reason(cancel))
        return Answer(Code.OK)


def _cancel_reason(cancel: c.CancelOrder | c.CancelAllOrders) -> EndReason:
    return EndReason.OPERATOR_CANCELLED if cancel.by_operator else EndReason.USER_CANCELLED
