"""
All sections of the dashboard as one object, and what of it a role sees.

Made anew at most once in ``KEPT_MS`` in a process, however many operators look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from accounts.permissions import Permission
from adminpanel import samples
from adminpanel.live_samples import Figures
from adminpanel.readings import read_figures
from adminpanel.stats import changes, exposure, health
from adminpanel.stats.alerts import Alert, alerts_of
from common import redis as redis_clients
from common.db import read_snapshot
from common.ws import topics
from common.ws.clock import now_ms
from markets.selectors import markets_all
from riskengine.nearest import NearestScopes, nearest_from, nearest_key
from wallets.withdrawals.terms import halted_currencies

KEPT_MS = 900
_RISK_GAUGES = ("risk_markets_unmatched", "risk_overdue_accounts", "risk_near_scopes")

# What each section needs; sections that a role may not see are null.
SECTIONS: dict[str, Permission] = {
    "health": Permission.SYSTEM_VIEW,
    "feeds": Permission.MARKETS_VIEW,
    "markets": Permission.MARKETS_VIEW,
    "funds": Permission.EXPOSURE_VIEW,
    "near_liquidation": Permission.EXPOSURE_VIEW,
    "liquidations": Permission.EXPOSURE_VIEW,
    "withdrawals": Permission.MONEY_VIEW,
    "users": Permission.USERS_VIEW,
    "commands": Permission.SYSTEM_VIEW,
    "audit": Permission.AUDIT_VIEW,
}

Permits = Callable[[Permission], bool]

# Of those nearest to liquidation; all of them have a page of their own.
NEAR_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Board:
    """Everything at one moment."""

    time_ms: int
    phase: str
    sections: dict[str, Any]
    alerts: list[Alert]

    def body(self, permits: Permits) -> dict[str, Any]:
        """Return what somebody sees who may do what ``permits`` says."""
        return {
            "time": self.time_ms,
            "phase": self.phase,
            "alerts": [alert.body() for alert in self.alerts if permits(alert.permission)],
            **{
                name: self.sections[name] if permits(permission) else None
                for name, permission in SECTIONS.items()
            },
        }


class _Kept:
    """The last board of this process."""

    lock = threading.Lock()
    memory = health.HealthMemory()
    board: Board | None = None
    made_at = float("-inf")


def board_now() -> Board:
    """Return the board, at most ``KEPT_MS`` old; call it outside of a transaction."""
    with _Kept.lock:
        if _Kept.board is None or (time.monotonic() - _Kept.made_at) * 1_000 >= KEPT_MS:
            _Kept.board = _make(_Kept.memory)
            _Kept.made_at = time.monotonic()
        return _Kept.board


def forget() -> None:
    """Forget what was kept; for tests."""
    with _Kept.lock:
        _Kept.board = None
        _Kept.memory = health.HealthMemory()


def _make(memory: health.HealthMemory) -> Board:
    figures, tickers, nearest = _read()
    with read_snapshot():
        terms = exposure.read_terms()
        users = samples.position_of(samples.Source.USERS)
        sections: dict[str, Any] = {
            "health": health.health_data(figures, memory),
            "feeds": health.feed_section(figures),
            "markets": exposure.markets_data(terms, tickers),
            "funds": exposure.funds_data(terms),
            "near_liquidation": exposure.near_data(nearest, limit=NEAR_SHOWN),
            "liquidations": changes.liquidations_data(),
            "withdrawals": changes.withdrawals_data(),
            "users": health.users_section(figures, memory, users=users.total if users else 0),
            "commands": changes.commands_data(),
            "audit": changes.audit_data(),
        }
    alerts = alerts_of(
        health=sections["health"],
        feeds=sections["feeds"],
        markets=sections["markets"],
        funds=sections["funds"],
        gauges=_gauges(figures),
        halted=halted_currencies(),
    )
    engine = sections["health"]["engine"]
    phase = engine["phase"] if engine["available"] else "down"
    return Board(figures.time_ms, phase or "down", sections, alerts)


def _read() -> tuple[Figures, dict[int, bytes | None], NearestScopes | None]:
    """Return what Redis holds; nothing when it does not answer."""
    market_ids = [market.market_id for market in markets_all()]
    try:
        client = redis_clients.client()
        figures = read_figures(client)
        values: Any = client.mget([nearest_key(), *map(topics.ticker_key, market_ids)])
    except (redis.RedisError, OSError):
        return Figures(now_ms()), {}, None
    return figures, dict(zip(market_ids, values[1:], strict=True)), nearest_from(values[0])


def _gauges(figures: Figures) -> dict[str, float]:
    """Return the highest of what processes say of each gauge of the sweep."""
    found: dict[str, float] = {}
    for publication in figures.processes.values():
        for family in publication.families:
            if family.name in _RISK_GAUGES:
                for sample in family.samples:
                    found[family.name] = max(found.get(family.name, 0.0), sample.value)
    return found
