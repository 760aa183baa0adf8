"""A small exchange in memory with one perpetual market and accounts with margin."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from exchange.core.commands import (
    ConfigureAccount,
    ConfigureAsset,
    ConfigureContract,
    ConfigureFeeTier,
    ConfigureMarket,
    ContinueTask,
    Credit,
    MoveInsurance,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetMarketStatus,
    SpecialTerms,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    FINAL_STATUSES,
    EndReason,
    MarginMode,
    MarketKind,
    MarketStatus,
    OrderType,
    Side,
    TimeInForce,
    WalletKind,
    insurance_account,
)
from exchange.core.events import OrderChanged, Outcome
from exchange.core.state import Position
from tests.support.engine import BTC, MAKER_RATE, TAKER_RATE, USDT, Bench, units

PERP = 1
GROUP = 1
# BTC's brackets of 2024-10: floor, maintenance rate, highest leverage.
BRACKETS = (
    (0, 400_000, 125),
    (units(50_000), 500_000, 100),
    (units(600_000), 650_000, 75),
    (units(3_000_000), 1_000_000, 50),
    (units(12_000_000), 2_000_000, 25),
    (units(70_000_000), 2_500_000, 20),
    (units(100_000_000), 5_000_000, 10),
)


def contract(**changes: Any) -> ConfigureContract:
    """Return the terms of BTC-USDT-PERP."""
    settings: dict[str, Any] = {
        "market_id": PERP,
        "insurance_group": GROUP,
        "funding_interval_ms": 8 * 3_600_000,
        "interest_rate_e8": 10_000,
        "funding_cap_e8": 0,
        "impact_notional_atoms": units(25_000),
        "liquidation_fee_e8": 500_000,
        "position_notional_max_atoms": units(200_000_000),
        "open_interest_max_atoms": 0,
        "brackets": BRACKETS,
    }
    return ConfigureContract(**{**settings, **changes})


def perpetual_market(**changes: Any) -> ConfigureMarket:
    """Return BTC-USDT-PERP: tick 0.1, lot 0.001, halted until it has a contract."""
    settings: dict[str, Any] = {
        "market_id": PERP,
        "symbol": "BTC-USDT-PERP",
        "kind": MarketKind.PERPETUAL,
        "base_asset_id": BTC,
        "quote_asset_id": USDT,
        "tick_atoms": units("0.1"),
        "lot_atoms": units("0.001"),
        "quantity_min_atoms": units("0.001"),
        "quantity_max_atoms": units(10_000),
        "price_min_atoms": units("0.1"),
        "price_max_atoms": units(10_000_000),
        "notional_min_atoms": units(5),
        "price_band_e8": 0,
        "market_band_e8": 5_000_000,
        "status": MarketStatus.HALTED,
    }
    return ConfigureMarket(**{**settings, **changes})


class PerpetualBench(Bench):
    """An exchange with a perpetual market at 60,000 and accounts with margin."""

    @classmethod
    def opened(
        cls, *accounts: int, margin: str = "10000", fund: str = "1000000", **terms: Any
    ) -> PerpetualBench:
        """Return a bench whose accounts have a margin wallet each, and a fund."""
        bench = cls()
        bench.ok(ConfigureAsset(BTC, "BTC", "Bitcoin", 8))
        bench.ok(ConfigureAsset(USDT, "USDT", "Tether", 8))
        bench.ok(perpetual_market())
        bench.ok(contract(**terms))
        bench.ok(SetMarketStatus(PERP, MarketStatus.TRADING))
        bench.ok(ConfigureFeeTier(0, MAKER_RATE, TAKER_RATE))
        if units(fund):
            bench.ok(MoveInsurance(GROUP, USDT, units(fund), "seed", "test"))
        for account in accounts:
            bench.ok(ConfigureAccount(account))
            bench.ok(Credit(account, WalletKind.MARGIN, USDT, units(margin), "test", "test"))
        bench.mark("60000")
        return bench

    def mark(self, price: str, **more: Any) -> Outcome:
        """Set the index, which an empty book makes the mark, and carry out what follows."""
        self.time_ms += 1_000
        outcome = self.ok(UpdateIndexPrices(((PERP, units(price)),), **more))
        self.settle()
        return outcome

    def list_another(self, market_id: int, price: str, **terms: Any) -> None:
        """Add a second perpetual market that settles in the same asset."""
        self.ok(perpetual_market(market_id=market_id, symbol=f"BTC-USDT-PERP-{market_id}"))
        self.ok(contract(market_id=market_id, **terms))
        self.ok(SetMarketStatus(market_id, MarketStatus.TRADING))
        self.ok(UpdateIndexPrices(((market_id, units(price)),)))

    def settle(self) -> list[Any]:
        """Carry out all internal work; return its events."""
        events: list[Any] = []
        while self.exchange.has_task or self.exchange.is_due(self.time_ms):
            events += self.ok(ContinueTask()).events
        return events

    def order(
        self, account: int, side: Side, quantity: str, price: str = "0", **more: Any
    ) -> PlaceOrder:
        """Return a limit order, or without a price a market order."""
        reduce_only = more.pop("reduce_only", False)
        market_id = more.pop("market_id", PERP)
        limit = bool(units(price))
        default = TimeInForce.GTC if limit else TimeInForce.IOC
        return PlaceOrder(
            account,
            market_id,
            side,
            OrderType.LIMIT if limit else OrderType.MARKET,
            more.pop("time_in_force", default),
            units(price),
            units(quantity),
            special=SpecialTerms(reduce_only=True) if reduce_only else None,
            **more,
        )

    def trade(
        self, buyer: int, seller: int, quantity: str, price: str, market_id: int = PERP
    ) -> Outcome:
        """Let the seller's limit order be taken by the buyer's."""
        self.ok(self.order(seller, Side.SELL, quantity, price, market_id=market_id))
        return self.ok(self.order(buyer, Side.BUY, quantity, price, market_id=market_id))

    def leverage(self, account: int, leverage: int, mode: MarginMode = MarginMode.CROSS) -> None:
        """Set leverage and margin mode."""
        self.ok(SetLeverage(account, PERP, leverage))
        if mode is MarginMode.ISOLATED:
            self.ok(SetMarginMode(account, PERP, mode))

    def position(self, account: int, market_id: int = PERP) -> Position:
        """Return a copy of the slot of an account, flat ones included."""
        return next(
            copy.copy(position)
            for position in self.exchange.image().positions
            if (position.account_id, position.market_id) == (account, market_id)
        )

    def ended(self, events: Iterable[Any]) -> dict[int, EndReason]:
        """Return the reasons of the orders that events say have ended."""
        return {
            event.order_id: event.reason
            for event in events
            if isinstance(event, OrderChanged) and event.status in FINAL_STATUSES
        }

    def margin(self, account: int) -> int:
        """Return the balance of a margin wallet."""
        return self.wallet(account, USDT, WalletKind.MARGIN).total_atoms

    def fund(self) -> int:
        """Return the balance of the insurance fund."""
        return self.margin(insurance_account(GROUP))
