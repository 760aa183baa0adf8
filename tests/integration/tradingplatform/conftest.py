"""Fixtures of the site's tests."""

from tests.support.processes import redis_server as redis_server
from tests.support.processes import redis_session as redis_session
from tests.support.redis_server import redis_client as redis_client
from tests.support.redis_server import redis_url as redis_url
