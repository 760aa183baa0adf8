"""
Terms and prices of perpetual markets, for every app that shows or checks margin.

Their rows belong to the risk engine, which is above those that need them, so that settings
name who reads them.
"""

from collections.abc import Collection

from django.conf import settings
from django.utils.module_loading import import_string

from exchange.core.events import ContractConfigured, PricesChanged


def contracts_by_id(market_ids: Collection[int] | None = None) -> dict[int, ContractConfigured]:
    """Return the terms of perpetual markets by market, of all or of these."""
    found: dict[int, ContractConfigured] = import_string(settings.CONTRACTS_BY_ID)(market_ids)
    return found


def prices_by_id(market_ids: Collection[int] | None = None) -> dict[int, PricesChanged]:
    """Return the last committed prices of perpetual markets by market, of all or of these."""
    found: dict[int, PricesChanged] = import_string(settings.PRICES_BY_ID)(market_ids)
    return found
