"""
Reads of assets and markets.

Metadata changes rarely and every request needs it, so each process keeps the whole of it
for ``CACHE_MS``; an operator's change is visible everywhere within that time. The exchange
itself never relies on this copy: it checks every order against its own state.

An event loop must not wait for the database: there the copy is used whatever its age, and
who works there renews it through a thread (``markets.live.catalogue``). While the database is
away the last copy serves everybody: nothing is committed meanwhile, so nothing changes.
"""

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import cast

from django.db import DatabaseError

from common.db import is_unavailable
from exchange.core.enums import MarketKind, MarketStatus, StatusCause
from exchange.core.safety import MarketSafety
from markets.models import Asset, Market
from markets.types import AssetInfo, MarketInfo, decimals_of_step

CACHE_MS = 1_000
# Who has a copy waits so long for another thread that reads: more than a reading takes, and
# less than one that will fail.
RENEWAL_WAIT_S = 0.1


class MarketNotFound(LookupError):
    """No market has this symbol or id."""


class AssetNotFound(LookupError):
    """No asset has this code or id."""


@dataclass(slots=True)
class _Catalogue:
    """One consistent reading of all assets and markets, indexed by every accepted name."""

    read_at: float
    assets_by_id: dict[int, AssetInfo] = field(default_factory=dict)
    assets_by_code: dict[str, AssetInfo] = field(default_factory=dict)
    markets_by_id: dict[int, MarketInfo] = field(default_factory=dict)
    markets_by_name: dict[str, MarketInfo] = field(default_factory=dict)


_lock = threading.Lock()
_cached: _Catalogue | None = None


def market_by_symbol(symbol: str) -> MarketInfo:
    """
    Return the market named by any accepted spelling of its symbol.

    ``BTC-USDT``, ``BTC/USDT`` and ``BTCUSDT`` are the spot market; ``BTC/USDT:USDT`` is the
    perpetual ``BTC-USDT-PERP``. Spelling is exact, in capitals.

    Raises:
        MarketNotFound: if there is none.
    """
    market = _catalogue().markets_by_name.get(symbol)
    if market is None:
        raise MarketNotFound(symbol[:64])
    return market


def market_by_id(market_id: int) -> MarketInfo:
    """
    Return a market by id.

    Raises:
        MarketNotFound: if there is none.
    """
    market = _catalogue().markets_by_id.get(market_id)
    if market is None:
        raise MarketNotFound(str(market_id))
    return market


def markets_all() -> list[MarketInfo]:
    """Return all markets in the order of their ids."""
    return list(_catalogue().markets_by_id.values())


def asset_by_code(code: str) -> AssetInfo:
    """
    Return an asset by its code, in capitals.

    Raises:
        AssetNotFound: if there is none.
    """
    asset = _catalogue().assets_by_code.get(code)
    if asset is None:
        raise AssetNotFound(code[:64])
    return asset


def asset_by_id(asset_id: int) -> AssetInfo:
    """
    Return an asset by id.

    Raises:
        AssetNotFound: if there is none.
    """
    asset = _catalogue().assets_by_id.get(asset_id)
    if asset is None:
        raise AssetNotFound(str(asset_id))
    return asset


def assets_all() -> list[AssetInfo]:
    """Return all assets in the order of their ids."""
    return list(_catalogue().assets_by_id.values())


def cache_age_ms() -> float:
    """Return how old the copy of the metadata is, infinity without one."""
    found = _cached
    return float("inf") if found is None else (time.monotonic() - found.read_at) * 1_000


def cache_renew() -> None:
    """Read the metadata again if it is too old; from a thread that may use the database."""
    _catalogue()


def cache_clear() -> None:
    """Forget the cached metadata, so that the next read sees the database."""
    global _cached
    with _lock:
        _cached = None


def spellings(symbol: str) -> tuple[str, ...]:
    """Return every accepted spelling of a symbol, the symbol itself first."""
    base, quote, *rest = symbol.split("-")
    if rest == ["PERP"]:
        return symbol, f"{base}/{quote}:{quote}", f"{base}{quote}PERP"
    return symbol, f"{base}/{quote}", f"{base}{quote}"


def _catalogue() -> _Catalogue:
    global _cached
    found = _cached
    if found is not None:
        is_fresh = (time.monotonic() - found.read_at) * 1_000 < CACHE_MS
        if is_fresh or _is_on_event_loop():
            return found
    if not _lock.acquire(timeout=-1 if found is None else RENEWAL_WAIT_S):
        return cast("_Catalogue", found)
    try:
        found = _cached
        if found is None or (time.monotonic() - found.read_at) * 1_000 >= CACHE_MS:
            found = _cached = _read()
    except DatabaseError as error:
        if found is None or not is_unavailable(error):
            raise
    finally:
        _lock.release()
    return found


def _is_on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _read() -> _Catalogue:
    catalogue = _Catalogue(read_at=time.monotonic())
    for row in Asset.objects.order_by("id"):
        asset = AssetInfo(asset_id=row.id, code=row.code, name=row.name, decimals=row.decimals)
        catalogue.assets_by_id[asset.asset_id] = asset
        catalogue.assets_by_code[asset.code] = asset
    for market_row in Market.objects.order_by("id"):
        market = _market_info(market_row, catalogue.assets_by_id)
        catalogue.markets_by_id[market.market_id] = market
        for name in spellings(market.symbol):
            catalogue.markets_by_name[name] = market
    return catalogue


def _market_info(row: Market, assets: dict[int, AssetInfo]) -> MarketInfo:
    base = assets[row.base_asset_id]
    quote = assets[row.quote_asset_id]
    return MarketInfo(
        market_id=row.id,
        symbol=row.symbol,
        kind=MarketKind(row.kind),
        base=base.code,
        quote=quote.code,
        base_asset_id=base.asset_id,
        quote_asset_id=quote.asset_id,
        base_decimals=base.decimals,
        quote_decimals=quote.decimals,
        tick_atoms=row.tick_atoms,
        lot_atoms=row.lot_atoms,
        quantity_min_atoms=row.quantity_min_atoms,
        quantity_max_atoms=row.quantity_max_atoms,
        price_min_atoms=row.price_min_atoms,
        price_max_atoms=row.price_max_atoms,
        notional_min_atoms=row.notional_min_atoms,
        price_band_e8=row.price_band_e8,
        market_band_e8=row.market_band_e8,
        price_decimals=decimals_of_step(row.tick_atoms),
        quantity_decimals=decimals_of_step(row.lot_atoms),
        status=MarketStatus(row.status),
        safety=MarketSafety(*(getattr(row, name) for name in MarketSafety.__struct_fields__)),
        status_cause=StatusCause(row.status_cause),
        status_until_ms=row.status_until_ms,
    )
