"""Samples are counted along numbers, once, whatever runs how often."""

from __future__ import annotations

from typing import Any

import pytest
import redis as redis_module

from adminpanel import samples, sampling
from adminpanel.metric_table import MINUTE_MS, Resolution
from adminpanel.models import Sample, SampleCursor
from adminpanel.samples import Point, Source
from adminpanel.tasks import prune_samples, sample
from exchange import keys
from exchange.core.units import ATOMS
from exchange.wire import StatusMessage, encode, now_ms
from tests.support.exchange import ExchangeHarness
from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import Trader, register

__all__ = ["redis_client", "redis_url"]
pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("redis_client")]

HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def bob(exchange: ExchangeHarness) -> Trader:
    return register(exchange, "bob")


def _status(command: int, batch: int) -> bytes:
    return encode(
        StatusMessage(
            leader=True,
            epoch=1,
            stream_epoch=1,
            phase="trading",
            command_number=command,
            batch=batch,
            orders_lag=0,
            system_lag=0,
            heartbeat_ms=now_ms(),
        )
    )


def _sums(metric: str, resolution: Resolution = Resolution.MINUTE) -> dict[str, int]:
    """Return the sum of all kept values of a metric by label."""
    now = now_ms()
    lines = samples.read(resolution, since_ms=now - 24 * HOUR_MS, until_ms=now + HOUR_MS)
    return {
        label: sum(bucket.value for bucket in buckets.values())
        for (name, label), buckets in lines.items()
        if name == metric
    }


def _trade(alice: Trader, bob: Trader) -> None:
    alice.placed(side="sell", quantity="0.2")
    bob.placed(side="buy", quantity="0.2")


def test_trades_count_once_in_every_resolution(
    exchange: ExchangeHarness, alice: Trader, bob: Trader
) -> None:
    _trade(alice, bob)
    sampling.sample_all(now_ms())
    sampling.sample_all(now_ms())
    _trade(alice, bob)
    sampling.sample_all(now_ms())

    for resolution in Resolution:
        assert _sums("volume", resolution) == {"BTC-USDT": 20_000 * ATOMS}
        assert _sums("trades", resolution) == {"BTC-USDT": 2}
        # Maker and taker pay 0.1 % each of 10,000, twice.
        assert _sums("fees", resolution) == {"BTC-USDT": 40 * ATOMS}


def test_users_count_once_they_are_settled(
    exchange: ExchangeHarness, alice: Trader, bob: Trader
) -> None:
    now = now_ms()
    sampling.sample_all(now - sampling.USERS_SETTLE_MS)
    early = _sums("new_users")
    sampling.sample_all(now + sampling.USERS_SETTLE_MS + 1_000)

    assert early == {}
    assert _sums("new_users") == {"": 2}
    position = samples.position_of(Source.USERS)
    assert position is not None
    assert position.total == 2


def test_commands_before_the_first_look_belong_to_no_minute(
    exchange: ExchangeHarness, redis_client: redis_module.Redis
) -> None:
    now = now_ms()
    redis_client.set(keys.status(), _status(5_000, 100))
    sampling.sample_all(now)
    redis_client.set(keys.status(), _status(5_600, 130))
    sampling.sample_all(now + MINUTE_MS)

    assert _sums("commands") == {"": 600}
    assert _sums("batches") == {"": 30}


def test_a_pause_is_no_peak(exchange: ExchangeHarness, redis_client: redis_module.Redis) -> None:
    now = now_ms()
    redis_client.set(keys.status(), _status(1_000, 10))
    sampling.sample_all(now - 10 * MINUTE_MS)
    redis_client.set(keys.status(), _status(2_005, 20))
    sampling.sample_all(now)

    lines = samples.read(Resolution.MINUTE, since_ms=now - HOUR_MS, until_ms=now)
    values = sorted(bucket.value for bucket in lines["commands", ""].values())
    assert values == [100] * 9 + [105]


def test_levels_are_written_once_a_minute(
    exchange: ExchangeHarness, redis_client: redis_module.Redis
) -> None:
    now = now_ms()
    sampling.sample_all(now)
    first = set(Sample.objects.values_list("id", "number"))
    sampling.sample_all(now + 1)

    assert set(Sample.objects.values_list("id", "number")) == first


def test_a_source_that_moved_meanwhile_counts_nothing(db: None) -> None:
    now = now_ms()
    point = Point("volume", "BTC-USDT", now, 7)
    before = samples.position_of(Source.TRADES)

    first = samples.advance(Source.TRADES, before=before, position=5, points=[point], now_ms=now)
    # Another run read the same rows before the first one wrote.
    second = samples.advance(Source.TRADES, before=before, position=5, points=[point], now_ms=now)

    assert (first, second) == (True, False)
    assert _sums("volume") == {"BTC-USDT": 7}


def test_another_series_with_the_same_hash_gets_the_next_key(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "series_hash", lambda *_: 2**31 - 1)
    now = now_ms()
    points = [Point("volume", label, now, value) for label, value in (("A", 1), ("B", 2))]

    samples.advance(Source.TRADES, before=None, position=1, points=points, now_ms=now)

    assert _sums("volume") == {"A": 1, "B": 2}
    assert set(samples.series_all().values()) == {2**31 - 1, 0}


def test_what_would_be_pruned_at_once_is_not_written(db: None) -> None:
    now = now_ms()
    old = Point("volume", "A", now - 40 * 86_400_000, 9)

    samples.advance(Source.TRADES, before=None, position=1, points=[old], now_ms=now)

    assert Sample.objects.count() == 1
    assert Sample.objects.get().id >> 61 == Resolution.DAY.number


def test_pruning_leaves_what_charts_show(db: None) -> None:
    now = now_ms()
    recent = Point("volume", "A", now, 1)
    samples.advance(Source.TRADES, before=None, position=1, points=[recent], now_ms=now)
    old_ms = now - 3 * 86_400_000
    old = Point("volume", "A", old_ms, 1)
    samples.advance(Source.LIQUIDATIONS, before=None, position=1, points=[old], now_ms=old_ms)

    deleted = prune_samples()

    # The minute of three days ago; its ten minutes, hour and day are kept longer.
    assert deleted == 1
    assert _sums("volume") == {"A": 1}


def test_the_task_works_once_a_minute(
    exchange: ExchangeHarness, redis_client: redis_module.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Any] = []
    monkeypatch.setattr("adminpanel.tasks.sample_all", runs.append)
    monkeypatch.setattr("adminpanel.tasks.time.time_ns", lambda: 1_795_694_400_000_000_000)

    assert [sample(), sample()] == [True, False]
    assert len(runs) == 1
    assert SampleCursor.objects.count() == 0
