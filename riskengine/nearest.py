"""
Who is nearest to liquidation, as the sweep saw it last; kept in Redis for operators.

A list of scopes alone: what they stand on exactly is computed from the rows when somebody looks.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import redis

from common import redis as redis_clients
from riskengine.screen import Found, Screen

NEAREST_MAX = 50
# While fewer are near than are told, all scopes are looked at for the rest: 0.1 s with a million.
FULL_LOOK_EVERY_MS = 5_000
# Without a sweep nobody knows.
KEPT_MS = 15_000


class Scope(msgspec.Struct, frozen=True, array_like=True):
    """An account's position of a market, or (market 0) all that is cross; ratio 1 is the end."""

    account_id: int
    market_id: int
    ratio: float


class NearestScopes(msgspec.Struct, frozen=True, array_like=True):
    """The scopes with the highest margin ratios, the highest first, and when that was."""

    time_ms: int
    scopes: list[Scope]


_decode = msgspec.json.Decoder(NearestScopes).decode
# JSON has no infinity: beyond this nothing is left, whatever the number.
_RATIO_MAX = 1_000.0


def nearest_key() -> str:
    """Return where the nearest scopes are."""
    return redis_clients.key("risk", "nearest")


def nearest_from(value: bytes | None) -> NearestScopes | None:
    """Return the scopes in the value of ``nearest_key``, None when no sweep ran lately."""
    return None if value is None else _decode(value)


class Nearest:
    """Chooses the nearest scopes from what a sweep saw."""

    def __init__(self) -> None:
        """Have looked at nobody."""
        self._looked_ms = 0
        self._scopes: list[Scope] = []

    def publish(
        self, client: redis.Redis, screen: Screen, near: Found | None, *, time_ms: int
    ) -> None:
        """Write down the nearest; ``near`` is what the sweep found beyond its first level."""
        if near is not None and len(near.accounts) >= NEAREST_MAX:
            self._scopes = _highest(near)
        elif time_ms - self._looked_ms >= FULL_LOOK_EVERY_MS:
            self._looked_ms = time_ms
            self._scopes = _highest(screen.look(least_ratio=0.0))
        value: Any = msgspec.json.encode(NearestScopes(time_ms, self._scopes))
        client.set(nearest_key(), value, px=KEPT_MS)


def _highest(found: Found) -> list[Scope]:
    count = min(NEAREST_MAX, len(found.ratios))
    if not count:
        return []
    rows = np.argpartition(-found.ratios, count - 1)[:count]
    rows = rows[np.argsort(-found.ratios[rows], kind="stable")]
    return [
        Scope(
            int(found.accounts[row]),
            int(found.markets[row]),
            round(min(float(found.ratios[row]), _RATIO_MAX), 6),
        )
        for row in rows
    ]
