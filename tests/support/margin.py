"""A perpetual market on an exchange in the test's own process, and traders with margin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from exchange import gateway
from exchange.core.commands import (
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
    MarginMode,
    MarketStatus,
    OrderType,
    Side,
    TimeInForce,
    WalletKind,
)
from exchange.core.units import ATOMS
from exchange.replay import replay_log
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from markets.selectors import cache_clear
from tests.support.engine import units
from tests.support.exchange import BTC, USDT, ExchangeHarness, FakeClock
from tests.support.perpetual import GROUP, contract, perpetual_market
from tests.support.trading import money_of, reset_process

PERP = 3
SYMBOL = "BTC-USDT-PERP"
PRICE = 60_000


class MarginHarness(ExchangeHarness):
    """An inline exchange with BTC-USDT-PERP at 60,000 and a fund of 1,000,000 USDT."""

    clock: FakeClock

    @classmethod
    def opened(cls) -> MarginHarness:
        """Return a fresh one; its clock moves only when told."""
        clock = FakeClock()
        harness = cls(clock_ms=clock)
        harness.clock = clock
        harness.seed_markets(maker_rate_e8=20_000, taker_rate_e8=50_000)
        harness.configure(
            perpetual_market(market_id=PERP, base_asset_id=BTC, quote_asset_id=USDT),
            contract(market_id=PERP),
            SetMarketStatus(PERP, MarketStatus.TRADING),
            MoveInsurance(GROUP, USDT, 1_000_000 * ATOMS, "seed", "tests"),
        )
        harness.mark(PRICE)
        return harness

    def mark(self, price: int | str, *, after_ms: int = 1_000, **more: Any) -> None:
        """Set the index, which a book without both sides makes the mark."""
        self.clock.advance(after_ms)
        self.configure(UpdateIndexPrices(((PERP, units(price)),), **more))

    def margin(self, account_id: int, amount: int = 100_000) -> None:
        """Pay into a margin wallet."""
        self.configure(Credit(account_id, WalletKind.MARGIN, USDT, amount * ATOMS, "test", "tests"))

    def set_up(self, account_id: int, leverage: int, mode: MarginMode = MarginMode.CROSS) -> None:
        """Set leverage, and the margin mode where it is not cross."""
        self.configure(SetLeverage(account_id, PERP, leverage))
        if mode is MarginMode.ISOLATED:
            self.configure(SetMarginMode(account_id, PERP, mode))

    def place(
        self, account_id: int, side: Side, quantity: str, price: int | str, **special: Any
    ) -> None:
        """Place a limit order that must be accepted."""
        self.configure(
            PlaceOrder(
                account_id,
                PERP,
                side,
                OrderType.LIMIT,
                TimeInForce.GTC,
                units(price),
                units(quantity),
                special=SpecialTerms(**special) if special else None,
            )
        )

    def trade(self, buyer: int, seller: int, quantity: str, price: int | str = PRICE) -> None:
        """Let the buyer take the seller's order."""
        self.place(seller, Side.SELL, quantity, price)
        self.place(buyer, Side.BUY, quantity, price)

    def assert_hashes_agree(self) -> None:
        """Live state, rows and the replayed log must be the same state."""
        self.exchange.check_all()
        live = self.exchange.state_hash()
        store = open_store()
        assert rows_hash(store, self.processor.projections) == live
        assert replay_log(store).state_hash() == live


def state_of(harness: MarginHarness) -> tuple[Any, ...]:
    """Return everything a refusal must leave as it is, positions included."""
    return (*money_of(harness), [repr(slot) for slot in harness.exchange.image().positions])


@pytest.fixture
def exchange(db: Any) -> Iterator[MarginHarness]:
    """A fresh exchange with spot markets and BTC-USDT-PERP."""
    reset_process()
    harness = MarginHarness.opened()
    gateway.use_inline(harness)
    cache_clear()
    yield harness
    gateway.use_inline(None)
    reset_process()
