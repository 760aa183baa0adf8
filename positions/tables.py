"""Open positions as rows of the back-office: how near each is to its liquidation."""

from __future__ import annotations

from typing import Any

from common.tables import Cell, Column, Kind, Tone
from exchange.core.units import RATE_ONE, ceil_div, floor_div, format_atoms
from positions.render import render_position
from positions.types import PositionView

POSITION_COLUMNS = (
    Column("id", "Position", Kind.NUMBER),
    Column("symbol", "Market"),
    Column("side", "Side"),
    Column("quantity", "Quantity", Kind.FIGURE),
    Column("mode", "Margin"),
    Column("entry_price", "Entry", Kind.FIGURE),
    Column("mark_price", "Mark", Kind.FIGURE),
    Column("unrealised_profit", "Unrealised", Kind.FIGURE),
    Column("margin_ratio", "Margin ratio", Kind.BAR),
    Column("liquidation_price", "Liquidation", Kind.FIGURE),
    Column("distance", "Distance", Kind.FIGURE),
    Column("opened_at", "Opened (UTC)", Kind.TIME),
)
# Margin ratios in per cent from which a bar warns; margin calls are sent at these.
WARNING_PERCENT = 80
DANGER_PERCENT = 90


def position_row(view: PositionView) -> dict[str, Any]:
    """Return the values of a position under the keys of ``POSITION_COLUMNS``."""
    shown = render_position(view)
    return {
        **shown,
        "mode": f"{shown['margin_mode']} {shown['leverage']}x",
        "margin_ratio": ratio_cell(view.backed_atoms, view.balance_atoms),
        "liquidation_price": shown["liquidation_price"] or "none",
        "distance": distance_text(view.mark_atoms, view.liquidation_atoms),
    }


def ratio_cell(part_atoms: int, whole_atoms: int) -> Cell:
    """Return a margin ratio as a bar, rounded up; full once nothing of the whole is left."""
    if whole_atoms <= 0:
        return Cell("nothing left", tone=Tone.BAD, percent=100)
    rate_e8 = ceil_div(part_atoms * RATE_ONE, whole_atoms)
    percent = rate_e8 * 100 // RATE_ONE
    tone = Tone.GOOD
    if percent >= WARNING_PERCENT:
        tone = Tone.BAD if percent >= DANGER_PERCENT else Tone.WARNING
    text = f"{format_atoms(ceil_div(rate_e8 * 100, 10**6) * 10**6, 2)} %"
    return Cell(text, tone=tone, percent=min(percent, 100))


def distance_text(mark_atoms: int, liquidation_atoms: int) -> str:
    """Return how far the mark is from a liquidation price in per cent of the mark, rounded down."""
    if not mark_atoms or not liquidation_atoms:
        return ""
    away_e8 = floor_div(abs(mark_atoms - liquidation_atoms) * 100 * RATE_ONE, mark_atoms)
    return f"{format_atoms(floor_div(away_e8, 10**6) * 10**6, 2)} %"
