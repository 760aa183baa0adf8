"""What other layers receive from the positions app."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.core.enums import MarginMode, PositionSide, TriggerType
from exchange.core.state import Position


@dataclass(frozen=True, slots=True)
class PositionExit:
    """Take-profit or stop-loss of a whole position, an order that waits for its price."""

    order_id: int
    trigger_atoms: int
    trigger_type: TriggerType


@dataclass(frozen=True, slots=True)
class PositionView:
    """
    An open position with everything that follows from its mark price; money in quote atoms.

    ``balance_atoms`` and ``backed_atoms`` are what backs it and the maintenance margin of all
    that this backs: of its own wallet, or of everything cross. Prices of 0 are none.
    """

    slot: Position
    mark_atoms: int
    notional_atoms: int
    profit_atoms: int
    initial_atoms: int
    maintenance_atoms: int
    balance_atoms: int
    backed_atoms: int
    liquidation_atoms: int
    bankruptcy_atoms: int
    removable_atoms: int
    light: int | None
    take_profit: PositionExit | None
    stop_loss: PositionExit | None


@dataclass(frozen=True, slots=True)
class MarketSetting:
    """Leverage and margin mode of an account in a market; they survive a flat position."""

    market_id: int
    leverage: int
    mode: MarginMode
    leverage_max: int


@dataclass(frozen=True, slots=True)
class FundingSum:
    """
    What funding one slot received in all, in quote atoms (negative: paid).

    ``closed_atoms`` is that of its ``closed_count`` latest closed positions; ``is_whole`` says
    whether these are all.
    """

    market_id: int
    side: PositionSide
    open_atoms: int
    closed_atoms: int
    closed_count: int
    is_whole: bool
