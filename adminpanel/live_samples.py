"""
What the channels of ``/ws/admin`` say, made from what processes keep in Redis.

Pure functions of raw values: nothing here asks anybody. What is not known is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from common.metrics import Publication, Sample, member_parts
from common.ws import counts
from exchange.core.units import format_atoms
from exchange.wire import decode_status
from markets.feeds.health import FeedHealth

HTTP_COUNT = "http_request_duration_seconds_count"
CPU_SECONDS = "process_cpu_seconds_total"
MEMORY_BYTES = "process_resident_memory_bytes"
OPEN_FILES = "process_open_fds"

_ORDER_METHODS = frozenset({"POST", "PUT"})
# What lies under the orders' address and orders nothing.
_NO_ORDERS = ("preview", "cancel-all-after")


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that was read at one moment; ``time_ms`` is when."""

    time_ms: int
    # By "name:host:pid".
    processes: Mapping[str, Publication] = field(default_factory=dict)
    status: bytes | None = None
    feed: bytes | None = None
    redis: Mapping[str, Any] = field(default_factory=dict)
    projector_epoch: int | None = None
    projector_lives: bool = False


class Rates:
    """Turns counters that only rise into figures per second between two samples."""

    def __init__(self) -> None:
        """Know no earlier sample."""
        self._last: dict[str, tuple[int, float]] = {}

    def per_second(self, name: str, value: float | None, time_ms: int) -> float | None:
        """Return the growth since the last call of this name, None for the first one."""
        if value is None:
            return None
        before = self._last.get(name)
        self._last[name] = (time_ms, value)
        if before is None or time_ms <= before[0] or value < before[1]:
            return None
        return round((value - before[1]) * 1_000 / (time_ms - before[0]), 2)

    def keep_only(self, time_ms: int) -> None:
        """Forget what the sample of this time no longer had: its process has ended."""
        self._last = {name: seen for name, seen in self._last.items() if seen[0] == time_ms}


def system_data(figures: Figures, rates: Rates) -> dict[str, Any]:
    """Return the channel ``system``: processes, Redis and sockets."""
    processes, sockets = [], []
    for member, publication in figures.processes.items():
        name, _, pid = member_parts(member)
        values = _values(publication)
        cpu = rates.per_second(f"cpu {member}", values.get(CPU_SECONDS), figures.time_ms)
        processes.append(
            {
                "name": name,
                "pid": int(pid) if pid.isdigit() else None,
                "cpu_percent": None if cpu is None else round(cpu * 100, 1),
                "memory_bytes": _whole(values.get(MEMORY_BYTES)),
                "open_files": _whole(values.get(OPEN_FILES)),
            }
        )
        if f"{counts.FRAMES}_total" in values:
            sockets.append(_sockets(member, publication, values, figures.time_ms, rates))
    redis = figures.redis
    return {
        "processes": processes,
        "redis": {
            "memory_bytes": redis.get("used_memory"),
            "clients": redis.get("connected_clients"),
            "operations_per_second": redis.get("instantaneous_ops_per_sec"),
        },
        "sockets": sockets,
    }


def engine_data(figures: Figures) -> dict[str, Any]:
    """Return the channel ``engine``: what the leader of the exchange last said."""
    projector = {"available": figures.projector_lives, "epoch": figures.projector_epoch}
    if figures.status is None:
        return {"available": False, **dict.fromkeys(_ENGINE_FIELDS), "projector": projector}
    status = decode_status(figures.status)
    return {
        "available": status.leader,
        **{name: getattr(status, name) for name in _ENGINE_FIELDS if name != "heartbeat_age_ms"},
        "heartbeat_age_ms": max(0, figures.time_ms - status.heartbeat_ms),
        "projector": projector,
    }


_ENGINE_FIELDS = (
    "phase",
    "epoch",
    "command_number",
    "batch",
    "orders_lag",
    "system_lag",
    "commands_per_second",
    "commit_ms",
    "rows_per_batch",
    "heartbeat_age_ms",
)


