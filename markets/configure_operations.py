"""What operators configure: rules of markets, new assets and markets, fees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from accounts.operation_fields import OperationField, decimal, text, whole
from accounts.operation_targets import EXCHANGE
from accounts.operations import Call, Done, Operation, Target
from accounts.operators import operator_submit
from accounts.permissions import Permission
from accounts.selectors import fee_tier_by_number
from common.decimals import format_atoms, format_rate
from common.errors import ApiError, FieldError, invalid_fields, raise_for_code
from common.openapi import DECIMAL, TEXT
from exchange.core.commands import ConfigureAsset, ConfigureFeeTier, ConfigureMarket
from exchange.core.enums import MarketKind, MarketStatus
from exchange.core.rejects import Code
from exchange.core.safety import NO_SAFETY, MarketSafety
from exchange.core.units import ATOMS, DECIMALS_MAX
from markets import selectors
from markets.operations import MARKET
from markets.perpetual_seed import NUMBER_OFFSET
from markets.types import MarketInfo

_CODE = re.compile(r"[A-Z0-9]{2,12}")

# Name outside -> (field of the command, or of its safety; description, example).
_AMOUNTS = {
    "tick_size": ("tick_atoms", "Step of prices; changes only while no order is open.", "0.01"),
    "lot_size": ("lot_atoms", "Step of quantities; changes only while no order is open.", "0.0001"),
    "min_quantity": ("quantity_min_atoms", "0: not enforced.", "0.0001"),
    "max_quantity": ("quantity_max_atoms", "0: not enforced.", "1000"),
    "min_price": ("price_min_atoms", "0: not enforced.", "0.01"),
    "max_price": ("price_max_atoms", "0: not enforced.", "1000000"),
    "min_notional": ("notional_min_atoms", "Least value of an order; 0: not enforced.", "5"),
    "price_band": ("price_band_e8", "Of limit prices around the index; a fraction.", "0.5"),
    "market_band": ("market_band_e8", "Of market orders around the index; a fraction.", "0.05"),
}
_SAFETY_RATES = {
    "breaker_band": ("breaker_band_e8", "Fall or rise that stops the market; 0: none.", "0.1"),
    "trigger_protection": (
        "trigger_protect_e8",
        "How far last and mark price may part for protected triggers; 0: any.",
        "0.05",
    ),
}
_SAFETY_TIMES = {
    "breaker_window_ms": ("breaker_window_ms", "Within which that counts.", 300_000),
    "halt_ms": ("halt_ms", "How long the market is then halted.", 60_000),
    "cancel_only_ms": ("cancel_only_ms", "How long it then takes cancels only.", 5_000),
    "post_only_ms": ("post_only_ms", "How long it then takes post-only orders.", 10_000),
}


def rule_fields(*, required: tuple[str, ...] = ()) -> tuple[OperationField, ...]:
    """Return the fields of a market's rules; those not required stay or take the default."""
    rates = {**_AMOUNTS, **_SAFETY_RATES}
    return (
        *(
            decimal(name, description, required=name in required, example=example)
            for name, (_, description, example) in rates.items()
        ),
        *(
            whole(name, description, required=False, example=example)
            for name, (_, description, example) in _SAFETY_TIMES.items()
        ),
    )


RULE_FIELDS = rule_fields()
LISTING_FIELDS = (
    text("base", "Code of what is traded.", length_max=12, example="SOL"),
    text("quote", "Code of what is paid with.", length_max=12, example="USDT"),
    *rule_fields(required=("tick_size", "lot_size", "min_quantity", "max_quantity")),
)
_ANSWER: dict[str, Any] = {
    "symbol": {**TEXT, "example": "BTC-USDT"},
    "status": {**TEXT, "example": "halted"},
    **dict.fromkeys((*_AMOUNTS, *_SAFETY_RATES), DECIMAL),
    **{name: {"type": "integer"} for name in _SAFETY_TIMES},
}


def check_grid(values: Mapping[str, Any], *, tick_atoms: int = 0, lot_atoms: int = 0) -> None:
    """
    Do nothing if price x quantity is exact for every order that tick and lot let through.

    Raises:
        ApiError: 422 ``TICK_LOT_RULE`` that says which lot would do.
    """
    tick = values.get("tick_size", tick_atoms)
    lot = values.get("lot_size", lot_atoms)
    if not tick or not lot:
        raise FieldError(field="tick_size" if not tick else "lot_size", code="OUT_OF_RANGE")
    if tick * lot % ATOMS == 0:
        return
    smallest = next(
        step
        for step in (10**power for power in range(DECIMALS_MAX + 1))
        if tick * step % ATOMS == 0
    )
    raise ApiError(
        "TICK_LOT_RULE",
        "tick_size x lot_size must be a whole number of 10^-8, or trades would have to round:"
        f" with a tick of {format_atoms(tick)} the lot must be a multiple of"
        f" {format_atoms(smallest)}.",
        422,
    )


