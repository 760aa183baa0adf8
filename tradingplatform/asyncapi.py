"""
The AsyncAPI 3 document of the WebSocket namespaces, made from the message types.

What clients send comes from the consumers' own tables of operations, what they receive from
the shapes beside each app's consumers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from accounts.notice_views import NOTICE
from adminpanel import ws_shapes as admin
from adminpanel.consumers import AdminConsumer
from common.openapi import list_of, object_of
from common.ws import shapes
from common.ws.consumer import StreamConsumer
from markets import ws_shapes as market
from markets.consumers import MarketConsumer, PricesConsumer
from orders import ws_shapes as orders
from orders.consumers import UserConsumer
from positions import ws_shapes as positions
from riskengine import ws_shapes as perpetual
from riskengine.schema import MARGIN_CALL
from wallets.withdrawals.schema import WITHDRAWAL

VERSION = "1"
REF = "#/components/schemas/{name}"
Schema = dict[str, Any]
# Frames of which each is the whole state.
_STATE = ("snapshot", "update")


@dataclass(frozen=True, slots=True)
class Frame:
    """One kind of frame of a channel: its types, its data, and whether it builds on another."""

    channel: str
    types: tuple[str, ...]
    data: Any
    has_prev: bool = False

    @property
    def name(self) -> str:
        """Return the message's name in the document."""
        return self.channel if self.types == _STATE else f"{self.channel}_{self.types[0]}"


@dataclass(frozen=True, slots=True)
class Namespace:
    """One path and what is said on it."""

    consumer: type[StreamConsumer]
    summary: str
    frames: tuple[Frame, ...]
    answers: tuple[type[Any], ...] = shapes.ANSWERS + shapes.SILENT_FRAMES

    @property
    def name(self) -> str:
        """Return the namespace's name, the last part of its path."""
        return self.consumer.namespace


_TRADE = (
    Frame("trade", ("snapshot",), market.Tape),
    Frame("trade", ("update",), market.NewTrades, has_prev=True),
)
_TICKER = Frame("ticker", _STATE, market.Ticker)
_MARK = Frame("mark", _STATE, perpetual.Mark)
_PRIVATE_STATES = {
    **orders.STATES,
    "positions": object_of({"positions": list_of(positions.POSITION)}),
    "margin": object_of({"calls": list_of(MARGIN_CALL)}),
    "notices": object_of({"notices": list_of(NOTICE)}),
    "withdrawals": object_of({"withdrawals": list_of(WITHDRAWAL)}),
}
_PRIVATE_CHANGES = {
    **orders.CHANGES,
    "positions": positions.POSITION,
    "margin": MARGIN_CALL,
    "notices": NOTICE,
    "withdrawals": WITHDRAWAL,
}
NAMESPACES = (
    Namespace(
        PricesConsumer,
        "Prices, marks, tickers and trades, for anybody.",
        (Frame("price", _STATE, market.Price), _MARK, _TICKER, *_TRADE),
    ),
    Namespace(
        MarketConsumer,
        "Books at three depths, trades, tickers, candles and what perpetuals have, for anybody.",
        (
            Frame("book", ("snapshot",), market.Book),
            Frame("book", ("delta",), market.BookChanges, has_prev=True),
            _TICKER,
            *_TRADE,
            Frame("kline", _STATE, market.Kline),
            _MARK,
            Frame("funding", _STATE, perpetual.Funding),
            Frame("liquidations", ("snapshot",), perpetual.Liquidations),
            Frame("liquidations", ("update",), perpetual.NewLiquidations, has_prev=True),
        ),
    ),
    Namespace(
        UserConsumer,
        "A trader's own orders, fills, balances, positions, margin calls, notices and withdrawals,"
        " and order entry.",
        tuple(
            frame
            for channel in _PRIVATE_STATES
            for frame in (
                Frame(channel, ("snapshot",), _PRIVATE_STATES[channel]),
                Frame(channel, ("update",), _PRIVATE_CHANGES[channel], has_prev=True),
            )
        ),
        shapes.ANSWERS + shapes.SILENT_FRAMES + shapes.AUTH_ANSWERS,
    ),
    Namespace(
        AdminConsumer,
        "What the platform does just now, for staff by permission.",
        tuple(
            Frame(channel, _STATE, data)
            for channel, data in (
                ("system", admin.System),
                ("engine", admin.Engine),
                ("feeds", admin.Feeds),
                ("users", admin.Users),
                ("alerts", admin.Alerts),
                ("liquidations", admin.LiquidationSteps),
            )
        ),
        shapes.ANSWERS + shapes.AUTH_ANSWERS,
    ),
)


