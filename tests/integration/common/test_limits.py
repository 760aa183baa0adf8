import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from common import limits
from common.errors import ApiError
from common.tiers import Tier, limits_of
from tests.support.redis_server import redis_client, redis_url

__all__ = ["redis_client", "redis_url"]


@dataclass(frozen=True)
class Caller:
    account_id: int = 7
    tier: Tier = Tier.TRADER


@pytest.fixture(autouse=True, params=["redis", "memory"])
def storage(request, settings):
    settings.LIMITS_STORAGE = request.param
    if request.param == "redis":
        request.getfixturevalue("redis_client")
    limits.reset()
    yield request.param
    limits.reset()


def outcomes(function, number):
    def one(_):
        try:
            return function()
        except ApiError as error:
            return error.code

    with ThreadPoolExecutor(32) as pool:
        return list(pool.map(one, range(number)))


class TestTake:
    def test_t18_of_500_parallel_requests_exactly_the_limit_succeeds(self):
        found = outcomes(lambda: limits.take("a", "x", limit=100, window_s=60), 500)

        assert found.count("RATE_LIMITED") == 400
        granted = [rate.remaining for rate in found if rate != "RATE_LIMITED"]
        assert sorted(granted) == list(range(100))

    def test_portions_never_grant_more_than_the_limit(self):
        found = outcomes(lambda: limits.take("a", "x", limit=1_000, window_s=60), 1_300)

        assert found.count("RATE_LIMITED") == 300

    def test_a_refusal_says_when_to_come_back(self):
        limits.take("a", "x", limit=1, window_s=60)

        with pytest.raises(ApiError) as raised:
            limits.take("a", "x", limit=1, window_s=60)

        assert raised.value.status_code == 429
        assert 58 <= raised.value.retry_after_s <= 60
        assert raised.value.headers == {
            "X-RateLimit-Limit": "1",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(raised.value.retry_after_s),
        }

    def test_a_batch_counts_its_size_and_a_refused_one_nothing(self):
        assert limits.take("a", "x", limit=10, window_s=60, cost=6).remaining == 4
        with pytest.raises(ApiError):
            limits.take("a", "x", limit=10, window_s=60, cost=5)

        assert limits.take("a", "x", limit=10, window_s=60, cost=4).remaining == 0

    def test_callers_and_buckets_are_apart(self):
        limits.take("a", "x", limit=1, window_s=60)

        limits.take("a", "y", limit=1, window_s=60)
        limits.take("b", "x", limit=1, window_s=60)

    def test_no_limit_is_never_counted(self):
        assert limits.take("a", "x", limit=0, window_s=60) == limits.UNLIMITED


class TestAtomicity:
    def test_t18_of_1000_parallel_requests_exactly_100_are_granted(self):
        # A window that does not end while the test runs: the limiter's clock stands still.
        found = outcomes(lambda: limits.take("a", "x", limit=100, window_s=86_400), 1_000)

        assert found.count("RATE_LIMITED") == 900
        granted = [rate.remaining for rate in found if rate != "RATE_LIMITED"]
        assert sorted(granted) == list(range(100))

    def test_t18_refused_batches_never_cost_anybody_anything(self):
        def one(cost):
            return lambda: limits.take("a", "x", limit=100, window_s=86_400, cost=cost)

        functions = [one(101), one(1)] * 100
        with ThreadPoolExecutor(32) as pool:
            found = [future.exception() for future in [pool.submit(f) for f in functions]]

        assert sum(error is None for error in found) == 100
        assert limits.look("a", "x", limit=100, window_s=86_400).remaining == 0

    def test_looking_takes_nothing(self):
        assert limits.look("a", "x", limit=10, window_s=60) == limits.Rate(10, 10, 0)
        limits.take("a", "x", limit=10, window_s=60, cost=3)

        seen = [limits.look("a", "x", limit=10, window_s=60) for _ in range(3)]

        assert {rate.remaining for rate in seen} == {7}
        assert all(58_000 < rate.ends_in_ms <= 60_000 for rate in seen)
        assert limits.look("a", "x", limit=0, window_s=60) == limits.UNLIMITED

    def test_looking_counts_what_this_process_still_holds(self):
        limits.take("a", "x", limit=1_000, window_s=60)

        assert limits.look("a", "x", limit=1_000, window_s=60).remaining == 999

    def test_a_window_begins_anew_with_the_first_take_after_it(self):
        limits.take("a", "x", limit=1, window_s=1)
        with pytest.raises(ApiError):
            limits.take("a", "x", limit=1, window_s=1)
        time.sleep(1.05)

        assert limits.take("a", "x", limit=1, window_s=1).remaining == 0
        with pytest.raises(ApiError):
            limits.take("a", "x", limit=1, window_s=1)

    def test_tokens_of_one_window_are_not_spent_in_the_next(self):
        for _ in range(3):
            limits.take("a", "x", limit=500, window_s=1)
        time.sleep(1.05)
        limits.take("a", "x", limit=500, window_s=1)

        assert limits.look("a", "x", limit=500, window_s=1).remaining == 499


class TestOrders:
    def test_t31_a_trader_places_ten_a_second(self):
        found = outcomes(lambda: limits.take_orders(Caller()), 40)

        assert found.count("ORDER_RATE") == 30

    def test_t31_cancels_have_a_bucket_of_their_own(self):
        outcomes(lambda: limits.take_orders(Caller()), 20)

        assert limits.take_cancels(Caller(), 10).remaining == (
            limits_of(Tier.TRADER).cancels_per_s - 10
        )

    def test_the_internal_tier_is_not_limited(self):
        caller = Caller(tier=Tier.INTERNAL)

        assert outcomes(lambda: limits.take_orders(caller), 50) == [limits.UNLIMITED] * 50

    def test_tiers_rise(self):
        trader, maker = limits_of(Tier.TRADER), limits_of(Tier.MAKER)

        assert maker.orders_per_s > trader.orders_per_s == 10
        assert maker.open_orders_max > trader.open_orders_max == 200
        assert limits_of(Tier.ANONYMOUS).requests == 100

    def test_from_the_event_loop(self):
        async def place() -> list[object]:
            found = []
            for _ in range(12):
                try:
                    found.append(await limits.take_orders_async(Caller()))
                except ApiError as error:
                    found.append(error.code)
            return found

        assert asyncio.run(place()).count("ORDER_RATE") == 2


class TestWithoutRedis:
    def test_reads_and_orders_go_on(self, settings, storage):
        if storage == "memory":
            pytest.skip("needs Redis to be missing")
        settings.REDIS_URL = "unix:///nowhere/redis.sock"
        limits.reset()

        assert limits.take("a", "x", limit=1, window_s=60).remaining == 1
        assert limits.take("a", "x", limit=1, window_s=60).remaining == 1
