"""Shapes of order entry and of private channels, for the AsyncAPI document: those of REST."""

from __future__ import annotations

from typing import Any

from common.openapi import BOOLEAN, TEXT_OR_NULL, list_of, object_of
from orders import schema
from orders.change_requests import AMEND_ITEM_FIELDS, CANCEL_FIELDS
from orders.entry import CANCEL_ALL_FIELDS, DISCONNECT_FIELDS
from orders.fields import schema_of
from wallets.schema import BALANCE

# What occurs in several places, by the name under which the document keeps it.
NAMED: dict[str, dict[str, Any]] = {
    "Order": schema.ORDER,
    "PlacedOrder": schema.PLACED_ORDER,
    "OrderGroup": schema.ORDER_GROUP,
    "Fill": schema.FILL,
    "Balance": BALANCE,
    "OrderRequest": schema.ORDER_REQUEST,
}
# By operation: what it takes and what its answer carries.
PARAMS: dict[str, dict[str, Any]] = {
    "place": schema.ORDER_REQUEST,
    "amend": schema_of(AMEND_ITEM_FIELDS),
    "cancel": schema_of(CANCEL_FIELDS),
    "cancel_all": schema_of(CANCEL_ALL_FIELDS),
    "place_batch": schema.PLACE_BATCH_REQUEST,
    "amend_batch": schema.AMEND_BATCH_REQUEST,
    "cancel_batch": schema.CANCEL_BATCH_REQUEST,
    "place_oco": schema.OCO_REQUEST,
    "place_bracket": schema.BRACKET_REQUEST,
    "cancel_on_disconnect": {**schema_of(DISCONNECT_FIELDS), "required": ["enabled"]},
}
RESULTS: dict[str, dict[str, Any]] = {
    "place": schema.PLACED_ORDER,
    "amend": schema.PLACED_ORDER,
    "cancel": schema.ORDER,
    "cancel_all": schema.CANCELLED_ALL,
    "place_batch": schema.PLACE_BATCH_RESULT,
    "amend_batch": schema.PLACE_BATCH_RESULT,
    "cancel_batch": schema.CANCEL_BATCH_RESULT,
    "place_oco": schema.ORDER_GROUP,
    "place_bracket": schema.ORDER_GROUP,
    "cancel_on_disconnect": object_of({"enabled": BOOLEAN, "symbol": TEXT_OR_NULL}),
}
# By channel: the whole state, and one change.
STATES: dict[str, dict[str, Any]] = {
    "orders": object_of({"orders": list_of(schema.ORDER)}),
    "fills": object_of({"fills": list_of(schema.FILL)}),
    "balances": object_of({"balances": list_of(BALANCE)}),
}
CHANGES: dict[str, dict[str, Any]] = {
    "orders": schema.ORDER,
    "fills": schema.FILL,
    "balances": BALANCE,
}
