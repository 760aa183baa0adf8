"""From request bodies to commands that change or end an open order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import FieldError, invalid_fields
from common.ids import parse_id
from exchange.core.commands import AmendOrder, CancelOrder
from markets.types import MarketInfo
from orders.fields import (
    RequestField,
    client_id_field,
    decimal_field,
    read_body,
    table_of,
)


def _read_order_id(value: object, name: str, _market: MarketInfo | None) -> int:
    parsed = parse_id(value)
    if parsed is None:
        raise FieldError(field=name, code="INVALID")
    return parsed


ORDER_ID = RequestField(
    "order_id",
    _read_order_id,
    {"type": "string", "pattern": "^[1-9][0-9]{0,18}$", "description": "The order."},
)
OR_CLIENT_ID = client_id_field("client_order_id", description="Or its client id.")
CANCEL_FIELDS = table_of(ORDER_ID, OR_CLIENT_ID)
AMEND_FIELDS = table_of(
    decimal_field(
        "quantity",
        description="New whole size, what is filled included; less alone keeps the priority.",
        example="0.01",
    ),
    decimal_field("price", description="New limit.", example="50000"),
    decimal_field(
        "trigger_price", description="New trigger of an order that still waits.", example="48000"
    ),
)
AMEND_ITEM_FIELDS = table_of(ORDER_ID, OR_CLIENT_ID, *AMEND_FIELDS.values())


def parse_cancel(body: Mapping[str, Any], *, account_id: int) -> CancelOrder:
    """
    Return the command that one item of a cancel batch means.

    Raises:
        ApiError: for its shape; exactly one of ``order_id`` and ``client_order_id`` is needed.
    """
    values = read_body(CANCEL_FIELDS, body, None)
    if len(values) != 1:
        raise invalid_fields({"order_id": "REQUIRED" if not values else "CONFLICT"})
    return CancelOrder(
        account_id=account_id,
        order_id=values.get("order_id", 0),
        client_order_id=values.get("client_order_id", ""),
    )


def parse_amend(
    body: Mapping[str, Any], *, account_id: int, order_id: int = 0, client_order_id: str = ""
) -> AmendOrder:
    """
    Return the command that an amendment means; the order is in the address, or in the body.

    Raises:
        ApiError: for its shape; something to change is needed, and one name of the order.
    """
    named = bool(order_id or client_order_id)
    values = read_body(AMEND_FIELDS if named else AMEND_ITEM_FIELDS, body, None)
    if not named:
        order_id = values.pop("order_id", 0)
        client_order_id = values.pop("client_order_id", "")
        if bool(order_id) == bool(client_order_id):
            raise invalid_fields({"order_id": "CONFLICT" if order_id else "REQUIRED"})
    if not values:
        raise invalid_fields(dict.fromkeys(AMEND_FIELDS, "REQUIRED"))
    return AmendOrder(
        account_id=account_id,
        order_id=order_id,
        client_order_id=client_order_id,
        quantity_atoms=values.get("quantity", 0),
        price_atoms=values.get("price", 0),
        trigger_price_atoms=values.get("trigger_price", 0),
    )
