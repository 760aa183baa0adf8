"""Market data as the JSON that leaves the platform."""

from typing import Any

from exchange.core.contract import FUNDING_CAP_SHARE_E8
from exchange.core.events import ContractConfigured
from exchange.core.safety import MarketSafety
from exchange.core.units import RATE_ONE, format_atoms
from markets.candles import Bar
from markets.types import AssetInfo, MarketInfo


def market_json(market: MarketInfo, contract: ContractConfigured | None = None) -> dict[str, Any]:
    """Return a market, its rules and terms; bounds that are not enforced are null."""
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
        "contract": None if contract is None else contract_json(contract),
    }


def contract_json(contract: ContractConfigured) -> dict[str, Any]:
    """Return the terms of a perpetual market; amounts are in the quote currency."""
    own_cap, first_rate = contract.funding_cap_e8, contract.brackets[0][1]
    cap = own_cap or first_rate * FUNDING_CAP_SHARE_E8 // RATE_ONE
    return {
        "funding_interval_ms": contract.funding_interval_ms,
        "interest_rate": format_atoms(contract.interest_rate_e8, 0),
        "funding_cap": format_atoms(cap, 0),
        "impact_notional": format_atoms(contract.impact_notional_atoms, 0),
        "liquidation_fee": format_atoms(contract.liquidation_fee_e8, 0),
        "max_leverage": contract.brackets[0][3],
        "default_leverage": contract.leverage_default,
        "max_position_value": _bound(contract.position_notional_max_atoms, 0),
        "max_open_interest_value": _bound(contract.open_interest_max_atoms, 0),
        "insurance_group": str(contract.insurance_group),
        "settlement_price": _bound(contract.settled_price_atoms, 0),
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
