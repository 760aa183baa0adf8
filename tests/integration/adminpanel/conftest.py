from tests.support.trading import alice, bob, exchange

__all__ = ["alice", "bob", "exchange"]
