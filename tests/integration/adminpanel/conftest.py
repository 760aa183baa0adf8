from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import alice, bob, exchange

__all__ = ["alice", "bob", "exchange", "redis_client", "redis_url"]
