"""Limits over REST: buckets, weights, headers, what is left; threats T18 and T31."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connections

from accounts import services
from accounts.models import User
from accounts.types import Caller
from common import limits, tiers
from common.testing import ApiClient, error_code
from common.tiers import Tier
from exchange.core.commands import ConfigureAccount
from orders.models import Order
from tests.support.redis_server import redis_client, redis_url

__all__ = ["redis_client", "redis_url"]

ORDER = {
    "symbol": "BTC-USDT",
    "side": "buy",
    "type": "limit",
    "price": "40000",
    "quantity": "0.001",
}


@pytest.fixture
def client(trader, inline_exchange):
    inline_exchange.seed_markets()
    inline_exchange.add_account(int(trader["user"]["account_id"]), USDT=1_000_000, BTC=10)
    return ApiClient(trader["access_token"])


@pytest.fixture
def still_clock(monkeypatch):
    """Let every window last a day, so that a slow machine does not begin another."""
    take = limits.take
    monkeypatch.setattr(
        limits,
        "take",
        lambda bucket, who, **options: take(bucket, who, **{**options, "window_s": 86_400}),
    )


class TestAccountLimits:
    def test_shows_every_limit_and_what_is_left(self, client):
        client.post("/api/orders", ORDER)
        client.get("/api/wallet")

        body = client.get("/api/account/limits").json()

        assert body["limit_tier"] == "trader"
        assert body["requests"]["limit"] == 1_200
        assert body["requests"]["remaining"] == 1_198
        assert 0 < body["requests"]["resets_in_ms"] <= 60_000
        assert (body["orders"]["limit"], body["orders"]["window_s"]) == (10, 1)
        assert body["cancels"] == {
            "limit": 50,
            "window_s": 1,
            "remaining": 50,
            "resets_in_ms": 0,
        }
        assert body["open_orders_max"] == 200
        assert body["sockets"] == {
            "connections_max": 20,
            "channels_max": 200,
            "messages": 100,
            "messages_window_s": 1,
        }

    def test_another_tier(self, client):
        services.user_set_access(user=User.objects.get(), tier=Tier.MAKER)

        body = client.get("/api/account/limits").json()

        assert (body["limit_tier"], body["orders"]["limit"]) == ("maker", 1_000)

    @pytest.mark.parametrize(
        ("path", "weight"),
        [
            ("/api/account", 1),
            ("/api/orders", 1),
            ("/api/orders/history", 5),
            ("/api/fills", 5),
            ("/api/wallet/history", 5),
            ("/api/markets/BTC-USDT/klines?interval=1m", 2),
        ],
    )
    def test_weights(self, client, path, weight):
        answers = [client.get(path) for _ in range(2)]

        left = [int(answer["X-RateLimit-Remaining"]) for answer in answers]
        assert left[0] - left[1] == weight
        assert 0 < int(answers[0]["X-RateLimit-Reset"]) <= 60

    def test_a_refusal_shows_the_bucket_too(self, client, monkeypatch):
        monkeypatch.setitem(tiers._TABLE, Tier.TRADER, _with(requests=2))
        for _ in range(2):
            assert client.get("/api/account").status_code == 200

        answer = client.get("/api/account")

        assert (answer.status_code, error_code(answer)) == (429, "RATE_LIMITED")
        assert (answer["X-RateLimit-Limit"], answer["X-RateLimit-Remaining"]) == ("2", "0")
        assert answer["X-RateLimit-Reset"] == answer["Retry-After"]


def _with(**changes):
    return replace(tiers.limits_of(Tier.TRADER), **changes)


class TestT18Race:
    """T18: 1,000 requests at a limit of 100, at once: exactly 100 pass."""

    def test_t18_exactly_the_limit_passes(self, redis_client, own_database, settings, monkeypatch):
        # A window of a day: the limiter's clock stands still.
        window = _with(requests=100, requests_window_s=86_400)
        monkeypatch.setitem(tiers._TABLE, Tier.TRADER, window)
        settings.LIMITS_STORAGE = "redis"
        user = services.user_create(username="alice", email="a@example.com", password="x" * 12)
        pair = services.session_open(user=user, caller=Caller(ip="::1"))

        def send_50(_):
            client = ApiClient(pair.access_token)
            try:
                answers = [client.get("/api/account/limits") for _ in range(50)]
                return [(answer.status_code, answer["X-RateLimit-Remaining"]) for answer in answers]
            finally:
                connections.close_all()

        with ThreadPoolExecutor(20) as pool:
            found = [item for part in pool.map(send_50, range(20)) for item in part]

        passed = [int(left) for status, left in found if status == 200]
        assert sorted(passed) == list(range(100))
        assert [item for item in found if item[0] != 200] == [(429, "0")] * 900


class TestT31Floods:
    """T31: orders have a rate of their own, a batch counts its orders, cancels go on."""

    def test_t31_the_eleventh_order_of_a_second_is_refused(self, client, still_clock):
        answers = [client.post("/api/orders", ORDER) for _ in range(12)]

        assert [answer.status_code for answer in answers] == [201] * 10 + [429] * 2
        assert {error_code(answer) for answer in answers[10:]} == {"ORDER_RATE"}
        assert answers[10]["X-RateLimit-Limit"] == "10"
        assert Order.objects.count() == 10

    def test_t31_a_batch_of_n_counts_n_and_a_refused_one_nothing(self, client, still_clock):
        batch = [client.post("/api/orders/batch", {"orders": [ORDER] * n}) for n in (8, 3, 2)]

        assert [answer.status_code for answer in batch] == [200, 429, 200]
        assert error_code(batch[1]) == "ORDER_RATE"
        assert Order.objects.count() == 10

    def test_t31_cancels_go_on(self, client, still_clock):
        placed = [client.post("/api/orders", ORDER).json() for _ in range(10)]
        assert client.post("/api/orders", ORDER).status_code == 429

        cancelled = [client.delete(f"/api/orders/{order['id']}") for order in placed]

        assert [answer.status_code for answer in cancelled] == [200] * 10
        assert client.delete("/api/orders").status_code == 200

    def test_t31_reads_do_not_use_up_orders(self, client, monkeypatch):
        monkeypatch.setitem(tiers._TABLE, Tier.TRADER, _with(requests=1))
        assert client.get("/api/orders").status_code == 200
        assert client.get("/api/orders").status_code == 429

        assert client.post("/api/orders", ORDER).status_code == 201

    def test_t31_open_orders_are_bounded_by_the_tier(self, client, inline_exchange, trader):
        account_id = int(trader["user"]["account_id"])
        inline_exchange.configure(ConfigureAccount(account_id, open_orders_max=2))

        answers = [client.post("/api/orders", ORDER) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [201, 201, 422]
        assert error_code(answers[2]) == "TOO_MANY_OPEN_ORDERS"
        assert Order.objects.count() == 2
