"""Periodic work of the positions app."""

from typing import Any

import structlog
from celery import shared_task
from prometheus_client import Gauge

from common.db import read_snapshot
from positions.ledger_standing import asset_drifts

log = structlog.get_logger(__name__)

# A million balances are read in some seconds, beside everything else.
TIME_LIMIT_S = 300

DRIFT = Gauge(
    "ledger_drift_atoms", "Sum of all balances of an asset, which must be 0.", ["asset_id"]
)


@shared_task(name="positions.check_sums", time_limit=TIME_LIMIT_S)
def check_sums(**_options: Any) -> None:
    """Add up all balances of each asset, isolated ones too, and show what is not zero."""
    with read_snapshot():
        drifts = asset_drifts()
    for asset_id, drift_atoms in drifts.items():
        DRIFT.labels(str(asset_id)).set(drift_atoms)
        if drift_atoms:
            log.critical("ledger_drift", asset_id=asset_id, drift_atoms=drift_atoms)
