"""Who is nearest to liquidation, the highest margin ratio first."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from accounts.permissions import Permission
from adminpanel.section_pages import Banner, Section, age_text, section_page
from adminpanel.sections.cash import account_cell
from adminpanel.stats.exposure import near_data
from common import redis as redis_clients
from common.tables import Cell, Column, Kind, Table, Tone
from exchange.core.units import RATE_ONE
from positions.tables import ratio_cell
from riskengine.nearest import nearest_from, nearest_key

_COLUMNS = (
    Column("account", "Account", Kind.NUMBER),
    Column("username", "User"),
    Column("symbol", "Market"),
    Column("side", "Side"),
    Column("margin_mode", "Margin"),
    Column("positions", "Positions", Kind.FIGURE),
    Column("margin_ratio", "Margin ratio", Kind.BAR),
    Column("distance", "Distance", Kind.FIGURE),
    Column("mark_price", "Mark", Kind.FIGURE),
    Column("liquidation_price", "Liquidation", Kind.FIGURE),
    Column("value", "Value", Kind.FIGURE),
    Column("profit", "Unrealised", Kind.FIGURE),
)


@section_page("Near liquidation", Permission.EXPOSURE_VIEW)
def near_page(_request: HttpRequest) -> Section:
    """Show whom the sweep found nearest, each as it stands at the last committed mark."""
    raw: Any = redis_clients.client().get(nearest_key())
    nearest = nearest_from(raw)
    if nearest is None:
        return Section([], [Banner("No sweep ran lately: the worker is not running.", Tone.BAD)])
    age = age_text(time.time_ns() // 1_000_000 - nearest.time_ms)
    note = (
        f"Found by the sweep {age} ago. Of what is cross the position is shown that its mark would"
        " end first."
    )
    rows = [_row(shown) for shown in near_data(nearest)]
    return Section([Table(_COLUMNS, rows, note=note, empty="Nobody has an open position.")])


def _row(shown: dict[str, Any]) -> dict[str, Any]:
    distance = shown["distance"]
    return {
        **shown,
        "account": account_cell(int(shown["account_id"])),
        "margin_ratio": _ratio(shown["margin_ratio"]),
        "distance": None if distance is None else f"{Decimal(distance) * 100:.2f} %",
    }


def _ratio(text: str | None) -> Cell:
    """Return a ratio that is told as a fraction, None when nothing is left, as a bar."""
    if text is None:
        return ratio_cell(0, 0)
    return ratio_cell(int(Decimal(text) * RATE_ONE), RATE_ONE)
