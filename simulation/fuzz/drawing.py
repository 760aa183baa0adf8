"""
A client's message from bytes, so that who guides the bytes by coverage guides the message.

The same bytes give the same message. Most differ from a valid one in a few places, by the
schemas of the operations; some are text of any kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from orders.ws_shapes import PARAMS
from simulation.siege.requests import HOSTILE_VALUES

Value = TypeVar("Value")
Schema = Mapping[str, Any]

OPS = tuple(PARAMS)
OTHER_OPS = ("subscribe", "unsubscribe", "auth", "ping", "nothing", "")
SYMBOLS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-PERP", "BTC/USDT", "btc-usdt", "")
PRICES = ("50000", "49999.9", "50000.1", "49990", "50010", "55000", "47500", "3000")
QUANTITIES = ("0.1", "0.01", "1", "2.5", "0.001", "10")
# At bounds of price, quantity and 64 bits, and what a parser might take.
DECIMALS = (
    *("0.00001", "0.00000001", "1000", "100000", "49999.99", "99999999999.99999999"),
    *("92233720368.54775807", "92233720368.54775808", "0", "0.0", "00", "01", ".5", "5.", "+1"),
    *("-1", "1e3", "1_0", " 1", "\u0661", "9" * 40),
)
IDS = ("1", "2", "9223372036854775807", "9223372036854775808", "0", "-1", "01")
CLIENT_IDS = ("a", "b", "c-1", "A" * 64, "A" * 65, "", "\u00e9", "a b")
INTEGERS = (1, 2, 60_000, 2**31, 2**53 - 1, 2**53, 2**63, 0, -1)
ITEMS_MAX = 4


_LIMIT = {"type": "limit", "quantity": "1", "price": "50000"}
_SPOT = {"symbol": "BTC-USDT", "side": "buy"}
_SALE = {"symbol": "BTC-USDT", "side": "sell"}
_LONG = {"symbol": "BTC-USDT-PERP", "side": "buy"}
_SHORT = {"symbol": "BTC-USDT-PERP", "side": "sell"}
_STOP = {"type": "stop_loss", "quantity": "0.1", "trigger_price": "47500"}
_PROFIT = {"type": "take_profit", "trigger_price": "55000"}
# Bodies that are right, from which others differ in a few places.
VALID: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "place": (
        *({**side, **_LIMIT} for side in (_SPOT, _SALE, _LONG, _SHORT)),
        *({**side, "type": "market", "quantity": "1"} for side in (_SPOT, _SALE, _LONG, _SHORT)),
        {**_SPOT, "type": "market", "quote_quantity": "100"},
        {**_SPOT, **_LIMIT, "post_only": True},
        {**_SALE, **_LIMIT, "time_in_force": "fok"},
        {**_SALE, **_LIMIT, "time_in_force": "gtd", "expire_time": 2**53 - 1},
        {**_SALE, **_STOP},
        {**_SHORT, **_STOP, "reduce_only": True},
        {**_LONG, "type": "trailing_stop", "quantity": "0.1", "callback_rate": "0.01"},
        {**_SHORT, "type": "stop_loss", "trigger_price": "47500", "close_position": True},
    ),
    "amend": ({"order_id": "1", "quantity": "0.1"}, {"order_id": "1", "price": "49990"}),
    "cancel": ({"order_id": "1"}, {"client_order_id": "a"}),
    "cancel_all": ({}, {"symbol": "BTC-USDT-PERP"}),
    "place_oco": (
        {
            **_SALE,
            "quantity": "0.1",
            "take_profit": {"type": "limit", "price": "55000"},
            "stop_loss": {"type": "stop_loss", "trigger_price": "47500"},
        },
        {
            **_SHORT,
            "quantity": "0.1",
            "take_profit": _PROFIT,
            "stop_loss": {"type": "stop_loss", "trigger_price": "47500"},
        },
    ),
    "place_bracket": (
        {
            **_LONG,
            "quantity": "0.1",
            "entry": {"type": "market"},
            "take_profit": _PROFIT,
            "stop_loss": {"type": "stop_loss", "trigger_price": "47500"},
        },
        {
            **_SPOT,
            "quantity": "0.1",
            "entry": {"type": "limit", "price": "49990"},
            "stop_loss": {"type": "stop_loss", "trigger_price": "47500"},
        },
    ),
    "cancel_on_disconnect": ({"enabled": True},),
}


class Bytes:
    """
    Bytes that are used up one choice after the other; without any left, all are 0.

    ``newest`` is the number of the last order, near which those lie that can be named.
    """

    def __init__(self, data: bytes, newest: int) -> None:
        self.newest = newest
        self._data = data
        self._used = 0

    def byte(self) -> int:
        """Use up one."""
        self._used += 1
        return self._data[self._used - 1] if self._used <= len(self._data) else 0

    def pick(self, values: Sequence[Value]) -> Value:
        """Use up one for a choice."""
        return values[self.byte() % len(values)]

    def seldom(self) -> bool:
        """Use up one; one value in sixteen says yes."""
        return self.byte() % 16 == 15

    def rest(self) -> str:
        """Use up all that is left, as the text of a frame."""
        left, self._used = self._data[self._used :], len(self._data)
        return left.decode("utf-8", "replace")


def draw_message(data: bytes, newest: int) -> str:
    """Return the text that a client sends when so many orders were placed."""
    choices = Bytes(data, newest)
    kind = choices.byte() % 16
    if kind == 15:
        return choices.rest()
    if kind == 14:
        head = json.dumps({"op": choices.pick((*OPS, *OTHER_OPS)), "id": 1})
        return f'{head[:-1]}, "params": {choices.rest()}}}'
    if kind == 13:
        channels = [choices.rest()]
        return json.dumps({"op": choices.pick(OTHER_OPS), "id": 1, "channels": channels})
    op = choices.pick(OPS)
    return json.dumps({"op": op, "id": 1, "params": _params(op, choices)})


def _params(op: str, choices: Bytes) -> dict[str, Any]:
    if op.endswith("_batch"):
        one = op.removesuffix("_batch")
        orders: Any = [_params(one, choices) for _ in range(choices.byte() % ITEMS_MAX + 1)]
        return {"orders": choices.pick(HOSTILE_VALUES) if choices.seldom() else orders}
    body = json.loads(json.dumps(choices.pick(VALID[op])))
    for name in ("quantity", "price"):
        if name in body:
            body[name] = _value(choices, {}, name)
    if "order_id" in body:
        body["order_id"] = choices.pick(_texts("order_id", choices))
    # Half of them stay valid as far as one can see.
    for _ in range(max(0, choices.byte() % 8 - 4)):
        _spoil(body, PARAMS[op], choices)
    return body


def _spoil(body: dict[str, Any], schema: Schema, choices: Bytes) -> None:
    name = choices.pick((*schema["properties"], "user"))
    inner = schema["properties"].get(name, {})
    if "properties" in inner and isinstance(body.get(name), dict) and not choices.seldom():
        _spoil(body[name], inner, choices)
    elif choices.byte() % 4 == 3:
        body.pop(name, None)
    else:
        body[name] = _value(choices, inner, name)


def _value(choices: Bytes, schema: Schema, name: str) -> Any:
    if choices.seldom() or "properties" in schema:
        return choices.pick(HOSTILE_VALUES)
    if "enum" in schema:
        return choices.pick(schema["enum"])
    kind = schema.get("type")
    if kind == "boolean":
        return bool(choices.byte() % 2)
    if kind == "integer":
        return choices.pick(INTEGERS)
    return choices.pick(_texts(name, choices))


def _texts(name: str, choices: Bytes) -> Sequence[str]:
    if name == "symbol":
        return SYMBOLS
    if name == "client_order_id":
        return CLIENT_IDS
    odd = choices.seldom()
    if name.endswith("_id"):
        return IDS if odd else [str(max(1, choices.newest - back)) for back in range(16)]
    if odd:
        return DECIMALS
    return PRICES if name.endswith("price") else QUANTITIES
