"""What live views of perpetual markets begin with: committed prices and the last liquidations."""

from __future__ import annotations

from exchange.core.enums import Side, TradeKind
from exchange.core.events import FundingSettled, LiquidationStepped, PricesChanged
from riskengine.models import Contract, Funding, Liquidation, Price
from riskengine.projection import LIQUIDATIONS, PRICES, prices_from_row

# Steps looked through for a market's recent liquidations.
RECENT_ROWS_MAX = 1_000


def has_contract(market_id: int) -> bool:
    """Tell whether a market has the terms of a perpetual."""
    return Contract.objects.filter(id=market_id).exists()


def prices_all() -> list[PricesChanged]:
    """Return the last committed prices of all perpetual markets."""
    rows = Price.objects.order_by("id").values_list(*PRICES.columns)
    return [prices_from_row(row) for row in rows]


def liquidations_recent() -> list[LiquidationStepped]:
    """Return the last steps of the ladder, oldest first."""
    rows = Liquidation.objects.order_by("-id").values_list(*LIQUIDATIONS.columns)
    kind, side = LIQUIDATIONS.columns.index("kind"), LIQUIDATIONS.columns.index("side")
    found = []
    for row in rows[:RECENT_ROWS_MAX]:
        values = list(row)
        values[kind], values[side] = TradeKind(row[kind]), Side(row[side])
        found.append(LiquidationStepped(*values))
    return found[::-1]


def fundings_page(
    market_id: int, *, limit: int, below_id: int | None = None
) -> list[FundingSettled]:
    """Return at most ``limit`` times' funding of a market with lower keys, newest first."""
    rows = Funding.objects.filter(market_id=market_id).order_by("-id")
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    found = rows.values_list(*FundingSettled.__struct_fields__)[:limit]
    return [FundingSettled(*row) for row in found]