class _Schemas:
    """The components of the document, each type once."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, kind: type[Any]) -> Schema:
        """
        Return a reference to a type's schema.

        Raises:
            ValueError: if another type has the same name.
        """
        (schema,), found = msgspec.json.schema_components([kind], ref_template=REF)
        for name, component in found.items():
            if self.components.setdefault(name, component) != component:
                raise ValueError(f"two message types are called {name}: rename one")
        return schema

    def named(self, name: str, schema: Schema) -> Schema:
        """Keep a schema under a name and return a reference to it."""
        self.components[name] = {key: self._referring(value) for key, value in schema.items()}
        return {"$ref": REF.format(name=name)}

    def _referring(self, value: Any) -> Any:
        """Return a part of a schema with references for what has a name of its own."""
        if isinstance(value, list):
            return [self._referring(item) for item in value]
        if not isinstance(value, dict):
            return value
        for name, schema in orders.NAMED.items():
            if value == schema:
                if name not in self.components:
                    self.named(name, schema)
                return {"$ref": REF.format(name=name)}
        return {key: self._referring(inner) for key, inner in value.items()}


def document() -> dict[str, Any]:
    """Return the whole document."""
    schemas = _Schemas()
    messages: dict[str, Any] = {}
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for namespace in NAMESPACES:
        received = _received(namespace, schemas)
        sent = _sent(namespace, schemas)
        messages |= received | sent
        channels[namespace.name] = {
            "address": f"/ws/{namespace.name}",
            "title": f"/ws/{namespace.name}",
            "summary": namespace.summary,
            "messages": {
                name: {"$ref": f"#/components/messages/{name}"} for name in [*received, *sent]
            },
        }
        for action, names in (("receive", received), ("send", sent)):
            operations[f"{namespace.name}_{action}"] = _operation(namespace.name, action, names)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Exchange WebSocket API",
            "version": VERSION,
            "description": "How the frames are to be read: docs/WEBSOCKET.md.",
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "localhost:3000", "protocol": "ws"}},
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": dict(sorted(messages.items())),
            "schemas": dict(sorted(schemas.components.items())),
        },
    }


def _operation(channel: str, action: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _received(namespace: Namespace, schemas: _Schemas) -> dict[str, Any]:
    """Return the messages that clients send: the consumer's own table."""
    found: dict[str, Any] = {}
    for op, (kind, _) in namespace.consumer.operations.items():
        (_,), components = msgspec.json.schema_components([kind], ref_template=REF)
        payload = components[kind.__name__]
        properties = {**payload["properties"], "op": {"const": op}}
        if op in orders.PARAMS:
            properties["params"] = orders.PARAMS[op]
        payload = {**payload, "title": op, "properties": properties}
        found[f"request_{op}"] = _message(op, schemas.named(f"request_{op}", payload))
    return found


def _sent(namespace: Namespace, schemas: _Schemas) -> dict[str, Any]:
    """Return the messages that clients receive."""
    found: dict[str, Any] = {}
    for kind in namespace.answers:
        name = _snake(kind.__name__)
        found[name] = _message(kind.__name__, schemas.of(kind))
    for op in namespace.consumer.operations:
        if op in orders.RESULTS:
            name = f"result_{op}"
            result = _result(op, orders.RESULTS[op])
            found[name] = _message(name, schemas.named(name, result))
    for frame in namespace.frames:
        data = frame.data if isinstance(frame.data, dict) else schemas.of(frame.data)
        found[frame.name] = _message(frame.name, schemas.named(frame.name, _frame(frame, data)))
    return found


def _message(title: str, payload: Schema) -> dict[str, Any]:
    return {"name": title, "title": title, "payload": payload}


def _result(op: str, data: Schema) -> Schema:
    return _object(
        {
            "type": {"const": "result"},
            "id": {"type": ["string", "integer"]},
            "op": {"const": op},
            "status": {"type": "integer", "description": "What HTTP would answer."},
            "request_id": {"type": "string", "description": "Its name in the platform's logs."},
            "data": data,
        }
    )


def _frame(frame: Frame, data: Schema) -> Schema:
    properties: Schema = {
        "channel": {"type": "string", "description": "As it was subscribed."},
        "epoch": {"type": "integer"},
        "seq": {"type": "integer"},
    }
    if frame.has_prev:
        properties["prev"] = {"type": "integer"}
    properties |= {
        "type": {"enum": list(frame.types)},
        "ts": {"type": "integer", "description": "Milliseconds UTC."},
        "data": data,
    }
    return _object(properties)


def _object(properties: Mapping[str, Any]) -> Schema:
    return {
        "type": "object",
        "required": list(properties),
        "properties": dict(properties),
        "additionalProperties": False,
    }


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)[1:]
