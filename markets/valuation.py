"""What an amount is worth, for limits on what people may do; never for money itself."""

from __future__ import annotations

from exchange.core.units import ATOMS, ceil_div
from exchange.wire import now_ms
from markets.models import IndexPrice
from markets.selectors import asset_by_id, markets_all

VALUED_IN = "USDT"
# An index older than that says nothing about what something is worth now.
PRICE_AGE_MAX_MS = 300_000


def value_in_usdt(asset_id: int, amount_atoms: int) -> int | None:
    """
    Return what an amount is worth at the index price, in atoms of USDT, rounded up.

    None if nobody knows: without a market against USDT, or without a fresh price.

    Raises:
        AssetNotFound: if there is no such asset.
    """
    if asset_by_id(asset_id).code == VALUED_IN:
        return amount_atoms
    ids = [
        market.market_id
        for market in markets_all()
        if market.base_asset_id == asset_id and market.quote == VALUED_IN
    ]
    fresh = IndexPrice.objects.filter(id__in=ids, time_ms__gt=now_ms() - PRICE_AGE_MAX_MS)
    price = fresh.order_by("-price_atoms").values_list("price_atoms", flat=True).first()
    return None if price is None else ceil_div(amount_atoms * price, ATOMS)
