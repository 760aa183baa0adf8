"""
Figures of every process on one page.

Each process counts with prometheus-client as usual, and a thread publishes its samples to Redis
each second under a key that expires. ``/api/metrics`` merges what all processes published, with
the process's name as a label. Labels never carry accounts, orders or addresses: their number
must stay bounded.
"""

import logging
import threading
from collections.abc import Iterator

import redis
from django.conf import settings
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import REGISTRY, Collector

from common.metrics import Publication, collect, member_name, member_parts, publish
from common.redis import client as redis_client

logger = logging.getLogger(__name__)

PUBLISH_EVERY_S = 1.0

HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time to answer an HTTP request, by route pattern and status.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class _Merged(Collector):
    """The figures of several processes, each with its process's name."""

    def __init__(self, publications: list[Publication]) -> None:
        self._publications = publications

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for publication in self._publications:
            # Two processes of one kind publish the same series: host and pid tell them apart.
            _, host, pid = member_parts(publication.member)
            whose = {"process": publication.process, "host": host, "pid": pid}
            for family in publication.families:
                metric = merged.get(family.name)
                if metric is None:
                    metric = Metric(family.name, family.documentation, family.kind)
                    merged[family.name] = metric
                for sample in family.samples:
                    labels = {**sample.labels, **whose}
                    metric.add_sample(sample.name, labels, sample.value)
        yield from merged.values()


def render(publications: list[Publication]) -> bytes:
    """Return the page of Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(publications))
    return generate_latest(registry)


class _Publisher:
    """This process's publishing thread."""

    thread: threading.Thread | None = None


def start_publisher() -> threading.Thread:
    """Start this process's publishing thread unless it runs; a fork has none of its own yet."""
    thread = _Publisher.thread
    if thread is None or not thread.is_alive():
        thread = threading.Thread(target=_publish_forever, name="metrics", daemon=True)
        thread.start()
        _Publisher.thread = thread
    return thread


def _publish_forever() -> None:
    process = settings.PROCESS_NAME
    member = member_name(process)
    client = redis_client()
    waiting = threading.Event()
    failing = False
    while True:
        try:
            publish(client, collect(process, REGISTRY), member=member)
            failing = False
        except (redis.RedisError, OSError) as error:
            if not failing:
                logger.warning("metrics not published: %s", error)
            failing = True
        waiting.wait(PUBLISH_EVERY_S)
