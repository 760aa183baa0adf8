"""
What finishes withdrawals that were cut off between a row and the exchange.

A process may die, or be left without an answer, after it wrote a row and before it knows what
the exchange did. Each such row says what has to be asked; asking twice does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from common.db import atomic
from common.errors import ApiError
from exchange.errors import ExchangeError
from wallets.enums import ENDED, WithdrawalState
from wallets.models import Withdrawal
from wallets.withdrawals import money
from wallets.withdrawals.changes import now_ms, settle, state_move
from wallets.withdrawals.terms import PLATFORM

log = structlog.get_logger(__name__)

# Longer than any command waits: whoever wrote the row has its answer, or will never get one.
UNTOUCHED_MS = 15_000
# Rows of each kind that one run looks at; the rest waits for the next.
ROWS_MAX = 200


@dataclass(slots=True)
class Swept:
    """What one run found and finished."""

    completed: int = 0
    forgotten: int = 0
    settled: int = 0
    left: int = 0


def withdrawals_finish() -> Swept:
    """Finish what was cut off; safe to run twice, and beside those who do it themselves."""
    swept = Swept()
    before_ms = now_ms() - UNTOUCHED_MS
    # Neither sent nor given back nor even begun: nothing of it is settled.
    rows = Withdrawal.objects.filter(settled_ms=0, changed_ms__lt=before_ms).order_by("id")
    for row in rows.filter(state=WithdrawalState.OPENING)[:ROWS_MAX]:
        _finish_opening(row, swept)
    for row in rows.filter(state__in=ENDED)[:ROWS_MAX]:
        if settle(row):
            swept.settled += 1
        else:
            swept.left += 1
    return swept


def _finish_opening(row: Withdrawal, swept: Swept) -> None:
    try:
        held = money.was_held(row)
    except (ApiError, ExchangeError) as error:
        log.warning("withdrawal_left_opening", withdrawal_id=row.pk, code=error.code)
        swept.left += 1
        return
    if not held:
        # From now on it cannot be held: the row was all there was of it.
        Withdrawal.objects.filter(id=row.pk, state=WithdrawalState.OPENING).delete()
        swept.forgotten += 1
        return
    with atomic():
        if state_move(row, WithdrawalState.REQUESTED, actor=PLATFORM):
            swept.completed += 1
