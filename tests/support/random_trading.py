"""Random orders of two accounts on one market."""

from __future__ import annotations

import random

from exchange.core.commands import AnyCommand, CancelAllOrders, CancelOrder
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from tests.support.exchange import ExchangeHarness, limit_order

ACCOUNTS = (1_000_001, 1_000_002)


def fund(exchange: ExchangeHarness) -> None:
    """Give both accounts plenty of everything."""
    for account_id in ACCOUNTS:
        exchange.add_account(account_id, BTC=100_000, USDT=900_000_000)


def step(
    exchange: ExchangeHarness, chance: random.Random, accounts: tuple[int, ...] = ACCOUNTS
) -> None:
    """Carry out one random command; a refusal is fine."""
    exchange.apply(_command(exchange, chance, chance.choice(accounts)))


def _command(exchange: ExchangeHarness, chance: random.Random, account_id: int) -> AnyCommand:
    draw = chance.random()
    if draw < 0.02:
        return CancelAllOrders(account_id)
    if draw < 0.3:
        last = exchange.exchange.sequences.order
        return CancelOrder(account_id, chance.randint(max(1, last - 50), max(1, last)))
    side = chance.choice((Side.BUY, Side.SELL))
    return limit_order(
        account_id,
        side,
        price=50_000 + chance.randint(-15, 15) + (-8 if side is Side.BUY else 8),
        quantity_atoms=chance.randint(1, 400) * ATOMS // 1_000,
    )
