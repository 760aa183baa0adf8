"""Fixtures of the site's tests."""

from tests.support.redis_server import redis_client as redis_client
from tests.support.redis_server import redis_url as redis_url
