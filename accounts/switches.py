"""
Switches of the whole platform, and whether money may leave it.

They are rows, so they last; each process reads them once a second at most.
"""

from __future__ import annotations

import threading
import time

from django.db import IntegrityError

from accounts.models import Switch, User
from common.db import atomic
from common.errors import ApiError

CACHE_S = 1.0
WITHDRAWALS_FROZEN = "withdrawals-frozen"

_lock = threading.Lock()
_read_at = float("-inf")
_on: frozenset[str] = frozenset()


def switches_on() -> frozenset[str]:
    """Return the names of all switches that are on, at most a second old."""
    global _read_at, _on
    if time.monotonic() - _read_at >= CACHE_S:
        with _lock:
            if time.monotonic() - _read_at >= CACHE_S:
                _on = frozenset(Switch.objects.filter(is_on=True).values_list("name", flat=True))
                _read_at = time.monotonic()
    return _on


def switch_set(name: str, *, is_on: bool) -> bool:
    """Turn a switch; return whether that changed anything. Its caller records it."""
    moved = Switch.objects.filter(name=name, is_on=not is_on).update(is_on=is_on)
    if not moved and is_on and not Switch.objects.filter(name=name).exists():
        try:
            with atomic():
                Switch.objects.create(name=name, is_on=True)
        except IntegrityError:
            return False
        moved = 1
    forget_switches()
    return bool(moved)


def forget_switches() -> None:
    """Read them again at the next look."""
    global _read_at
    _read_at = float("-inf")


def check_withdrawals(account_id: int) -> None:
    """
    Do nothing if money may leave an account.

    Raises:
        ApiError: 422 ``WITHDRAWALS_FROZEN``.
    """
    if WITHDRAWALS_FROZEN in switches_on():
        frozen = True
    else:
        owner = User.objects.filter(account_id=account_id)
        frozen = bool(owner.values_list("withdrawals_frozen", flat=True).first())
    if frozen:
        raise ApiError(
            "WITHDRAWALS_FROZEN",
            "Money may not leave this account, or the platform, just now.",
            422,
        )
