"""Open orders of an account as the core knows them, for what computes with the core's rules."""

from __future__ import annotations

from exchange.core.state import Order
from orders.models import Order as OrderRow
from orders.models import OrderTerms as TermsRow
from orders.projection import ORDERS, TERMS, order_from_row, terms_from_row

# Own orders whose terms one query fetches; databases limit the parameters of a statement.
TERMS_CHUNK = 500


def own_orders(account_id: int, market_ids: list[int]) -> list[Order]:
    """Return the account's open orders of some markets, whole, by number."""
    rows = OrderRow.objects.filter(is_open=1, account_id=account_id, market_id__in=market_ids)
    own = {row[0]: order_from_row(row) for row in rows.values_list(*ORDERS.columns)}
    ids = sorted(own)
    for start in range(0, len(ids), TERMS_CHUNK):
        chunk = ids[start : start + TERMS_CHUNK]
        for row in TermsRow.objects.filter(id__in=chunk).values_list(*TERMS.columns):
            own[row[0]].terms = terms_from_row(row)
    return [own[order_id] for order_id in ids]
