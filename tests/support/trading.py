"""Traders who are logged in and rich, on a fresh exchange in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from accounts import authentication, opening, sessions
from accounts.models import User
from common import limits
from common.testing import ApiClient
from exchange import gateway
from exchange.core.units import ATOMS
from markets.selectors import cache_clear
from tests.support.exchange import BTC, ETH, USDT, ExchangeHarness

PASSWORD = "correct horse 9"


@dataclass
class Trader:
    """A user of the API with an account on the exchange."""

    name: str
    account_id: int
    api: ApiClient

    def place(self, **fields: Any) -> Any:
        """Send an order: a limit buy of 0.1 BTC at 50,000 unless fields say otherwise."""
        body: dict[str, Any] = {
            "symbol": "BTC-USDT",
            "side": "buy",
            "type": "limit",
            "quantity": "0.1",
            "price": "50000",
        }
        body.update(fields)
        return self.api.post("/api/orders", {k: v for k, v in body.items() if v is not None})

    def placed(self, **fields: Any) -> dict[str, Any]:
        """Send an order that must be accepted and return it."""
        answer = self.place(**fields)
        assert answer.status_code == 201, answer.content
        found: dict[str, Any] = answer.json()
        return found

    def balances(self) -> dict[str, tuple[str, str]]:
        """Return total and held per "CODE wallet"."""
        found = self.api.get("/api/wallet").json()["balances"]
        return {f"{row['currency']} {row['wallet']}": (row["total"], row["held"]) for row in found}


def money_of(harness: ExchangeHarness) -> tuple[Any, ...]:
    """Return everything a refusal must leave as it is: balances, orders, books, numbers."""
    image = harness.exchange.image()
    sequences = image.sequences
    return (
        [(w.wallet_id, w.total_atoms, w.held_atoms) for w in image.wallets],
        [repr(order) for order in image.orders],
        [harness.exchange.book_levels(market) for market in harness.exchange.market_ids],
        (sequences.order, sequences.trade, sequences.entry, sequences.transfer),
    )


def reset_process() -> None:
    """Forget what a process remembers between requests."""
    limits.reset()
    sessions.reset()
    opening.forget_known()
    authentication.forget_checked()
    cache_clear()


@pytest.fixture
def exchange(db: Any) -> Iterator[ExchangeHarness]:
    """A fresh exchange with BTC-USDT and ETH-USDT; maker and taker pay 0.1 %."""
    reset_process()
    harness = ExchangeHarness()
    harness.seed_markets()
    gateway.use_inline(harness)
    cache_clear()
    yield harness
    gateway.use_inline(None)
    reset_process()


def register(harness: ExchangeHarness, name: str) -> Trader:
    """Register a user over the API; its account is open and owns 10 BTC and 1,000,000 USDT."""
    answer = ApiClient().post(
        "/api/auth/register",
        {"username": name, "email": f"{name}@example.com", "password": PASSWORD},
    )
    assert answer.status_code == 201, answer.content
    account_id = User.objects.get(username=name).account_id
    harness.credit(account_id, BTC, 10 * ATOMS)
    harness.credit(account_id, ETH, 10 * ATOMS)
    harness.credit(account_id, USDT, 1_000_000 * ATOMS)
    # The order rate of a trader would end most tests; those about it set their own tier.
    User.objects.filter(username=name).update(limit_tier="internal")
    login = ApiClient().post("/api/auth/login", {"username": name, "password": PASSWORD})
    return Trader(name, account_id, ApiClient(login.json()["access_token"]))


@pytest.fixture
def alice(exchange: ExchangeHarness) -> Trader:
    """A trader."""
    return register(exchange, "alice")


@pytest.fixture
def bob(exchange: ExchangeHarness) -> Trader:
    """Another trader."""
    return register(exchange, "bob")
