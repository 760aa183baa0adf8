"""One look at what all processes keep in Redis: which keys, and what their values mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from adminpanel.live_samples import Figures
from common import metrics
from common.ws import topics
from common.ws.clock import now_ms
from exchange import keys as exchange_keys
from markets.feeds import keys as feed_keys

# Of Redis' own report.
REDIS_SECTIONS = ("memory", "clients", "stats")


def figure_keys(names: Sequence[str]) -> list[str]:
    """Return the keys to read for ``figures_from``; ``names`` are the processes."""
    return [
        exchange_keys.status(),
        feed_keys.health_key(),
        topics.epoch_key(),
        topics.leader_key(),
        *map(metrics.member_key, names),
    ]


def figures_from(names: Sequence[str], values: Sequence[Any], report: dict[str, Any]) -> Figures:
    """Return the figures in the values of ``figure_keys``; ``report`` is Redis' own."""
    status, feed, epoch, leader, *published = values
    return Figures(
        time_ms=now_ms(),
        processes=metrics.published(names, published),
        status=status,
        feed=feed,
        redis=report,
        projector_epoch=None if epoch is None else int(epoch),
        projector_lives=leader is not None,
    )


def read_figures(client: redis.Redis) -> Figures:
    """
    Return the figures as they are now.

    Raises:
        redis.RedisError: if Redis cannot be asked.
    """
    found: Any = client.smembers(metrics.index_key())
    names = metrics.members_of(found)
    values: Any = client.mget(figure_keys(names))
    report: dict[str, Any] = {}
    for section in REDIS_SECTIONS:
        told: Any = client.info(section)
        report |= told
    return figures_from(names, values, report)
