"""Traders and staff on a fresh exchange in the test's own process."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.enums import Role
from accounts.models import User
from tests.support.trading import Trader, alice, bob, exchange, register

__all__ = ["alice", "bob", "exchange"]


@pytest.fixture
def admin(exchange: Any) -> Trader:
    """A trader who may do everything else as well."""
    trader = register(exchange, "root")
    User.objects.filter(username="root").update(role=Role.ADMIN)
    return trader