def market_rules(market: MarketInfo) -> dict[str, Any]:
    """Return a market's rules as operators set them."""
    return {
        **{name: format_atoms(getattr(market, inner)) for name, (inner, *_) in _AMOUNTS.items()},
        **{
            name: format_rate(getattr(market.safety, inner))
            for name, (inner, *_) in _SAFETY_RATES.items()
        },
        **{name: getattr(market.safety, inner) for name, (inner, *_) in _SAFETY_TIMES.items()},
    }


def _safety(values: Mapping[str, Any], current: MarketSafety) -> MarketSafety:
    named = {**_SAFETY_RATES, **_SAFETY_TIMES}
    return MarketSafety(
        **{inner: values.get(name, getattr(current, inner)) for name, (inner, *_) in named.items()}
    )


def _render(symbol: str) -> dict[str, Any]:
    selectors.cache_clear()
    market = selectors.market_by_symbol(symbol)
    return {"symbol": symbol, "status": market.status.name.lower(), **market_rules(market)}


def _shape(values: Mapping[str, Any]) -> None:
    if not values:
        raise invalid_fields({field.name: "REQUIRED" for field in RULE_FIELDS})


def _check_rules(call: Call) -> None:
    market: MarketInfo = call.target.subject
    check_grid(call.values, tick_atoms=market.tick_atoms, lot_atoms=market.lot_atoms)


def _configure(call: Call) -> Done:
    market: MarketInfo = call.target.subject
    amounts = {
        inner: call.values.get(name, getattr(market, inner))
        for name, (inner, *_) in _AMOUNTS.items()
    }
    operator_submit(
        ConfigureMarket(
            market_id=market.market_id,
            symbol=market.symbol,
            kind=market.kind,
            base_asset_id=market.base_asset_id,
            quote_asset_id=market.quote_asset_id,
            status=market.status,
            safety=_safety(call.values, market.safety),
            # It may be halted in this very moment.
            keeps_status=True,
            **amounts,
        )
    )
    return Done(answer=_render(market.symbol), before=market_rules(market))


def list_market(values: Mapping[str, Any], *, kind: MarketKind) -> str:
    """
    Make a market, halted, and return its symbol.

    Raises:
        ApiError: ``ASSET_NOT_FOUND`` (404), ``MARKET_EXISTS`` (409), ``TICK_LOT_RULE`` (422), or
            the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    base, quote = _asset_id(values["base"]), _asset_id(values["quote"])
    perpetual = kind is MarketKind.PERPETUAL
    symbol = f"{values['base']}-{values['quote']}" + ("-PERP" if perpetual else "")
    selectors.cache_clear()
    markets = selectors.markets_all()
    if any(market.symbol == symbol for market in markets):
        raise ApiError("MARKET_EXISTS", f"{symbol} is listed already.", 409)
    check_grid(values)
    amounts = {inner: values.get(name, 0) for name, (inner, *_) in _AMOUNTS.items()}
    operator_submit(
        ConfigureMarket(
            market_id=_free_number({market.market_id for market in markets}, perpetual=perpetual),
            symbol=symbol,
            kind=kind,
            base_asset_id=base,
            quote_asset_id=quote,
            status=MarketStatus.HALTED,
            safety=_safety(values, NO_SAFETY),
            **amounts,
        )
    )
    return symbol


def _free_number(taken: set[int], *, perpetual: bool) -> int:
    """Return a market's number; of two that take it at once the exchange refuses one."""
    own = [number for number in taken if (number > NUMBER_OFFSET) is perpetual]
    return max(own, default=NUMBER_OFFSET if perpetual else 0) + 1


def _asset_id(code: str) -> int:
    try:
        return selectors.asset_by_code(code).asset_id
    except selectors.AssetNotFound:
        raise_for_code(Code.ASSET_NOT_FOUND)


def _list_spot(call: Call) -> Done:
    return Done(answer=_render(list_market(call.values, kind=MarketKind.SPOT)))


