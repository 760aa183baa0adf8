"""From request bodies to commands on positions: shape only, the exchange decides the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from common.errors import FieldError, invalid_fields
from common.pagination import PageQuery
from common.query import QuerySerializer
from exchange.core.commands import AdjustMargin, ClosePosition, SetPositionExits
from exchange.core.enums import MarginMode, TriggerType
from exchange.core.units import RATE_ONE
from markets.types import MarketInfo
from orders.fields import (
    RequestField,
    boolean_field,
    choice_field,
    client_id_field,
    decimal_field,
    read_body,
    table_of,
    whole_field,
)
from orders.requests import hash_of

# Beside the numbers of an order, so that a close never passes for an order of the same values.
_CLOSE_TAG = -1

CLOSE_FIELDS = table_of(
    decimal_field(
        "quantity",
        description="How much to close; default all.",
        example="0.01",
        decimals=lambda market: market.base_decimals,
    ),
    decimal_field("price", description="Limit; default at the market.", example="60000"),
    boolean_field(
        "reverse", description="Open as much of the other side; at the market, without quantity."
    ),
    decimal_field(
        "slippage",
        description="At the market: worst price against the best one, as a fraction below 1.",
        example="0.005",
        below_atoms=RATE_ONE,
    ),
    client_id_field(
        "client_order_id",
        description="Unique per account for ever; repeating it with the same request is safe.",
    ),
)
MARGIN_FIELDS = table_of(
    decimal_field(
        "add",
        description="Amount from the margin wallet into the position's.",
        example="100",
        decimals=lambda market: market.quote_decimals,
    ),
    decimal_field(
        "remove",
        description="Amount back into the margin wallet; instead of add.",
        example="100",
        decimals=lambda market: market.quote_decimals,
    ),
)


def _read_trigger(value: object, name: str, market: MarketInfo | None) -> int:
    return 0 if value is None else int(_TRIGGER.read(value, name, market))


_TRIGGER = decimal_field("trigger", description="", example="61000")


def _exit_field(name: str, description: str) -> RequestField:
    schema = {**_TRIGGER.schema, "type": ["string", "null"], "description": description}
    return RequestField(name, _read_trigger, schema, required=True)


EXIT_FIELDS = table_of(
    _exit_field("take_profit", "Price at which all of it is closed with a profit; null: none."),
    _exit_field("stop_loss", "Price at which all of it is closed against it; null: none."),
    choice_field(
        "trigger_by",
        (TriggerType.LAST, TriggerType.MARK, TriggerType.INDEX),
        description="Which price fires them, default mark.",
    ),
)
SETTING_FIELDS = table_of(
    whole_field("leverage", description="1 to the market's highest.", example=20),
    choice_field("margin_mode", MarginMode, description="What backs positions of the market."),
)


class SymbolQuery(QuerySerializer):
    """Parameters of the list of positions and of close-all."""

    symbol = serializers.CharField(
        required=False, max_length=64, help_text="Only this market, e.g. BTC-USDT-PERP."
    )


class HistoryQuery(PageQuery):
    """Parameters of histories."""

    symbol = serializers.CharField(
        required=False, max_length=64, help_text="Only this market, e.g. BTC-USDT-PERP."
    )


def parse_close(body: Mapping[str, Any], *, account_id: int, market: MarketInfo) -> ClosePosition:
    """
    Return the command that closing means.

    Raises:
        ApiError: ``UNKNOWN_FIELD`` or ``VALIDATION_ERROR`` (400) for its shape.
    """
    values = read_body(CLOSE_FIELDS, body, market)
    reverse = values.get("reverse", False)
    conflicts: list[str] = [name for name in ("quantity", "price") if reverse and name in values]
    if "price" in values and "slippage" in values:
        conflicts.append("slippage")
    if conflicts:
        raise invalid_fields(dict.fromkeys(conflicts, "CONFLICT"))
    quantity, price = values.get("quantity", 0), values.get("price", 0)
    slippage, client_order_id = values.get("slippage", 0), values.get("client_order_id", "")
    request_hash = 0
    if client_order_id:
        request_hash = hash_of(
            (_CLOSE_TAG, market.market_id, quantity, price, int(reverse), slippage)
        )
    return ClosePosition(
        account_id=account_id,
        market_id=market.market_id,
        quantity_atoms=quantity,
        price_atoms=price,
        reverse=reverse,
        slippage_rate_e8=slippage,
        client_order_id=client_order_id,
        request_hash=request_hash,
    )


def parse_margin(body: Mapping[str, Any], *, account_id: int, market: MarketInfo) -> AdjustMargin:
    """
    Return the command that adding or removing margin means; exactly one of the two is needed.

    Raises:
        ApiError: ``UNKNOWN_FIELD`` or ``VALIDATION_ERROR`` (400) for its shape.
    """
    values = read_body(MARGIN_FIELDS, body, market)
    if len(values) != 1:
        raise FieldError(field="add", code="CONFLICT" if values else "REQUIRED")
    amount = values["add"] if "add" in values else -values["remove"]
    return AdjustMargin(account_id=account_id, market_id=market.market_id, amount_atoms=amount)


def parse_exits(
    body: Mapping[str, Any], *, account_id: int, market: MarketInfo
) -> SetPositionExits:
    """
    Return the command that sets take-profit and stop-loss.

    Raises:
        ApiError: ``UNKNOWN_FIELD`` or ``VALIDATION_ERROR`` (400) for its shape.
    """
    values = read_body(EXIT_FIELDS, body, market)
    return SetPositionExits(
        account_id=account_id,
        market_id=market.market_id,
        take_profit_atoms=values["take_profit"],
        stop_loss_atoms=values["stop_loss"],
        trigger_type=values.get("trigger_by", TriggerType.MARK),
    )


def parse_setting(body: Mapping[str, Any]) -> tuple[int, MarginMode | None]:
    """
    Return leverage (0: as it is) and margin mode (None: as it is); one of them is needed.

    Raises:
        ApiError: ``UNKNOWN_FIELD`` or ``VALIDATION_ERROR`` (400) for its shape.
    """
    values = read_body(SETTING_FIELDS, body, None)
    if not values:
        raise invalid_fields(dict.fromkeys(SETTING_FIELDS, "REQUIRED"))
    if values.get("leverage") == 0:
        raise FieldError(field="leverage", code="OUT_OF_RANGE")
    return values.get("leverage", 0), values.get("margin_mode")
