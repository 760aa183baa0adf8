"""One REDIS_URL in the forms of its users."""

from pathlib import Path

import pytest

from tradingplatform.redis_urls import SOCKET_PATH_MAX_BYTES, celery_broker_url, socket_path


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("unix:///var/run/redis.sock", "redis+socket:///var/run/redis.sock?virtual_host=0"),
        ("unix://:a%2Fb@/run/r.sock", "redis+socket://:a%252Fb@/run/r.sock?virtual_host=0"),
    ],
)
def test_celery_takes_unix_sockets_under_another_scheme(url: str, expected: str) -> None:
    assert celery_broker_url(url) == expected


def test_socket_lies_under_var_while_its_path_fits() -> None:
    assert socket_path(Path("/srv/exchange/var")) == Path("/srv/exchange/var/redis.sock")


def test_socket_of_a_deep_directory_lies_under_a_short_path() -> None:
    deep = Path("/srv") / ("d" * 100) / "var"

    found = socket_path(deep)

    assert len(str(found)) <= SOCKET_PATH_MAX_BYTES
    assert found == socket_path(deep)
    assert found != socket_path(deep / "other")
