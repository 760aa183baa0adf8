"""Limits, refusals and close codes of every connection (RELIABILITY T22, T24)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from common.tiers import Tier, limits_of
from common.ws import topics
from common.ws.consumer import StreamConsumer
from common.ws.hub import Hub
from tests.support.sockets import FakeSocket


class MarketSocket(StreamConsumer):
    """A consumer with books of one market and without a database."""

    kinds = frozenset({topics.BOOK})

    async def market_id(self, symbol: str, kind: str) -> int:
        return {"BTC-USDT": 1, "BTC/USDT": 1}[symbol]


def connect(**options: Any) -> FakeSocket:
    return FakeSocket(MarketSocket.as_asgi(), **options)


async def _error(socket: FakeSocket) -> dict[str, Any]:
    (answer,) = await socket.receive()
    assert answer["type"] == "error"
    error: dict[str, Any] = answer["error"]
    return error


async def test_answers_ping_with_the_clients_id(hub: Hub) -> None:
    socket = connect()

    socket.send(op="ping", id="a1")
    (answer,) = await socket.receive()

    assert (answer["type"], answer["id"]) == ("pong", "a1")
    socket.disconnect()
    assert await socket.closed() is None
    assert hub.connections == set()


@pytest.mark.parametrize(
    ("_case", "text", "code"),
    [
        ("no JSON", "{", "INVALID_JSON"),
        ("deep JSON", '{"a":' * 12_000, "INVALID_JSON"),
        ("bad text", '{"op": "\\ud800"}', "INVALID_JSON"),
        ("not an object", "[]", "INVALID_MESSAGE"),
        ("no op", "{}", "INVALID_MESSAGE"),
        ("op of a wrong type", '{"op": 1}', "INVALID_MESSAGE"),
        ("unknown op", '{"op": "nothing"}', "UNKNOWN_TYPE"),
        ("long id", '{"op": "ping", "id": "' + 65 * "x" + '"}', "INVALID_MESSAGE"),
        ("id of a wrong type", '{"op": "ping", "id": {}}', "INVALID_MESSAGE"),
        ("unknown field", '{"op": "ping", "idd": 1}', "INVALID_MESSAGE"),
        ("no channels", '{"op": "subscribe", "channels": []}', "INVALID_MESSAGE"),
        ("channels missing", '{"op": "subscribe"}', "INVALID_MESSAGE"),
        ("channel of a wrong type", '{"op": "subscribe", "channels": [1]}', "INVALID_MESSAGE"),
        ("unknown kind", '{"op": "subscribe", "channels": ["x:BTC-USDT"]}', "UNKNOWN_CHANNEL"),
        (
            "other namespace",
            '{"op": "subscribe", "channels": ["price:BTC-USDT"]}',
            "UNKNOWN_CHANNEL",
        ),
        ("unknown market", '{"op": "subscribe", "channels": ["book:NO-SUCH"]}', "UNKNOWN_SYMBOL"),
        ("private here", '{"op": "subscribe", "channels": ["orders"]}', "FORBIDDEN"),
        ("another's", '{"op": "subscribe", "channels": ["orders:77"]}', "FORBIDDEN"),
        ("auth here", '{"op": "auth", "token": "x"}', "UNKNOWN_TYPE"),
    ],
)
async def test_refuses_and_stays_open(_case: str, text: str, code: str, hub: Hub) -> None:
    socket = connect()

    socket.text(text)
    error = await _error(socket)

    assert error["code"] == code
    socket.send(op="ping")
    assert (await socket.receive())[0]["type"] == "pong"
    assert hub.public.topics == {}


async def test_error_names_the_channel_and_echoes_little(hub: Hub) -> None:
    socket = connect()

    socket.send(op="subscribe", id=3, channels=["book:" + "X" * 500])
    (answer,) = await socket.receive()

    assert answer["id"] == 3
    assert answer["error"]["code"] == "UNKNOWN_SYMBOL"
    assert len(answer["error"]["channel"]) == 64


async def test_fifth_bad_json_closes_with_4400(hub: Hub) -> None:
    socket = connect()

    for _ in range(5):
        socket.text("nonsense")
    errors = await socket.receive(5)

    assert {answer["error"]["code"] for answer in errors} == {"INVALID_JSON"}
    assert await socket.closed() == 4400


async def test_binary_closes_with_1003(hub: Hub) -> None:
    socket = connect()

    socket.binary(b"{}")

    assert await socket.closed() == 1003


async def test_too_large_a_message_closes_with_1009(hub: Hub) -> None:
    socket = connect()

    socket.text(" " * 65_537)

    assert await socket.closed() == 1009


async def test_over_the_message_rate_is_told_then_closed_with_4029(hub: Hub) -> None:
    socket = connect()
    allowed = limits_of(Tier.ANONYMOUS).ws_messages

    for _ in range(allowed + 2):
        socket.send(op="ping")
    answers = await socket.receive(allowed + 1)

    assert [answer["type"] for answer in answers] == ["pong"] * allowed + ["error"]
    assert answers[-1]["error"]["code"] == "RATE_LIMITED"
    assert await socket.closed() == 4029


async def test_too_many_subscriptions_are_refused_and_the_connection_stays(hub: Hub) -> None:
    socket = connect()
    bound = limits_of(Tier.ANONYMOUS).ws_channels_max
    hub.public.subscribe = lambda channel, outbox: channel  # type: ignore[assignment,method-assign]
    hub.public.unsubscribe = lambda channel: None  # type: ignore[method-assign]
    symbols = {f"S{index}": index + 1 for index in range(bound + 1)}

    async def market_id(_consumer: Any, symbol: str, kind: str) -> int:
        return symbols[symbol]

    MarketSocket.market_id, original = market_id, MarketSocket.market_id  # type: ignore[assignment,method-assign]
    try:
        socket.send(op="subscribe", channels=[f"book:{name}" for name in list(symbols)[:-1]])
        socket.send(op="subscribe", channels=[f"book:{list(symbols)[-1]}"])
        first, second = await socket.receive(2)
    finally:
        MarketSocket.market_id = original  # type: ignore[method-assign]

    assert first["type"] == "subscribed"
    assert second["error"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
    socket.send(op="ping")
    assert (await socket.receive())[0]["type"] == "pong"


async def test_over_the_connection_limit_is_denied_with_429(hub: Hub, settings: Any) -> None:
    settings.WS_MAX_CONNECTIONS = 1
    first = connect()
    first.send(op="ping")
    await first.receive()

    second = connect()

    assert await second.closed() is None
    assert (second.denied, second.accepted) == (429, False)


async def test_t24_too_many_connections_of_one_address_are_denied_with_429(
    hub: Hub, settings: Any
) -> None:
    settings.WS_MAX_CONNECTIONS_PER_IP = 1
    settings.NUM_PROXIES = 1
    first = connect(headers={"X-Forwarded-For": "2001:db8::1"})
    first.send(op="ping")
    await first.receive()

    neighbour = connect(headers={"X-Forwarded-For": "2001:db8::2"})
    stranger = connect(headers={"X-Forwarded-For": "2001:db8:1::1"})
    await neighbour.task
    stranger.send(op="ping")
    await stranger.receive()
    first.disconnect()
    await first.task
    again = connect(headers={"X-Forwarded-For": "2001:db8::2"})
    again.send(op="ping")
    await again.receive()

    assert neighbour.denied == 429
    assert set(hub.addresses.values()) == {1}
    for socket in (stranger, again):
        socket.disconnect()
        await socket.task
    assert hub.addresses == {}


@pytest.mark.parametrize("query", ["token=abc", "ACCESS_TOKEN=abc", "x=eyJhbGciOi.a.b", "jwt="])
async def test_t22_a_token_in_the_url_closes_with_4001(query: str, hub: Hub) -> None:
    socket = connect(query=query)

    error = await _error(socket)

    assert error["code"] == "TOKEN_IN_URL"
    assert await socket.closed() == 4001


async def test_shutdown_tells_clients_and_closes_with_1012(hub: Hub) -> None:
    socket = connect()
    socket.send(op="ping")
    await socket.receive()

    hub.shut_down()
    (notice,) = await socket.receive()

    assert (notice["type"], notice["code"]) == ("notice", "SERVER_RESTART")
    assert await socket.closed() == 1012
    late = connect()
    await late.closed()
    assert late.denied == 503


async def test_a_client_that_does_not_read_is_aborted_and_others_go_on(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.ws.outbox.SEND_TIMEOUT_S", 0.1)
    slow, quick = connect(), connect()
    for socket in (slow, quick):
        socket.send(op="ping")
        await socket.receive()
    slow.stall()
    slow.send(op="ping")
    await asyncio.sleep(0.2)

    hub._sweep_connections(hub.time())

    await slow.closed()
    quick.send(op="ping")
    assert (await quick.receive())[0]["type"] == "pong"
    assert len(hub.connections) == 1


async def test_a_bug_closes_with_1011_and_tells_nothing(hub: Hub) -> None:
    class Broken(MarketSocket):
        async def market_id(self, symbol: str, kind: str) -> int:
            raise ZeroDivisionError

    socket = FakeSocket(Broken.as_asgi())

    socket.send(op="subscribe", channels=["book:BTC-USDT"])

    assert await socket.closed() == 1011
    assert socket.sent == []
