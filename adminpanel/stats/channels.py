"""What the channels ``alerts`` and ``liquidations`` of ``/ws/admin`` say."""

from __future__ import annotations

from typing import Any

from adminpanel.stats.board import board_now
from adminpanel.stats.changes import liquidations_data

# A crash liquidates many in a second; the channel is a whole state each second.
LIQUIDATIONS_MAX = 100


def alerts_channel() -> dict[str, Any]:
    """Return all alerts, critical ones first; the channel's permission includes all of theirs."""
    board = board_now()
    return {"phase": board.phase, "alerts": [alert.body() for alert in board.alerts]}


def liquidations_channel() -> dict[str, Any]:
    """Return the last steps of the liquidation ladder, newest first, and whom they concerned."""
    return {"liquidations": liquidations_data(LIQUIDATIONS_MAX)}
