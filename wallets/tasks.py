"""Periodic work of the wallets app."""

from dataclasses import asdict
from typing import Any

import structlog
from celery import shared_task

from wallets.withdrawals.sweep import withdrawals_finish

log = structlog.get_logger(__name__)


@shared_task(name="wallets.finish_withdrawals")
def finish_withdrawals(**_options: Any) -> None:
    """Finish withdrawals that were cut off between a row and the exchange; safe to run twice."""
    swept = asdict(withdrawals_finish())
    if any(swept.values()):
        log.info("withdrawals_finished", **swept)
