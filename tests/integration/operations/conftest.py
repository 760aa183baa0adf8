"""Staff and traders on a fresh exchange in the test's own process, with a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.enums import Role
from accounts.switches import forget_switches
from tests.support.margin import exchange
from tests.support.redis_server import redis_client, redis_url
from tests.support.staff import Staff, staff_member
from tests.support.trading import alice, bob

__all__ = ["alice", "bob", "exchange", "redis_client", "redis_url"]


@pytest.fixture(autouse=True)
def _redis(redis_client: Any) -> None:
    """Every operation may meet Redis."""


@pytest.fixture
def operator(exchange: Any) -> Staff:
    return staff_member(Role.OPERATOR)


@pytest.fixture
def second(exchange: Any) -> Staff:
    """Another operator."""
    return staff_member(Role.OPERATOR, "olga")


@pytest.fixture(autouse=True)
def _fresh_switches(exchange: Any) -> Iterator[None]:
    """Forget what a test before turned on."""
    forget_switches()
    yield
    forget_switches()