def _list_asset(call: Call) -> Done:
    code, decimals = call.values["code"], call.values["decimals"]
    selectors.cache_clear()
    assets = selectors.assets_all()
    if any(asset.code == code for asset in assets):
        raise ApiError("ASSET_EXISTS", f"{code} is listed already.", 409)
    operator_submit(
        ConfigureAsset(
            asset_id=max((asset.asset_id for asset in assets), default=0) + 1,
            code=code,
            name=call.values["name"],
            decimals=decimals,
        )
    )
    selectors.cache_clear()
    return Done(answer={"code": code, "name": call.values["name"], "decimals": decimals})


def _asset_shape(values: Mapping[str, Any]) -> None:
    errors = {}
    if not _CODE.fullmatch(values["code"]):
        errors["code"] = "INVALID"
    if values["decimals"] > DECIMALS_MAX:
        errors["decimals"] = "OUT_OF_RANGE"
    if errors:
        raise invalid_fields(errors)


def _fee_tier(call: Call) -> Done:
    number = call.values["tier"]
    known = fee_tier_by_number(number)
    operator_submit(
        ConfigureFeeTier(
            tier=number,
            maker_rate_e8=call.values["maker_rate"],
            taker_rate_e8=call.values["taker_rate"],
        )
    )
    rates = {name: format_rate(call.values[name]) for name in ("maker_rate", "taker_rate")}
    before = known and {
        "maker_rate": format_rate(known.maker_rate_e8),
        "taker_rate": format_rate(known.taker_rate_e8),
    }
    return Done(answer={"tier": number, **rates}, before=before or None)


def _rules_now(target: Target) -> dict[str, Any]:
    return market_rules(target.subject)


OPERATIONS = (
    Operation(
        name="market-configure",
        title="Change filters and bands",
        description="Steps, least and largest sizes, price bands, circuit breaker. What is left"
        " out stays, the market's status too.",
        target=MARKET,
        permission=Permission.MARKETS_MANAGE,
        perform=_configure,
        answer=_ANSWER,
        fields=RULE_FIELDS,
        refusals={
            404: ("MARKET_NOT_FOUND",),
            422: ("TICK_LOT_RULE", "INVALID_CONFIGURATION", "CONFIGURATION_IN_USE"),
        },
        shape=_shape,
        check=_check_rules,
        initial=_rules_now,
        address="admin/market/<str:symbol>",
    ),
    Operation(
        name="exchange-list-asset",
        title="List an asset",
        description="Make a currency known. Its code never changes, its decimals never fall.",
        target=EXCHANGE,
        permission=Permission.MARKETS_MANAGE,
        perform=_list_asset,
        answer={"code": TEXT, "name": TEXT, "decimals": {"type": "integer"}},
        fields=(
            text("code", "2 to 12 capitals and digits.", length_max=12, example="SOL"),
            text("name", "What it is called.", length_max=64, example="Solana"),
            whole("decimals", "Of amounts, at most 8.", example=8),
        ),
        refusals={409: ("ASSET_EXISTS",), 422: ("INVALID_CONFIGURATION",)},
        shape=_asset_shape,
    ),
    Operation(
        name="exchange-list-market",
        title="List a spot market",
        description="Make a market of two assets. tick_size x lot_size must be a whole number of"
        " 10^-8, so that no trade rounds. It begins halted: open it when all is ready.",
        target=EXCHANGE,
        permission=Permission.MARKETS_MANAGE,
        perform=_list_spot,
        answer=_ANSWER,
        fields=LISTING_FIELDS,
        refusals={
            404: ("ASSET_NOT_FOUND",),
            409: ("MARKET_EXISTS",),
            422: ("TICK_LOT_RULE", "INVALID_CONFIGURATION", "CONFIGURATION_IN_USE"),
        },
    ),
    Operation(
        name="exchange-fee-tier",
        title="Set a fee tier",
        description="Rates as fractions; maker may be negative. Open orders keep theirs.",
        target=EXCHANGE,
        permission=Permission.MARKETS_MANAGE,
        perform=_fee_tier,
        answer={"tier": {"type": "integer"}, "maker_rate": DECIMAL, "taker_rate": DECIMAL},
        fields=(
            whole("tier", "Number of the tier; 0 is everybody's.", example=0),
            decimal("maker_rate", "Of orders that rest.", signed=True, example="0.0002"),
            decimal("taker_rate", "Of orders that take.", example="0.0004"),
        ),
        refusals={422: ("INVALID_CONFIGURATION",)},
    ),
)
