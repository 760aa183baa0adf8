"""Periodic proofs that the money adds up."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import structlog
from celery import shared_task
from prometheus_client import Gauge

from common import redis as redis_clients
from common.db import read_snapshot
from positions.trial_balance import keep_check, keep_trial, ledger_check, trial_balance
from wallets.withdrawals.reconciling import pending_problems
from wallets.withdrawals.terms import assets_halt

log = structlog.get_logger(__name__)

# The whole ledger of millions of entries takes its minutes.
CHECK_LIMIT_S = 1_800
# A million balances are read in some seconds, beside everything else.
COUNT_LIMIT_S = 300

DRIFT = Gauge(
    "ledger_drift_atoms", "Sum of all balances of an asset, which must be 0.", ["asset_id"]
)


@shared_task(name="positions.trial_balance", time_limit=COUNT_LIMIT_S)
def trial_balance_count(**_options: Any) -> str:
    """
    Count the trial balance and keep it; an imbalance is an alarm and halts withdrawals.

    Safe to run twice.
    """
    started = time.monotonic()
    trial = trial_balance(time_ms=time.time_ns() // 1_000_000)
    trial = msgspec.structs.replace(trial, duration_ms=_since(started))
    for asset in trial.assets:
        DRIFT.labels(str(asset.asset_id)).set(asset.sum_atoms)
    keep_trial(redis_clients.client(), trial)
    with read_snapshot():
        pending = dict(pending_problems())
    if pending:
        log.critical("pending_withdrawals_are_wrong", problems=pending)
        assets_halt(pending)
    if not trial.is_zero:
        wrong = {asset.asset_id: asset.sum_atoms for asset in trial.assets if asset.sum_atoms}
        log.critical("trial_balance_not_zero", sums=wrong)
        assets_halt({key: f"all balances sum to {atoms} atoms" for key, atoms in wrong.items()})
        return "not zero"
    return f"zero over {trial.balances} balances"


@shared_task(name="positions.verify_ledger", time_limit=CHECK_LIMIT_S)
def ledger_verify(**_options: Any) -> str:
    """
    Check the whole ledger and keep the result; a difference is an alarm and halts withdrawals.

    Safe to run twice.
    """
    started = time.monotonic()
    check = ledger_check(time_ms=time.time_ns() // 1_000_000)
    check = msgspec.structs.replace(check, duration_ms=_since(started))
    keep_check(redis_clients.client(), check)
    if check.problems:
        log.critical("ledger_is_wrong", problems=check.problems)
        assets_halt({key: problems[0] for key, problems in check.problems.items() if problems})
        return "differences"
    return f"ok, {check.entries} postings"


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1_000)
