"""Seeded random commands for perpetual markets: violent prices, high leverage, a small fund."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from exchange.core import commands as c
from exchange.core.enums import (
    MarginMode,
    MarketKind,
    MarketStatus,
    OrderType,
    TriggerType,
    WalletKind,
)
from simulation.commands import ACCOUNTS, ATOMS, CASH, DUST, GOLD, MarketShape, TimedCommand
from simulation.special_commands import CommandSource

# An ordinary market, and one of small prices whose lots are whole. Bases and ids of markets
# that follow a settled one repeat.
PERPETUALS = (
    MarketShape(market_id=11, tick=ATOMS // 100, lot=ATOMS // 1000, middle=100 * ATOMS),
    MarketShape(market_id=12, tick=1_000, lot=ATOMS, middle=ATOMS // 50),
)
# Floors are low, so that positions of a few thousand cross several of them.
BRACKETS = (
    (0, 500_000, 100),
    (2_000 * ATOMS, 1_000_000, 50),
    (20_000 * ATOMS, 2_500_000, 20),
    (100_000 * ATOMS, 10_000_000, 5),
)
OTHER_BRACKETS = ((0, 1_000_000, 50), (5_000 * ATOMS, 5_000_000, 10))
# How the index moves: in 10^-4 of the price, and how often.
STEPS = (0, 5, 20, 100, 500, 3_000)
STEP_WEIGHTS = (10, 40, 30, 14, 5, 1)


def perpetual_market(shape: MarketShape) -> c.ConfigureMarket:
    """Return a perpetual market without a contract yet, which is why it is halted."""
    ordinary = shape.lot < ATOMS
    return c.ConfigureMarket(
        market_id=shape.market_id,
        symbol=f"{'GOLD' if ordinary else 'DUST'}-CASH-PERP-{shape.market_id}",
        kind=MarketKind.PERPETUAL,
        base_asset_id=GOLD if ordinary else DUST,
        quote_asset_id=CASH,
        tick_atoms=shape.tick,
        lot_atoms=shape.lot,
        quantity_min_atoms=shape.lot,
        quantity_max_atoms=50_000_000 * shape.lot,
        price_min_atoms=0,
        price_max_atoms=0,
        notional_min_atoms=ATOMS // 2 if ordinary else 0,
        price_band_e8=0,
        market_band_e8=5_000_000 if ordinary else 0,
        status=MarketStatus.HALTED,
    )


def contract(shape: MarketShape) -> c.ConfigureContract:
    """Return the first terms of a market."""
    return c.ConfigureContract(
        market_id=shape.market_id,
        insurance_group=1,
        funding_interval_ms=60_000 if shape.lot < ATOMS else 90_000,
        interest_rate_e8=10_000,
        funding_cap_e8=0 if shape.lot < ATOMS else 2_000_000,
        impact_notional_atoms=500 * ATOMS,
        liquidation_fee_e8=500_000,
        position_notional_max_atoms=150_000 * ATOMS,
        open_interest_max_atoms=0,
        brackets=BRACKETS,
        leverage_default=20,
    )


class MarginSource(CommandSource):
    """An endless stream of commands that one seed decides, mostly about perpetual markets."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.shapes = PERPETUALS
        self.listed = 12
        self.planned: list[c.AnyCommand] = []
        self.kinds = (
            (self.place_limit, 30),
            (self.place_market, 8),
            (self.reduce, 6),
            (self.place_conditional, 5),
            (self.place_special, 2),
            (self.place_trailing, 1),
            (self.place_oco, 2),
            (self.place_bracket, 2),
            (self.amend, 4),
            (self.cancel, 6),
            (self.cancel_all, 1),
            (self.transfer, 3),
            (self.top_up, 3),
            (self.withdraw, 1),
            (self.index_prices, 22),
            (self.market_status, 0.3),
            (self.account, 0.5),
            (self.leverage, 5),
            (self.margin_mode, 4),
            (self.adjust_margin, 4),
            (self.close_position, 5),
            (self.exits, 3),
            (self.check_liquidation, 1),
            (self.deleverage, 3),
            (self.terms, 1),
            (self.insurance, 1),
            (self.move_insurance, 1),
            (self.settle, 0.05),
            (self.leadership, 0.02),
        )

    def opening(self, open_orders_max: int) -> Iterator[TimedCommand]:
        """Yield the spot exchange and its perpetual markets, with money in margin wallets."""
        yield from super().opening(open_orders_max)
        setup: list[c.AnyCommand] = []
        for shape in PERPETUALS:
            setup += self._listing(shape)
        setup.append(c.MoveInsurance(1, CASH, 300 * ATOMS))
        setup += [self.margin(account_id, 2_000 * ATOMS) for account_id in ACCOUNTS]
        yield from (TimedCommand(1, command) for command in setup)

    def _listing(self, shape: MarketShape) -> list[c.AnyCommand]:
        return [
            perpetual_market(shape),
            contract(shape),
            c.SetMarketStatus(shape.market_id, MarketStatus.TRADING),
            c.UpdateIndexPrices(((shape.market_id, shape.middle),)),
        ]

    def delay_ms(self) -> int:
        """Return how long the next command waits; seldom so long that prices grow stale."""
        choices = (0, 1, 90, 700, 12_000, 4_000_000)
        return self.random.choices(choices, (30, 30, 30, 10, 0.3, 0.02))[0]

    def margin(self, account_id: int, amount: int) -> c.Credit:
        """Return a deposit to a margin wallet."""
        return c.Credit(account_id, WalletKind.MARGIN, CASH, amount, "simulation", "simulation")

    def quantity(self, shape: MarketShape) -> int:
        """Return a quantity worth ten to many thousands of the quote."""
        worth = self.random.choice((30, 300, 3_000, 3_000, 30_000)) * ATOMS
        lots = worth // max(1, shape.middle * shape.lot // ATOMS)
        return shape.lot * self.random.randint(1, max(1, lots))

    def index_prices(self) -> c.AnyCommand:
        """Return the next step of the index of one market or both, or a doubtful price."""
        if self.planned:
            return self.planned.pop(0)
        r = self.random
        moved = [self._moved(shape) if r.random() < 0.7 else shape for shape in self.shapes]
        self.shapes = tuple(moved)
        quality = r.choices(("live", "degraded", "missing", "silent"), (96, 2, 1, 1))[0]
        doubtful = r.choice(self.shapes).market_id
        prices = tuple(
            (shape.market_id, shape.middle)
            for shape in self.shapes
            if quality in ("live", "degraded") or shape.market_id != doubtful
        )
        return c.UpdateIndexPrices(
            prices,
            degraded=(doubtful,) if quality in ("degraded", "silent") else (),
            missing=(doubtful,) if quality == "missing" else (),
        )

    def _moved(self, shape: MarketShape) -> MarketShape:
        r = self.random
        first = PERPETUALS[0] if shape.lot < ATOMS else PERPETUALS[1]
        step = r.choices(STEPS, STEP_WEIGHTS)[0]
        # What ran far away tends back, so that prices stay in the range that the grid suits.
        upward = r.random() < (0.5 if first.middle / 2 < shape.middle < first.middle * 2 else 0.2)
        if shape.middle < first.middle:
            upward = r.random() < (0.5 if shape.middle > first.middle / 2 else 0.8)
        change = shape.middle * r.randint(0, step) // 10_000
        ticks = (shape.middle + (change if upward else -change)) // shape.tick
        return replace(shape, middle=max(50, ticks) * shape.tick)

    def reduce(self) -> c.PlaceOrder:
        """Return an order that only reduces, often more than there is."""
        r = self.random
        shape = r.choice(self.shapes)
        order = (
            self.place_limit()
            if r.random() < 0.7
            else self.conditional(shape, r.choice(tuple(self.exit_types)), self.near(shape, 30))
        )
        special = order.special or c.SpecialTerms()
        close = r.random() < 0.3 and order.special is not None
        special = msgspec.structs.replace(
            special, reduce_only=not close, close_position=close, display_atoms=0
        )
        quantity = 0 if close and r.random() < 0.9 else order.quantity_atoms
        return msgspec.structs.replace(order, special=special, quantity_atoms=quantity)

    @property
    def exit_types(self) -> tuple[OrderType, ...]:
        """Return the types of conditional orders that may close a position."""
        return (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT, OrderType.STOP_LOSS_LIMIT)

    def top_up(self) -> c.Credit:
        """Return a deposit of margin; small, so that leverage stays high."""
        r = self.random
        return self.margin(self.account_id(), self.rarely_strange(r.randint(1, 500 * ATOMS)))

    def leverage(self) -> c.SetLeverage:
        """Return a change of leverage, possible or not."""
        r = self.random
        return c.SetLeverage(
            self.account_id(),
            self.rarely_strange(r.choice(self.shapes).market_id),
            r.choice((1, 3, 10, 20, 50, 50, 100, 100, 100, 125, 0)),
        )

    def margin_mode(self) -> c.SetMarginMode:
        """Return a change of margin mode, possible or not."""
        r = self.random
        return c.SetMarginMode(
            self.account_id(), r.choice(self.shapes).market_id, r.choice(list(MarginMode))
        )

    def adjust_margin(self) -> c.AdjustMargin:
        """Return an amount into or out of an isolated wallet."""
        r = self.random
        amount = r.randint(1, r.choice((10, 100, 1_000)) * ATOMS) * r.choice((1, -1))
        return c.AdjustMargin(
            self.account_id(), r.choice(self.shapes).market_id, self.rarely_strange(amount)
        )

    def close_position(self) -> c.ClosePosition:
        """Return the close of a position, whole, in part, at a limit, or turned round."""
        r = self.random
        shape = r.choice(self.shapes)
        return c.ClosePosition(
            self.account_id(),
            shape.market_id,
            0 if r.random() < 0.7 else self.quantity(shape),
            0 if r.random() < 0.7 else self.near(shape, 30),
            reverse=r.random() < 0.2,
            slippage_rate_e8=r.choice((0, 0, 1_000_000)),
        )

    def exits(self) -> c.SetPositionExits:
        """Return a take-profit and a stop-loss, or none; half of them on the wrong sides."""
        r = self.random
        shape = r.choice(self.shapes)
        prices = [0 if r.random() < 0.2 else self.near(shape, 300) for _ in range(2)]
        return c.SetPositionExits(
            self.account_id(), shape.market_id, *prices, r.choice(list(TriggerType)[1:])
        )

    def check_liquidation(self) -> c.CheckLiquidation:
        """Return a look at some accounts."""
        count = self.random.randint(1, len(ACCOUNTS))
        return c.CheckLiquidation(tuple(self.random.sample(ACCOUNTS, count)))

    def deleverage(self) -> c.Deleverage:
        """Return all accounts as candidates, in some order."""
        r = self.random
        return c.Deleverage(
            self.rarely_strange(r.choice(self.shapes).market_id),
            tuple(r.sample(ACCOUNTS, len(ACCOUNTS))),
        )

    def terms(self) -> c.ConfigureContract:
        """Return other terms of a market; mostly what it had."""
        r = self.random
        shape = r.choice(self.shapes)
        return msgspec.structs.replace(
            contract(shape),
            insurance_group=self.rarely_strange(1),
            liquidation_fee_e8=r.choice((0, 100_000, 500_000, 2_000_000)),
            position_notional_max_atoms=r.choice((0, 150_000 * ATOMS, 40_000 * ATOMS)),
            open_interest_max_atoms=r.choice((0, 0, 0, 100_000 * ATOMS)),
            brackets=r.choice((BRACKETS, BRACKETS, OTHER_BRACKETS, BRACKETS[:1], ())),
            leverage_default=r.choice((20, 50)),
            liquidations_paused=r.random() < 0.1,
        )

    def insurance(self) -> c.ConfigureInsurance:
        """Return when a group stops taking over."""
        r = self.random
        drawdown = r.choice((0, 30_000_000, 80_000_000))
        return c.ConfigureInsurance(
            self.rarely_strange(1),
            r.choice((ATOMS // 10, ATOMS, 100 * ATOMS, 1_000 * ATOMS)),
            r.choice((0, 1_000_000, 10_000_000)),
            drawdown,
            min(drawdown, r.choice((0, 25_000_000, drawdown))),
        )

    def move_insurance(self) -> c.MoveInsurance:
        """Return a payment into the fund or out of it."""
        amount = self.random.choice((200, 50, 20, -20, -300)) * ATOMS
        return c.MoveInsurance(1, CASH, self.rarely_strange(amount))

    def settle(self) -> c.SettleMarket:
        """Return the end of a market; another is listed in its place."""
        r = self.random
        index = r.randrange(len(self.shapes))
        old = self.shapes[index]
        price = 0 if r.random() < 0.5 else old.middle * r.randint(70, 130) // 100
        self.listed += 1
        new = replace(old, market_id=self.listed)
        self.shapes = tuple(new if i == index else s for i, s in enumerate(self.shapes))
        self.planned += self._listing(new)
        return c.SettleMarket(old.market_id, price)

    def transfer(self) -> c.Transfer:
        """Return a transfer of quote, mostly out of a margin wallet."""
        r = self.random
        kinds = (WalletKind.MARGIN, WalletKind.SPOT)
        account_id = self.account_id()
        source = r.choices(kinds, (3, 1))[0]
        target = kinds[1] if source is kinds[0] else kinds[0]
        return c.Transfer(
            account_id,
            source if r.random() < 0.98 else WalletKind.ISOLATED,
            account_id if r.random() < 0.7 else self.account_id(),
            target if r.random() < 0.9 else source,
            CASH,
            self.rarely_strange(r.randint(1, r.choice((50, 1_000)) * ATOMS)),
        )

    def withdraw(self) -> c.Debit:
        """Return a withdrawal from a margin wallet."""
        return c.Debit(
            self.account_id(),
            WalletKind.MARGIN,
            CASH,
            self.rarely_strange(self.random.randint(1, 300 * ATOMS)),
            "simulation",
            "simulation",
        )

    def account(self) -> c.ConfigureAccount:
        """Return a change of an account; most stay active, with room for orders."""
        return msgspec.structs.replace(
            super().account(), open_orders_max=self.random.choice((12, 20))
        )


class PositionSource(MarginSource):
    """What the naive exchange knows of perpetual markets: all but OCO and brackets."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        left_out = {self.place_oco, self.place_bracket}
        self.kinds = tuple(kind for kind in self.kinds if kind[0] not in left_out)
