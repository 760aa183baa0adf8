"""Commands set aside: looked at, and decided about once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from exchange.core.commands import AnyCommand
from exchange.models import Quarantine, QuarantineDecision
from exchange.wire import decode_submission, now_ms

RELEASED, DISCARDED = "released", "discarded"


# Nobody counts beyond this many commands that wait.
WAITING_COUNTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class SetAside:
    """A command in quarantine; ``decision`` is "" while nobody has decided."""

    row_id: int
    command_id: str
    type: str
    market_id: int
    error: str
    command: AnyCommand
    decision: str


def set_aside_by_id(row_id: int) -> SetAside | None:
    """Return a command in quarantine, None if there is none."""
    row = Quarantine.objects.filter(id=row_id).first()
    if row is None:
        return None
    return SetAside(
        row_id=row.id,
        command_id=row.command_id,
        type=row.type,
        market_id=row.market_id,
        error=row.error,
        command=decode_submission(bytes(row.payload)).command,
        decision=decisions_of([row_id]).get(row_id, ""),
    )


def waiting_count() -> int:
    """Return how many commands nobody has decided about, at most ``WAITING_COUNTED_MAX``."""
    decided = QuarantineDecision.objects.values_list("id", flat=True)
    waiting = Quarantine.objects.exclude(id__in=decided).values_list("id", flat=True)
    return len(waiting[:WAITING_COUNTED_MAX])


def decisions_of(row_ids: Iterable[int]) -> dict[int, str]:
    """Return what was decided, by the key of the command; who waits is left out."""
    decided = QuarantineDecision.objects.filter(id__in=list(row_ids))
    return dict(decided.values_list("id", "decision"))


def decide(row_id: int, decision: str) -> bool:
    """Write a decision down; False if there is one already. Of two at once one counts."""
    try:
        with transaction.atomic():
            QuarantineDecision(id=row_id, decision=decision, decided_ms=now_ms()).save(
                force_insert=True
            )
    except IntegrityError:
        return False
    return True


def undecide(row_id: int) -> None:
    """Forget a decision that could not be carried out."""
    QuarantineDecision.objects.filter(id=row_id).delete()
