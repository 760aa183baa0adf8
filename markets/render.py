"""Market data as the JSON that leaves the platform."""

from typing import Any

from exchange.core.safety import MarketSafety
from exchange.core.units import format_atoms
from markets.candles import Bar
from markets.types import AssetInfo, MarketInfo


def market_json(market: MarketInfo) -> dict[str, Any]:
    """Return a market and its rules; bounds that are not enforced are null."""
    return {
        "id": str(market.market_id),
        "symbol": market.symbol,
        "kind": market.kind.name.lower(),
        "base": market.base,
        "quote": market.quote,
        "status": market.status.name.lower(),
        "status_reason": market.status_cause.name.lower() if market.status_cause else None,
        "status_until": market.status_until_ms or None,
        "tick_size": market.price_text(market.tick_atoms),
        "lot_size": market.quantity_text(market.lot_atoms),
        "price_decimals": market.price_decimals,
        "quantity_decimals": market.quantity_decimals,
        "min_quantity": market.quantity_text(market.quantity_min_atoms),
        "max_quantity": _bound(market.quantity_max_atoms, market.quantity_decimals),
        "min_price": _bound(market.price_min_atoms, market.price_decimals),
        "max_price": _bound(market.price_max_atoms, market.price_decimals),
        "min_notional": _bound(market.notional_min_atoms, 0),
        "price_band": _bound(market.price_band_e8, 0),
        "market_band": _bound(market.market_band_e8, 0),
        "circuit_breaker": _breaker_json(market.safety) if market.safety.breaker_band_e8 else None,
        "trigger_protect": _bound(market.safety.trigger_protect_e8, 0),
    }


def _breaker_json(safety: MarketSafety) -> dict[str, Any]:
    return {
        "band": format_atoms(safety.breaker_band_e8, 0),
        "window_ms": safety.breaker_window_ms,
        "halt_ms": safety.halt_ms,
        "cancel_only_ms": safety.cancel_only_ms,
        "post_only_ms": safety.post_only_ms,
    }


def asset_json(asset: AssetInfo) -> dict[str, Any]:
    """Return an asset."""
    return {"code": asset.code, "name": asset.name, "decimals": asset.decimals}


def kline_json(bar: Bar, market: MarketInfo, *, length_ms: int, now_ms: int) -> dict[str, Any]:
    """Return one candle; it is closed once its time is over."""
    close_ms = bar.open_ms + length_ms
    return {
        "open_time": bar.open_ms,
        "close_time": close_ms,
        "open": market.price_text(bar.open_atoms),
        "high": market.price_text(bar.high_atoms),
        "low": market.price_text(bar.low_atoms),
        "close": market.price_text(bar.close_atoms),
        "volume": market.quantity_text(bar.volume_atoms),
        "quote_volume": format_atoms(bar.quote_atoms),
        "trade_count": bar.trade_count,
        "closed": close_ms <= now_ms,
        "recorded": bar.recorded,
    }


def _bound(atoms: int, decimals: int) -> str | None:
    return format_atoms(atoms, decimals) if atoms else None
