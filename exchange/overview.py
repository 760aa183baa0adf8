"""Reads of the exchange's own rows for the back-office: bounded, by key."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.models import POSITION_ID, LogPosition, Quarantine

# Nobody counts beyond this many commands that were set aside.
SET_ASIDE_COUNTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who leads by the lease row, and the numbers of what was committed last; times in ms UTC."""

    owner: str
    epoch: int
    renewed_ms: int
    batch: int
    last_command: int
    last_order: int
    last_trade: int


def lease_holder() -> LeaseHolder | None:
    """Return who leads, None before the first leader."""
    columns = LeaseHolder.__dataclass_fields__
    row = LogPosition.objects.filter(id=POSITION_ID).values_list(*columns).first()
    return None if row is None else LeaseHolder(*row)


def set_aside_count() -> int:
    """Return how many commands are in quarantine, at most ``SET_ASIDE_COUNTED_MAX``."""
    return len(Quarantine.objects.values_list("id", flat=True)[:SET_ASIDE_COUNTED_MAX])
