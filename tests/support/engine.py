"""A small exchange in memory for tests of the core: one market, a few funded accounts."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from exchange.core.commands import (
    VERSION,
    AnyCommand,
    CancelOrder,
    ClientIdFinding,
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    ConfigureMarket,
    Credit,
    Envelope,
    PlaceOrder,
    SpecialTerms,
)
from exchange.core.engine import Exchange
from exchange.core.enums import (
    Lane,
    MarketKind,
    OrderType,
    Side,
    TimeInForce,
    TriggerType,
    WalletKind,
)
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.core.state import Wallet
from exchange.core.units import ATOMS

BTC, USDT = 1, 2
MARKET = 1
ALICE, BOB, CAROL = 1_000_001, 1_000_002, 1_000_003
MAKER_RATE, TAKER_RATE = 20_000, 40_000


def units(value: int | str) -> int:
    """Return atoms of a whole or decimal number of units."""
    whole, _, fraction = str(value).partition(".")
    return int(whole) * ATOMS + int((fraction + "00000000")[:8])


def market(**changes: Any) -> ConfigureMarket:
    """Return BTC-USDT: tick 0.01, lot 0.0001, minimum value 5."""
    settings: dict[str, Any] = {
        "market_id": MARKET,
        "symbol": "BTC-USDT",
        "kind": MarketKind.SPOT,
        "base_asset_id": BTC,
        "quote_asset_id": USDT,
        "tick_atoms": units("0.01"),
        "lot_atoms": units("0.0001"),
        "quantity_min_atoms": units("0.0001"),
        "quantity_max_atoms": units(1000),
        "price_min_atoms": units("0.01"),
        "price_max_atoms": units(1_000_000),
        "notional_min_atoms": units(5),
        "price_band_e8": 0,
        "market_band_e8": 0,
    }
    return ConfigureMarket(**{**settings, **changes})


@dataclass
class Bench:
    """An exchange with its command log."""

    exchange: Exchange = field(default_factory=Exchange)
    log: list[Envelope] = field(default_factory=list)
    time_ms: int = 1_700_000_000_000

    @classmethod
    def funded(cls, *accounts: int, **market_changes: Any) -> Bench:
        """Return a bench whose accounts own 10 BTC and 1,000,000 USDT each."""
        bench = cls()
        bench.ok(ConfigureAsset(BTC, "BTC", "Bitcoin", 8))
        bench.ok(ConfigureAsset(USDT, "USDT", "Tether", 6))
        bench.ok(market(**market_changes))
        bench.ok(ConfigureFeeTier(0, MAKER_RATE, TAKER_RATE))
        for account in accounts or (ALICE, BOB):
            bench.ok(ConfigureAccount(account))
            bench.ok(Credit(account, WalletKind.SPOT, BTC, units(10), "test", "test"))
            bench.ok(Credit(account, WalletKind.SPOT, USDT, units(1_000_000), "test", "test"))
        return bench

    def do(self, command: AnyCommand, finding: ClientIdFinding | None = None) -> Outcome:
        """Apply a command, check every invariant, and return its outcome."""
        outcome = self.exchange.apply(self.next(command, finding))
        self.exchange.check_all()
        return outcome

    def next(self, command: AnyCommand, finding: ClientIdFinding | None = None) -> Envelope:
        """Return the envelope of the next command, logged but not applied."""
        number = len(self.log) + 1
        self.time_ms += 1
        envelope = Envelope(
            VERSION, number, self.time_ms, f"c{number}", Lane.ORDERS, command, finding
        )
        self.log.append(envelope)
        return envelope

    def ok(self, command: AnyCommand) -> Outcome:
        """Apply a command that must be accepted."""
        outcome = self.do(command)
        assert outcome.code is Code.OK, outcome
        return outcome

    def refused(
        self, command: AnyCommand, code: Code, finding: ClientIdFinding | None = None
    ) -> None:
        """Apply a command that must be refused with a code and change nothing else."""
        before = self.fingerprint()
        outcome = self.do(command, finding)
        assert (outcome.code, outcome.reference_id, tuple(outcome.events)) == (code, 0, ())
        assert self.fingerprint() == before

    def fingerprint(self) -> str:
        """Return a hash of everything but the command number and the time."""
        image = copy.deepcopy(self.exchange.image())
        image.sequences.command = 0
        image.time_ms = 0
        return Exchange.load(image).state_hash()

    def limit(self, account: int, side: Side, quantity: str, price: str, **more: Any) -> PlaceOrder:
        """Return a limit order."""
        return PlaceOrder(
            account,
            MARKET,
            side,
            OrderType.LIMIT,
            more.pop("time_in_force", TimeInForce.GTC),
            units(price),
            units(quantity),
            **more,
        )

    def market_order(self, account: int, side: Side, quantity: str, **more: Any) -> PlaceOrder:
        """Return a market order."""
        return PlaceOrder(
            account,
            MARKET,
            side,
            OrderType.MARKET,
            more.pop("time_in_force", TimeInForce.IOC),
            0,
            units(quantity),
            **more,
        )

    def conditional(
        self,
        account: int,
        side: Side,
        quantity: str,
        trigger: str,
        order_type: OrderType = OrderType.STOP_LOSS,
        trigger_type: TriggerType = TriggerType.INDEX,
        price: str = "0",
        **special: int,
    ) -> PlaceOrder:
        """Return a stop or take-profit order; with a price it becomes a limit order."""
        return PlaceOrder(
            account,
            MARKET,
            side,
            order_type,
            TimeInForce.GTC if units(price) else TimeInForce.IOC,
            units(price),
            units(quantity),
            special=SpecialTerms(trigger_type, units(trigger), **special),  # type: ignore[arg-type]
        )

    def trailing(self, account: int, side: Side, quantity: str, **special: int) -> PlaceOrder:
        """Return a trailing stop on the index price."""
        return PlaceOrder(
            account,
            MARKET,
            side,
            OrderType.TRAILING_STOP,
            TimeInForce.IOC,
            0,
            units(quantity),
            special=SpecialTerms(TriggerType.INDEX, **special),  # type: ignore[arg-type]
        )

    def buy(self, account: int, quantity: str, price: str, **more: Any) -> Outcome:
        """Place a limit buy that must be accepted."""
        return self.ok(self.limit(account, Side.BUY, quantity, price, **more))

    def sell(self, account: int, quantity: str, price: str, **more: Any) -> Outcome:
        """Place a limit sell that must be accepted."""
        return self.ok(self.limit(account, Side.SELL, quantity, price, **more))

    def cancel(self, account: int, order_id: int) -> Outcome:
        """Cancel an order that must be open."""
        return self.ok(CancelOrder(account, order_id))

    def wallet(self, account: int, asset: int, kind: WalletKind = WalletKind.SPOT) -> Wallet:
        """Return a copy of a wallet."""
        return next(
            copy.copy(wallet)
            for wallet in self.exchange.image().wallets
            if (wallet.account_id, wallet.asset_id, wallet.kind) == (account, asset, kind)
        )

    def book(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return the whole book."""
        return self.exchange.book_levels(MARKET)