def feeds_data(figures: Figures) -> dict[str, Any]:
    """Return the channel ``feeds``: the index prices and the sources behind them."""
    if figures.feed is None:
        missing = dict.fromkeys(("mode", "note", "holder", "age_ms"))
        return {"available": False, **missing, "indexes": []}
    health = msgspec.json.decode(figures.feed, type=FeedHealth)
    return {
        "available": True,
        "mode": health.mode,
        "note": health.note,
        "holder": health.holder,
        "age_ms": max(0, figures.time_ms - health.time_ms),
        "indexes": [
            {
                "symbol": index.symbol,
                "state": index.state,
                "sources": [
                    {
                        "source": source.source,
                        "status": source.status,
                        "reason": source.reason,
                        "age_ms": source.age_ms,
                        "divergence": None
                        if source.divergence_e8 is None
                        else format_atoms(source.divergence_e8),
                    }
                    for source in index.sources
                ],
            }
            for index in health.indexes
        ],
    }


def users_data(figures: Figures, rates: Rates) -> dict[str, Any]:
    """
    Return the channel ``users``: who is connected, and what users ask for.

    A user with sockets in two web processes counts in both.
    """
    publications = figures.processes.values()
    connections = _by_label(publications, counts.CONNECTIONS, "namespace")
    users = _by_label(publications, counts.USERS, "namespace")
    requests = list(_samples(publications, HTTP_COUNT))
    entries = list(_samples(publications, f"{counts.ENTRIES}_total"))
    totals = {
        "requests": sum(sample.value for sample in requests),
        "errors": sum(s.value for s in [*requests, *entries] if s.labels["status"] >= "500"),
        "refusals": sum(s.value for s in [*requests, *entries] if _is_refusal(s)),
        "orders": sum(s.value for s in requests if _is_order(s))
        + sum(s.value for s in entries if not s.labels["op"].startswith("cancel")),
        "cancels": sum(s.value for s in requests if _is_cancel(s))
        + sum(s.value for s in entries if s.labels["op"] in _CANCEL_OPS),
    }
    return {
        "namespaces": [
            {
                "namespace": name,
                "connections": _whole(connections[name]),
                "users": _whole(users.get(name, 0)),
            }
            for name in sorted(connections)
        ],
        **{
            f"{what}_per_second": rates.per_second(f"users {what}", total, figures.time_ms)
            for what, total in totals.items()
        },
    }


_CANCEL_OPS = frozenset({"cancel", "cancel_all", "cancel_batch"})


def _is_refusal(sample: Sample) -> bool:
    return "400" <= sample.labels["status"] < "500"


def _is_order(sample: Sample) -> bool:
    route = sample.labels["route"]
    is_order = route.startswith("api/orders") and not route.endswith(_NO_ORDERS)
    return is_order and sample.labels["method"] in _ORDER_METHODS


def _is_cancel(sample: Sample) -> bool:
    labels = sample.labels
    return labels["route"].startswith("api/orders") and labels["method"] == "DELETE"


def _sockets(
    member: str,
    publication: Publication,
    values: Mapping[str, float],
    time_ms: int,
    rates: Rates,
) -> dict[str, Any]:
    connections = _by_label([publication], counts.CONNECTIONS, "namespace")
    closed = _by_label([publication], f"{counts.CLOSED}_total", "code")
    return {
        "process": member,
        "connections": _whole(sum(connections.values())),
        "subscriptions": _whole(values.get(counts.SUBSCRIPTIONS)),
        "frames_per_second": rates.per_second(
            f"frames {member}", values.get(f"{counts.FRAMES}_total"), time_ms
        ),
        "messages_per_second": rates.per_second(
            f"messages {member}", values.get(f"{counts.MESSAGES}_total"), time_ms
        ),
        "slow_closed": _whole(closed.get("4008", 0)),
    }


def _samples(publications: Iterable[Publication], name: str) -> Iterable[Sample]:
    for publication in publications:
        for family in publication.families:
            for sample in family.samples:
                if sample.name == name:
                    yield sample


def _by_label(publications: Iterable[Publication], name: str, label: str) -> dict[str, float]:
    sums: dict[str, float] = {}
    for sample in _samples(publications, name):
        key = sample.labels[label]
        sums[key] = sums.get(key, 0) + sample.value
    return sums


def _values(publication: Publication) -> dict[str, float]:
    """Return the samples without labels by name."""
    return {
        sample.name: sample.value
        for family in publication.families
        for sample in family.samples
        if not sample.labels
    }


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
