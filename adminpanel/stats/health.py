"""Is the exchange healthy: leader, lag, times, processes, price feeds."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from adminpanel.ack_figures import AckCounts, ack_counts, acks_between
from adminpanel.live_samples import Figures, Rates, engine_data, feeds_data, system_data, users_data
from exchange.quarantine import waiting_count
from exchange.selectors import leader_info

# Processes without which an installation does not work; they are missed when they say nothing.
NEEDED_PROCESSES = ("exchange", "projector", "web", "feed", "worker")
# Answers of this long are looked at together: of one second there may be none.
ACK_WINDOW_MS = 10_000


class Check(Protocol):
    """The result of one check of readiness."""

    @property
    def ok(self) -> bool:
        """Whether it passed."""
        ...

    @property
    def detail(self) -> str:
        """What it found, for people."""
        ...


class AckWindow:
    """The last ``ACK_WINDOW_MS`` of answers, from counters that only rise."""

    def __init__(self) -> None:
        """Have seen nothing."""
        self._seen: list[tuple[int, dict[str, AckCounts]]] = []

    def look(self, figures: Figures) -> dict[str, Any]:
        """Return how long answers took lately; None where nobody asked for any."""
        counts = ack_counts(figures.processes)
        self._seen.append((figures.time_ms, counts))
        while len(self._seen) > 2 and self._seen[1][0] <= figures.time_ms - ACK_WINDOW_MS:
            del self._seen[0]
        since_ms, before = self._seen[0]
        found = acks_between(before, counts) if figures.time_ms > since_ms else None
        per_second = None
        if found is not None:
            per_second = round(found.count * 1_000 / (figures.time_ms - since_ms), 1)
        return {
            "mean_ms": found.mean_ms if found else None,
            "p99_ms": found.p99_ms if found else None,
            "per_second": per_second,
        }


class HealthMemory:
    """What rates are computed from between two looks of a process."""

    def __init__(self) -> None:
        """Have seen nothing."""
        self.lock = threading.Lock()
        self.system = Rates()
        self.users = Rates()
        self.acks = AckWindow()


def readiness() -> dict[str, dict[str, Any]]:
    """Return the checks behind ``/api/health/ready``, by name."""
    checks: Mapping[str, Check] = import_string(settings.READINESS_CHECKS)()
    return {name: {"ok": check.ok, "detail": check.detail} for name, check in checks.items()}


def health_data(figures: Figures, memory: HealthMemory) -> dict[str, Any]:
    """Return the section ``health``: three queries and what the checks ask."""
    system = system_data(figures, memory.system)
    memory.system.keep_only(figures.time_ms)
    heard = {process["name"] for process in system["processes"]}
    leader = leader_info()
    return {
        "engine": {
            **engine_data(figures),
            "leader": leader.host if leader else None,
            "lease_renewed": leader.renewed_ms if leader else None,
            "orders_ever": leader.last_order if leader else 0,
            "trades_ever": leader.last_trade if leader else 0,
        },
        "order_to_ack": memory.acks.look(figures),
        "quarantined": waiting_count(),
        "checks": readiness(),
        "missing_processes": [name for name in NEEDED_PROCESSES if name not in heard],
        **system,
    }


def feed_section(figures: Figures) -> dict[str, Any]:
    """Return the section ``feeds``: the index prices and what is behind them."""
    return feeds_data(figures)


def users_section(figures: Figures, memory: HealthMemory, *, users: int) -> dict[str, Any]:
    """Return the section ``users``: how many there are, who is connected, what they ask for."""
    data = users_data(figures, memory.users)
    memory.users.keep_only(figures.time_ms)
    return {"registered": users, **data}
