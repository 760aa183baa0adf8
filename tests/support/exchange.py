"""An exchange inside the test's own process, and short ways to give it markets and money."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exchange import gateway
from exchange.core.commands import (
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    ConfigureMarket,
    Credit,
    PlaceOrder,
    UpdateIndexPrices,
)
from exchange.core.enums import MarketKind, OrderType, Side, TimeInForce, WalletKind
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.inline import InlineExchange
from exchange.wire import now_ms
from markets.selectors import cache_clear

BTC, ETH, USDT = 1, 2, 3
BTC_USDT, ETH_USDT = 1, 2


class FakeClock:
    """A wall clock in milliseconds that moves only when told."""

    def __init__(self, start_ms: int | None = None) -> None:
        """Start now, or at a given time."""
        self.time_ms = now_ms() if start_ms is None else start_ms

    def __call__(self) -> int:
        """Return the time."""
        return self.time_ms

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.time_ms += milliseconds


def asset(asset_id: int, code: str, name: str = "", decimals: int = 8) -> ConfigureAsset:
    """Return the command that makes an asset."""
    return ConfigureAsset(asset_id, code, name or code, decimals)


def market(
    market_id: int, symbol: str, base: int, quote: int, **changes: object
) -> ConfigureMarket:
    """Return the command that makes a market with a tick of 0.01 and a lot of 0.00001."""
    values: dict[str, object] = {
        "market_id": market_id,
        "symbol": symbol,
        "kind": MarketKind.SPOT,
        "base_asset_id": base,
        "quote_asset_id": quote,
        "tick_atoms": ATOMS // 100,
        "lot_atoms": ATOMS // 100_000,
        "quantity_min_atoms": ATOMS // 100_000,
        "quantity_max_atoms": 1_000 * ATOMS,
        "price_min_atoms": 0,
        "price_max_atoms": 0,
        "notional_min_atoms": ATOMS,
        "price_band_e8": 0,
        "market_band_e8": 0,
    }
    return ConfigureMarket(**(values | changes))  # type: ignore[arg-type]


def limit_order(
    account_id: int,
    side: Side,
    *,
    price: int,
    quantity_atoms: int,
    market_id: int = BTC_USDT,
    client_order_id: str = "",
    request_hash: int = 0,
    time_in_force: TimeInForce = TimeInForce.GTC,
) -> PlaceOrder:
    """Return a limit order; the price in whole quote units."""
    return PlaceOrder(
        account_id,
        market_id,
        side,
        OrderType.LIMIT,
        time_in_force,
        price * ATOMS,
        quantity_atoms,
        client_order_id=client_order_id,
        request_hash=request_hash,
    )


class ExchangeHarness(InlineExchange):
    """An inline exchange with helpers that configure it; each checks that it worked."""

    def configure(self, *commands: object) -> None:
        """Carry out commands that must succeed."""
        for command in commands:
            outcome = self.apply(command)  # type: ignore[arg-type]
            if outcome.code is not Code.OK:
                raise AssertionError(f"{command}: {outcome.code.name} {outcome.detail}")

    def seed_markets(self, *, maker_rate_e8: int = 100_000, taker_rate_e8: int = 100_000) -> None:
        """Make BTC, ETH and USDT with BTC-USDT (index 50,000) and ETH-USDT (3,000)."""
        self.configure(
            asset(BTC, "BTC", "Bitcoin"),
            asset(ETH, "ETH", "Ether"),
            asset(USDT, "USDT", "Tether"),
            ConfigureFeeTier(0, maker_rate_e8, taker_rate_e8),
            market(BTC_USDT, "BTC-USDT", BTC, USDT),
            market(ETH_USDT, "ETH-USDT", ETH, USDT),
            UpdateIndexPrices(((BTC_USDT, 50_000 * ATOMS), (ETH_USDT, 3_000 * ATOMS))),
        )
        # A test just before may have read the markets of its own database.
        cache_clear()

    def add_account(self, account_id: int, **balances: int) -> None:
        """Make an account and credit whole units per asset code, e.g. ``BTC=2``."""
        self.configure(ConfigureAccount(account_id))
        codes = {configured.code: configured for configured in self.exchange.image().assets}
        for code, units in balances.items():
            self.credit(account_id, codes[code].asset_id, units * ATOMS)

    def credit(
        self,
        account_id: int,
        asset_id: int,
        amount_atoms: int,
        wallet: WalletKind = WalletKind.SPOT,
    ) -> Outcome:
        """Pay an amount into a wallet."""
        command = Credit(account_id, wallet, asset_id, amount_atoms, "test", "tests")
        outcome = self.apply(command)
        assert outcome.code is Code.OK, outcome
        return outcome


@pytest.fixture
def inline_exchange(db: None) -> Iterator[ExchangeHarness]:
    """A fresh exchange on the test database; the gateway of this process submits to it."""
    harness = ExchangeHarness()
    gateway.use_inline(harness)
    yield harness
    gateway.use_inline(None)
