"""
What beat starts, and when.

Every entry expires before its next turn: after a pause one run is enough, not the backlog. Those
due each second keep for three: the hour at which one ends is the sender's, and a worker on a
host whose clock goes a second ahead would find each of them ended already.
"""

from typing import Any

EXPIRES_MIN_S = 3.0


def every(task: str, *, seconds: float, expires_s: float | None = None) -> dict[str, Any]:
    """Return one entry; a run that no worker took within ``expires_s`` is dropped."""
    return {
        "task": task,
        "schedule": seconds,
        "options": {
            "expires": max(EXPIRES_MIN_S, seconds if expires_s is None else expires_s),
            # Of all runs of one period, by whatever beat, one works (see ``jobs``).
            "headers": {"period_ms": round(seconds * 1_000)},
        },
    }


BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "accounts.purge_sessions": every("accounts.purge_sessions", seconds=3_600),
    "accounts.expire_requests": every("accounts.expire_requests", seconds=60),
    # Twice a minute, of which one run works: beat's drift skips no minute.
    "adminpanel.sample": every("adminpanel.sample", seconds=30),
    "adminpanel.prune-samples": every("adminpanel.prune_samples", seconds=3_600),
    "adminpanel.tend-exports": every("adminpanel.tend_exports", seconds=15),
    "orders.prune": every("orders.prune", seconds=3_600),
    "wallets.finish-withdrawals": every("wallets.finish_withdrawals", seconds=10),
    "positions.trial-balance": every("positions.trial_balance", seconds=60),
    "positions.verify-ledger": every("positions.verify_ledger", seconds=3_600),
    "accounts.verify-audit-log": every("accounts.verify_audit_log", seconds=3_600),
    # Feeds prices only while no run_feed process holds the source.
    "prices-ingest": every("markets.tasks.prices_ingest", seconds=1.0),
    "riskengine.prune-margin-calls": every("riskengine.prune_margin_calls", seconds=3_600),
    "risk-sweep": every("riskengine.sweep", seconds=1.0),
    "candles-update": every("markets.tasks.candles_update", seconds=2.0),
}
