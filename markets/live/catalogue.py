"""Symbols for the event loop: every spelling to its market, without a query per message."""

from __future__ import annotations

import asyncio
import logging
from weakref import WeakKeyDictionary

from django.db import DatabaseError

from common.errors import ApiError
from common.ws.hub import Hub
from exchange.core.enums import MarketKind
from markets import selectors

log = logging.getLogger(__name__)

# A symbol that is not known is looked for again, but not more often than this.
REFRESH_S = 1.0
# Metadata older than this is waited for; before, an older copy is used while it is renewed.
METADATA_AGE_MAX_MS = 5_000

_known: WeakKeyDictionary[Hub, SymbolCatalogue] = WeakKeyDictionary()


class SymbolCatalogue:
    """All spellings of all symbols; read again when an unknown one is asked for."""

    def __init__(self, hub: Hub) -> None:
        """Use the hub's database threads."""
        self._hub = hub
        self._ids: dict[str, int] = {}
        self._perpetuals: frozenset[int] = frozenset()
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """
        See to it that ``markets.selectors`` answers on this loop with recent metadata.

        Waits only when there is none or it is old; a young copy is renewed meanwhile.

        Raises:
            ApiError: 503 ``SERVICE_UNAVAILABLE`` if nothing could ever be read.
        """
        age_ms = selectors.cache_age_ms()
        if age_ms < selectors.CACHE_MS:
            return
        if self._renewing is None or self._renewing.done():
            self._renewing = self._hub.spawn(self._renew())
        if age_ms >= METADATA_AGE_MAX_MS:
            await asyncio.shield(self._renewing)
            if selectors.cache_age_ms() == float("inf"):
                raise ApiError("SERVICE_UNAVAILABLE", "The database is not available.", 503)

    async def _renew(self) -> None:
        try:
            await self._hub.database(selectors.cache_renew)
        except DatabaseError as error:
            log.warning("metadata_not_renewed", extra={"error": str(error)})

    async def market_id(self, symbol: str) -> int:
        """
        Return the id of a market.

        Raises:
            LookupError: if there is none.
        """
        found = self._ids.get(symbol)
        if found is None:
            # Who asks while the list is being read waits for it.
            async with self._lock:
                if symbol not in self._ids and self._hub.time() - self._read_at >= REFRESH_S:
                    self._ids, self._perpetuals = await self._hub.database(_read)
                    self._read_at = self._hub.time()
                found = self._ids.get(symbol)
        if found is None:
            raise LookupError(symbol)
        return found

    def is_perpetual(self, market_id: int) -> bool:
        """Tell whether a market whose id was returned is a perpetual."""
        return market_id in self._perpetuals


def catalogue(hub: Hub) -> SymbolCatalogue:
    """Return the catalogue that goes with a hub."""
    found = _known.get(hub)
    if found is None:
        found = _known[hub] = SymbolCatalogue(hub)
    return found


def _read() -> tuple[dict[str, int], frozenset[int]]:
    markets = selectors.markets_all()
    ids = {
        name: market.market_id for market in markets for name in selectors.spellings(market.symbol)
    }
    perpetuals = (market for market in markets if market.kind is MarketKind.PERPETUAL)
    return ids, frozenset(market.market_id for market in perpetuals)
