"""Prepares the REST benchmark's database: a market, a rich trader. Prints its access token."""

import os
import sys

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.rest_settings"
os.environ["BENCH_TRANSPORT"] = "inline"

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from accounts.models import User  # noqa: E402
from common.testing import ApiClient  # noqa: E402
from exchange import gateway  # noqa: E402
from exchange.core.commands import (  # noqa: E402
    AnyCommand,
    ConfigureAccount,
    ConfigureAsset,
    ConfigureFeeTier,
    ConfigureMarket,
    Credit,
)
from exchange.core.enums import MarketKind, WalletKind  # noqa: E402
from exchange.core.rejects import Code  # noqa: E402
from exchange.core.units import ATOMS  # noqa: E402

USER = {"username": "bench", "email": "bench@example.com", "password": "correct horse 9"}


def submit(command: AnyCommand) -> None:
    """Carry out a command that must succeed."""
    outcome = gateway.submit(command)
    if outcome.code != Code.OK:
        raise SystemExit(f"{command}: {outcome.code.name}")


def main() -> None:
    """Seed and print the token."""
    call_command("migrate", verbosity=0)
    submit(ConfigureAsset(1, "BTC", "Bitcoin", 8))
    submit(ConfigureAsset(2, "USDT", "Tether", 8))
    submit(ConfigureFeeTier(0, 20_000, 40_000))
    submit(
        ConfigureMarket(
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
    client = ApiClient()
    answer = client.post("/api/auth/register", USER)
    if answer.status_code != 201:
        raise SystemExit(answer.content.decode())
    user = User.objects.get(username=USER["username"])
    submit(ConfigureAccount(user.account_id, open_orders_max=10_000_000))
    submit(Credit(user.account_id, WalletKind.SPOT, 2, 10**9 * ATOMS, "benchmark", "benchmark"))
    User.objects.filter(id=user.id).update(limit_tier="internal")
    login = client.post(
        "/api/auth/login", {"username": USER["username"], "password": USER["password"]}
    )
    sys.stdout.write(login.json()["access_token"] + "\n")


if __name__ == "__main__":
    main()
