"""Makes an empty exchange ready for traders with tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulation.kill.setup import RICH, configuration, do


class Traders:
    """Users with money and an access token each; tokens end after some minutes."""

    def __init__(self, users: list[Any]) -> None:
        """Log all of them in."""
        self._users = users
        self.tokens: list[str] = []
        self.renew()

    def renew(self) -> None:
        """Give everybody a new token, as a login does."""
        from accounts import services
        from accounts.types import Caller

        caller = Caller(ip="127.0.0.1")
        self.tokens[:] = [
            services.session_open(user=user, caller=caller).access_token for user in self._users
        ]

    def token_of(self, number: int) -> Callable[[], str]:
        """Return what answers a trader's present token."""
        return lambda: self.tokens[number]


def prepare(traders: int) -> Traders:
    """
    Configure, register and fund.

    Raises:
        SystemExit: if the exchange refuses a command.
    """
    from accounts import services
    from common.tiers import Tier
    from exchange.core import commands as c
    from exchange.core.enums import WalletKind

    for command in configuration():
        do(command)
    users = []
    for number in range(traders):
        user = services.user_create(
            username=f"trader{number}",
            email=f"trader{number}@example.com",
            password="long-enough-99",  # noqa: S106 - of a user that lives for a test
            tier=Tier.INTERNAL,
        )
        do(c.ConfigureAccount(user.account_id, open_orders_max=100_000))
        for asset in (1, 2):
            do(c.Credit(user.account_id, WalletKind.SPOT, asset, RICH, "streams", "simulation"))
        users.append(user)
    return Traders(users)
