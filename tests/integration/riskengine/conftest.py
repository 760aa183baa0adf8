"""Fixtures of the tests of the risk engine."""

from tests.support.margin import exchange
from tests.support.trading import alice, bob

__all__ = ["alice", "bob", "exchange"]
