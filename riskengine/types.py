"""What other layers receive from the risk engine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MarginCallInfo:
    """A warning that a scope came near liquidation; market 0 is all that is cross."""

    call_id: int
    market_id: int
    level_e8: int
    ratio_e8: int
    time_ms: int
