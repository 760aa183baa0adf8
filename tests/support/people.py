"""Users with a session and money, and how they log into a socket."""

from __future__ import annotations

from accounts import services
from accounts.enums import Role
from accounts.models import User
from accounts.types import Caller
from common.tiers import Tier
from tests.support.exchange import ExchangeHarness
from tests.support.live import LiveClient, LiveServer

PASSWORD = "correct horse 9"


class Person:
    """A user with a session and money."""

    def __init__(
        self,
        name: str,
        exchange: ExchangeHarness,
        *,
        role: Role = Role.TRADER,
        tier: Tier = Tier.MAKER,
    ) -> None:
        self.user: User = services.user_create(
            username=name,
            email=f"{name}@example.com",
            password=PASSWORD,
            role=role,
            tier=tier,
        )
        self.account_id: int = self.user.account_id
        pair = services.session_open(user=self.user, caller=Caller(ip="127.0.0.1"))
        self.token, self.session_id = pair.access_token, pair.session_id
        exchange.add_account(self.account_id, BTC=1_000, USDT=90_000_000)


async def login(server: LiveServer, person: Person, path: str = "/ws/user") -> LiveClient:
    """Open a socket and authenticate by the first message."""
    client = await server.connect(path)
    await client.send(op="auth", id=1, token=person.token)
    answer = await client.receive()
    assert answer["type"] == "authenticated", answer
    assert answer["account_id"] == str(person.account_id)
    return client
