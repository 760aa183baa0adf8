from collections.abc import Iterator
from typing import Any

import pytest

from accounts import authentication, opening, sessions
from common import limits
from common import redis as common_redis
from common.testing import ApiClient
from exchange import gateway
from exchange.core.commands import ConfigureFeeTier
from tests.support.exchange import ExchangeHarness


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Every test begins like a process that has just started."""
    common_redis.reset_clients()
    limits.reset()
    sessions.reset()
    opening.forget_known()
    authentication.forget_checked()
    yield
    limits.reset()
    sessions.reset()


@pytest.fixture
def inline_exchange(db: Any) -> Iterator[ExchangeHarness]:
    """An exchange that knows the standard fee tier, as after the seed."""
    harness = ExchangeHarness()
    harness.configure(ConfigureFeeTier(0, 20_000, 40_000))
    gateway.use_inline(harness)
    yield harness
    gateway.use_inline(None)


@pytest.fixture
def api() -> ApiClient:
    return ApiClient()


@pytest.fixture
def trader(db: Any, inline_exchange: Any, api: ApiClient) -> dict[str, Any]:
    """A registered, logged-in trader: the answer of its registration."""
    answer = api.post(
        "/api/auth/register",
        {"username": "alice", "email": "alice@example.com", "password": "correct horse 9"},
    )
    assert answer.status_code == 201, answer.content
    return answer.json()
