"""A server on loopback with real data behind it, and clients of the SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from accounts import authentication, services, sessions
from accounts.enums import Role
from accounts.models import User
from common import limits
from common.tiers import Tier
from tests.integration.ws.conftest import fresh_catalogue as fresh_catalogue
from tests.integration.ws.conftest import pipeline as pipeline
from tests.integration.ws.conftest import server as server
from tests.support.exchange import inline_exchange as inline_exchange
from tests.support.live import LivePipeline, LiveServer
from tests.support.redis_server import redis_client as redis_client
from tests.support.redis_server import redis_url as redis_url
from tradingclient import AsyncTradingClient, Password

PASSWORD = "correct horse 9"
MakeClient = Callable[[str | None], AsyncTradingClient]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin like a process that has just started."""
    limits.reset()
    sessions.reset()
    authentication.forget_checked()
    yield
    sessions.reset()


@pytest.fixture
def users(pipeline: LivePipeline) -> dict[str, User]:
    """Alice and Bob, with money."""
    found = {}
    for name in ("alice", "bob"):
        user = services.user_create(
            username=name,
            email=f"{name}@example.com",
            password=PASSWORD,
            role=Role.TRADER,
            tier=Tier.MAKER,
        )
        pipeline.exchange.add_account(user.account_id, BTC=1_000, USDT=90_000_000)
        found[name] = user
    return found


@pytest.fixture
async def connect(server: LiveServer, users: dict[str, User]) -> AsyncIterator[MakeClient]:
    """Make clients: of a user by name, or anonymous ones."""
    clients: list[AsyncTradingClient] = []

    def make(username: str | None) -> AsyncTradingClient:
        credentials = Password(username, PASSWORD) if username else None
        client = AsyncTradingClient(f"http://127.0.0.1:{server.port}", credentials=credentials)
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.aclose()
