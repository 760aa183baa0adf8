"""Seeded random commands with all order types: what ``commands`` makes, and special orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange.core import commands as c
from exchange.core.enums import LinkKind, OrderType, SelfTradeMode, Side, TimeInForce, TriggerType
from simulation.commands import ATOMS, PLAIN_TIMES, MarketShape, PlainCommands

STOPS = (OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT)
PROFITS = (OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT)
TIMES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD)
CALLBACK = ATOMS // 1000
# How often a trigger refers to nothing, the last price, the mark, the index.
TRIGGERS = (1, 60, 20, 20)


class CommandSource(PlainCommands):
    """An endless stream of commands that one seed decides, all order types among them."""

    def special_kinds(self) -> tuple[tuple[Callable[[], c.AnyCommand], float], ...]:
        """Return the special orders, and how often they come."""
        return (
            (self.place_special, 10),
            (self.place_conditional, 14),
            (self.place_trailing, 5),
            (self.place_oco, 5),
            (self.place_bracket, 5),
            (self.amend, 9),
            (self.cancel_all_after, 1.5),
            (self.protection, 1.5),
            (self.reset_protection, 0.5),
        )

    def near(self, shape: MarketShape, ticks: int) -> int:
        """Return a price at most so many ticks from the middle."""
        return shape.middle + self.random.randint(-ticks, ticks) * shape.tick

    def own(self, shape: MarketShape, **fields: Any) -> c.PlaceOrder:
        """Return a limit order near the middle with some values given."""
        r = self.random
        self.placed += 1
        values: dict[str, Any] = {
            "account_id": self.account_id(),
            "market_id": shape.market_id,
            "side": r.choice(list(Side)),
            "order_type": OrderType.LIMIT,
            "time_in_force": TimeInForce.GTC,
            "price_atoms": self.near(shape, 9),
            "quantity_atoms": self.rarely_strange(self.quantity(shape)),
            "self_trade_mode": r.choice((None, None, None, *SelfTradeMode)),
        }
        return c.PlaceOrder(**{**values, **fields})

    def expiry(self) -> int:
        """Return when an order ends: soon, and seldom too soon or too late."""
        year = 366 * 24 * 3_600_000
        away = self.random.choice((999, 1_000, 1_200, 1_500, 2_000, 3_000, year, year + 40))
        return self.now_ms + away

    def place_special(self) -> c.PlaceOrder:
        """Return an iceberg, a dated order, one that steps back, or a mix of them."""
        r = self.random
        shape = r.choice(self.shapes)
        dated, iceberg = r.random() < 0.5, r.random() < 0.6
        quantity = self.quantity(shape)
        parts = r.choice((2, 3, 7, 30, 101))
        return self.own(
            shape,
            time_in_force=TimeInForce.GTD if dated else r.choices(PLAIN_TIMES, (30, 1, 1))[0],
            quantity_atoms=quantity,
            post_only=r.random() < 0.3,
            special=c.SpecialTerms(
                display_atoms=self.rarely_strange(
                    max(1, quantity // shape.lot // parts) * (shape.lot if iceberg else 0)
                ),
                expires_ms=self.expiry() if dated != (r.random() < 0.02) else 0,
                reprice=r.random() < 0.3,
                reduce_only=r.random() < 0.005,
                price_protect=r.random() < 0.005,
                trigger_price_atoms=0 if r.random() < 0.99 else shape.middle,
            ),
        )

    def conditional(
        self, shape: MarketShape, order_type: OrderType, trigger: int, **fields: Any
    ) -> c.PlaceOrder:
        """Return a stop or a take-profit, market or limit."""
        r = self.random
        priced = order_type in (OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT)
        times = (90, 10, 5, 20) if priced else (1, 80, 10, 0)
        force = r.choices(
            (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD), times
        )[0]
        values: dict[str, Any] = {
            "order_type": order_type,
            "time_in_force": force,
            "price_atoms": self.near(shape, 9) if priced else 0,
            "post_only": priced and r.random() < 0.25,
            "slippage_rate_e8": 0 if priced else r.choice((0, 0, 50_000, 1_000_000)),
            "special": c.SpecialTerms(
                trigger_type=r.choices(list(TriggerType), TRIGGERS)[0],
                trigger_price_atoms=self.rarely_strange(trigger),
                expires_ms=self.expiry() if force is TimeInForce.GTD else 0,
                display_atoms=shape.lot * 2 if priced and r.random() < 0.1 else 0,
                callback_rate_e8=CALLBACK if r.random() < 0.01 else 0,
                price_protect=r.random() < 0.4,
            ),
        }
        return self.own(shape, **{**values, **fields})

    def place_conditional(self) -> c.PlaceOrder:
        """Return a stop or a take-profit near the middle; half of them would fire at once."""
        shape = self.random.choice(self.shapes)
        order_type = self.random.choice((*STOPS, *PROFITS))
        return self.conditional(shape, order_type, self.near(shape, 8))

    def place_trailing(self) -> c.PlaceOrder:
        """Return a trailing stop, with or without an activation price."""
        r = self.random
        shape = r.choice(self.shapes)
        rate = CALLBACK * r.choice(
            (1, 1, 2, 3, 100) if shape.market_id == 1 else (25, 50, 100, 100)
        )
        activation = self.near(shape, 8) if r.random() < 0.6 else 0
        return self.conditional(
            shape,
            OrderType.TRAILING_STOP,
            0,
            special=c.SpecialTerms(
                trigger_type=r.choices(list(TriggerType), TRIGGERS)[0],
                activation_price_atoms=self.rarely_strange(activation),
                callback_rate_e8=self.rarely_strange(rate),
                price_protect=r.random() < 0.4,
            ),
        )

    def place_oco(self) -> c.PlaceLinkedOrders:
        """Return a limit or take-profit and a stop of one size and side."""
        r = self.random
        shape = r.choice(self.shapes)
        side = r.choice(list(Side))
        sign = shape.tick if side is Side.SELL else -shape.tick
        one: dict[str, Any] = {
            "account_id": self.account_id(),
            "side": side,
            "quantity_atoms": self.quantity(shape),
        }
        above, below = shape.middle + sign * r.randint(0, 9), shape.middle - sign * r.randint(0, 9)
        if r.random() < 0.7:
            profit = self.own(shape, price_atoms=above, **one)
        else:
            profit = self.conditional(shape, r.choice(PROFITS), above, **one)
        if r.random() < 0.8:
            stop = self.conditional(shape, r.choice(STOPS), below, **one)
        else:
            special = c.SpecialTerms(TriggerType.LAST, callback_rate_e8=CALLBACK * 100)
            stop = self.conditional(shape, OrderType.TRAILING_STOP, 0, special=special, **one)
        return self._group(LinkKind.OCO, profit, stop)

    def place_bracket(self) -> c.PlaceLinkedOrders:
        """Return an entry with a take-profit, a stop-loss or both against it."""
        r = self.random
        shape = r.choice(self.shapes)
        side = r.choice(list(Side))
        other = Side.SELL if side is Side.BUY else Side.BUY
        sign = shape.tick if side is Side.BUY else -shape.tick
        account_id, quantity = self.account_id(), self.quantity(shape)
        own: dict[str, Any] = {"account_id": account_id, "quantity_atoms": quantity}
        entry = self.own(shape, side=side, **own)
        if r.random() < 0.3:
            entry = self.own(
                shape,
                side=side,
                order_type=OrderType.MARKET,
                time_in_force=TimeInForce.IOC,
                **{**own, "price_atoms": 0},
            )
        base = entry.price_atoms or shape.middle
        above, below = base + sign * r.randint(0, 9), base - sign * r.randint(0, 9)
        if r.random() < 0.5:
            profit = self.own(shape, side=other, **{**own, "price_atoms": above})
        else:
            profit = self.conditional(shape, r.choice(PROFITS), above, side=other, **own)
        stop = self.conditional(shape, r.choice(STOPS), below, side=other, **own)
        return self._group(LinkKind.ENTRY, entry, *r.choice(((profit,), (stop,), (profit, stop))))

    def _group(self, kind: LinkKind, *legs: c.PlaceOrder) -> c.PlaceLinkedOrders:
        r = self.random
        orders = list(legs)
        if r.random() < 0.03:
            orders[-1] = self.own(r.choice(self.shapes))
        if r.random() < 0.02:
            orders = orders[: r.randrange(len(orders) + 1)]
        name, request_hash = self.client_id()
        return c.PlaceLinkedOrders(legs[0].account_id, kind, tuple(orders), name, request_hash)

    def amend(self) -> c.AmendOrder:
        """Return a change of an order that the driver mostly picks."""
        r = self.random
        shape = r.choice(self.shapes)
        fields: dict[str, Any] = {}
        if r.random() < 0.6:
            fields["quantity_atoms"] = self.quantity(shape)
        if r.random() < 0.4:
            fields["price_atoms"] = self.near(shape, 9)
        if r.random() < 0.2:
            fields["trigger_price_atoms"] = self.near(shape, 8)
        fields = {name: self.rarely_strange(value) for name, value in fields.items()}
        return c.AmendOrder(self.account_id(), r.randrange(1, self.placed + 2), **fields)

    def cancel_all_after(self) -> c.CancelAllAfter:
        """Return the arming, the renewal or the end of a dead-man switch."""
        r = self.random
        wait = r.choice((0, 1_000, 1_000, 1_001, 1_400, 3_000, 60_000))
        if r.random() < 0.05:
            wait = r.choice((999, 24 * 3_600_000, 24 * 3_600_000 + 1))
        return c.CancelAllAfter(
            self.account_id(),
            self.rarely_strange(wait),
            self.rarely_strange(r.choice((0, 1, 1, 2, 2))),
        )

    def protection(self) -> c.ConfigureProtection:
        """Return a market-maker protection, or the end of one."""
        r = self.random
        shape = r.choice(self.shapes)
        return c.ConfigureProtection(
            self.account_id(),
            self.rarely_strange(shape.market_id),
            self.rarely_strange(r.choice((0, 0, 1, 19, 41, 200, 2_000, 10_000))),
            self.rarely_strange(r.choice((0, 1, 20, 400)) * shape.lot),
            self.rarely_strange(r.choice((0, 0, 1, 2, 4))),
            self.rarely_strange(r.choice((1, 100, 400, 400, 0))),
        )

    def reset_protection(self) -> c.ResetProtection:
        """Return the end of a freeze, if there is one."""
        market_id = self.rarely_strange(self.random.choice(self.shapes).market_id)
        return c.ResetProtection(self.account_id(), market_id)
