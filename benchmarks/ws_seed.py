"""Prepares the database of the socket benchmarks: a market, rich users; prints their tokens."""

import json
import random
import sys

import django
from django.conf import settings

django.setup()
settings.EXCHANGE_TRANSPORT = "inline"

from django.core.management import call_command  # noqa: E402

from accounts import services  # noqa: E402
from accounts.types import Caller  # noqa: E402
from benchmarks.store import grow  # noqa: E402
from common.tiers import Tier  # noqa: E402
from exchange import gateway  # noqa: E402
from exchange.core import commands as c  # noqa: E402
from exchange.core.enums import MarketKind, WalletKind  # noqa: E402
from exchange.core.rejects import Code  # noqa: E402
from exchange.core.units import ATOMS  # noqa: E402

MONEY = 10**8 * ATOMS


def submit(command: c.AnyCommand) -> None:
    """Carry out a command that must succeed."""
    outcome = gateway.submit(command)
    if outcome.code != Code.OK:
        raise SystemExit(f"{command}: {outcome.code.name} {outcome.detail}")


def main(users: int, orders: int) -> None:
    """Seed and print the tokens as a JSON list."""
    call_command("migrate", verbosity=0)
    submit(c.ConfigureAsset(1, "BTC", "Bitcoin", 8))
    submit(c.ConfigureAsset(2, "USDT", "Tether", 8))
    submit(c.ConfigureFeeTier(0, 20_000, 40_000))
    submit(
        c.ConfigureMarket(
            market_id=1,
            symbol="BTC-USDT",
            kind=MarketKind.SPOT,
            base_asset_id=1,
            quote_asset_id=2,
            tick_atoms=ATOMS // 100,
            lot_atoms=ATOMS // 10_000,
            quantity_min_atoms=0,
            quantity_max_atoms=0,
            price_min_atoms=0,
            price_max_atoms=0,
            notional_min_atoms=0,
            price_band_e8=0,
            market_band_e8=0,
        )
    )
    tokens = []
    for number in range(users):
        user = services.user_create(
            username=f"bench{number}",
            email=f"bench{number}@example.com",
            password="correct horse 9",  # noqa: S106 - of a database that is thrown away
            tier=Tier.INTERNAL,
        )
        submit(c.ConfigureAccount(user.account_id, open_orders_max=10_000_000))
        for asset in (1, 2):
            submit(c.Credit(user.account_id, WalletKind.SPOT, asset, MONEY, "bench", "bench"))
        pair = services.session_open(user=user, caller=Caller(ip="127.0.0.1"))
        tokens.append(pair.access_token)
    if orders:
        grow(orders, random.Random(1))
    sys.stdout.write(json.dumps(tokens) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
