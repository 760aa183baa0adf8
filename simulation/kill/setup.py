"""Makes an empty exchange tradable for the kill clients, through gateway and REST."""

from __future__ import annotations

import time
from collections.abc import Iterator

from exchange.core import commands as c
from exchange.core.enums import MarketKind

ATOMS = 10**8
GATEWAY_ACCOUNTS = (7_000_001, 7_000_002, 7_000_003)
RICH = 10**7 * ATOMS
READY_S = 120.0


USERNAME = "killer"
PASSWORD = "long-enough-99"  # noqa: S105 - of a user that lives for a test


def configuration() -> Iterator[c.AnyCommand]:
    """Yield what makes an empty exchange have one market."""
    yield c.ConfigureAsset(1, "BTC", "Bitcoin", 8)
    yield c.ConfigureAsset(2, "USDT", "Tether", 8)
    yield c.ConfigureFeeTier(0, 100_000, 200_000)
    yield c.ConfigureMarket(
        market_id=1,
        symbol="BTC-USDT",
        kind=MarketKind.SPOT,
        base_asset_id=1,
        quote_asset_id=2,
        tick_atoms=ATOMS // 100,
        lot_atoms=ATOMS // 1000,
        quantity_min_atoms=ATOMS // 1000,
        quantity_max_atoms=1_000 * ATOMS,
        price_min_atoms=ATOMS // 100,
        price_max_atoms=10**6 * ATOMS,
        notional_min_atoms=ATOMS,
        price_band_e8=0,
        market_band_e8=0,
    )


def prepare_gateway() -> list[str]:
    """
    Configure the exchange and fund the accounts of gateway clients, which are returned.

    Raises:
        SystemExit: if the exchange refuses; names the command.
    """
    for command in configuration():
        do(command)
    for account in GATEWAY_ACCOUNTS:
        _fund(account)
    return [str(account) for account in GATEWAY_ACCOUNTS]


def prepare_exchange(url: str) -> tuple[list[str], str]:
    """
    Configure, fund, register.

    Returns the accounts of the gateway client, and ``ACCOUNT:TOKEN`` of the HTTP user.

    Raises:
        SystemExit: if the exchange refuses; names the command.
    """
    import httpx

    from accounts.models import User
    from common.tiers import Tier

    accounts = prepare_gateway()
    body = {"username": USERNAME, "email": "killer@example.com", "password": PASSWORD}
    registered = httpx.post(f"{url}/api/auth/register", json=body, timeout=20.0).json()
    user = User.objects.get(username=USERNAME)
    user.limit_tier = Tier.INTERNAL.value
    user.save(update_fields=["limit_tier"])
    account_id = int(registered["user"]["account_id"])
    _fund(account_id)
    return accounts, f"{account_id}:{registered['access_token']}"


def _fund(account: int) -> None:
    from exchange.core.enums import WalletKind

    do(c.ConfigureAccount(account, open_orders_max=100_000))
    for asset in (1, 2):
        do(c.Credit(account, WalletKind.SPOT, asset, RICH, "kill harness", "simulation"))


def do(command: c.AnyCommand) -> None:
    """
    Submit a command on the system lane; it must be carried out.

    Raises:
        SystemExit: if the exchange refuses; names the command.
        ExchangeUnavailable: if nobody leads for ``READY_S``.
    """
    from exchange import gateway
    from exchange.core.enums import Lane
    from exchange.core.rejects import Code

    end = time.monotonic() + READY_S
    while True:
        try:
            outcome = gateway.submit(command, lane=Lane.SYSTEM)
            break
        except gateway.ExchangeUnavailable:
            # Nothing was done: on a busy machine the leader may be quiet for a moment.
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
    if outcome.code is not Code.OK:
        raise SystemExit(f"{command}: {Code(outcome.code).name}")
