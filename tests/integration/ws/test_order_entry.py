"""Order entry over /ws/user: REST's bodies, checks and answers, concurrently, after commit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from accounts import authentication, sessions
from accounts.enums import Role
from common import limits
from common.testing import ApiClient
from common.tiers import Tier
from exchange import gateway
from exchange.errors import ExchangeBusy, StatusUnknown
from orders import ws_entry
from orders.ws_disconnect import wishes_key
from tests.support.live import LiveClient, LivePipeline, LiveServer
from tests.support.people import Person, login
from tests.support.trading import money_of

pytestmark = pytest.mark.integration

ORDER = {
    "symbol": "BTC-USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.1",
    "price": "49000",
}
EXPENSIVE = {**ORDER, "quantity": "999", "price": "99000"}
BAD_PRICE = {"price": "INVALID_DECIMAL"}
STOP = {"trigger_price": "45000", "type": "stop_loss"}
PROFIT = {"price": "55000", "type": "limit"}


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin like a process that has just started."""
    limits.reset()
    sessions.reset()
    authentication.forget_checked()
    yield
    limits.reset()
    sessions.reset()


@pytest.fixture
def alice(pipeline: LivePipeline) -> Person:
    return Person("alice", pipeline.exchange)


async def ask(client: LiveClient, op: str, params: Any, message_id: int | str = 7) -> Any:
    """Send an operation and return its answer."""
    await client.send(op=op, id=message_id, params=params)
    while True:
        answer = await client.receive()
        if answer["type"] in ("result", "error") and answer.get("id") == message_id:
            return answer


async def test_placing_answers_what_rest_answers(
    pipeline: LivePipeline, server: LiveServer, alice: Person
) -> None:
    client = await login(server, alice)

    answer = await ask(client, "place", {**ORDER, "client_order_id": "a-1"})
    shown = await asyncio.to_thread(
        lambda: ApiClient(alice.token).get("/api/orders/by-client-id/a-1").json()
    )
    again = await ask(client, "place", {**ORDER, "client_order_id": "a-1"})
    other = await ask(client, "place", {**ORDER, "price": "48000", "client_order_id": "a-1"})

    assert (answer["type"], answer["op"], answer["status"]) == ("result", "place", 201)
    # By it every process tells in its log what it did about the order.
    assert len({answer["request_id"], again["request_id"], other["error"]["request_id"]}) == 3
    rest_only = ("fills_next_cursor", "stale", "as_of")
    assert answer["data"] == {name: shown[name] for name in shown if name not in rest_only}
    assert (again["status"], again["data"]["id"]) == (200, answer["data"]["id"])
    assert (other["status"], other["error"]["code"]) == (409, "CLIENT_ORDER_ID_CONFLICT")


async def test_every_operation_changes_what_it_says(
    pipeline: LivePipeline, server: LiveServer, alice: Person
) -> None:
    client = await login(server, alice)

    placed = (await ask(client, "place", ORDER))["data"]
    amended = await ask(client, "amend", {"order_id": placed["id"], "price": "48000"})
    cancelled = await ask(client, "cancel", {"order_id": placed["id"]})
    batch = await ask(client, "place_batch", {"orders": [ORDER, {**ORDER, "side": "up"}, ORDER]})
    ids = [result["order"]["id"] for result in batch["data"]["results"] if "order" in result]
    changes = [{"order_id": ids[0], "quantity": "0.2"}, {"order_id": "99", "quantity": "1"}]
    amends = await ask(client, "amend_batch", {"orders": changes})
    cancels = await ask(client, "cancel_batch", {"orders": [{"order_id": ids[0]}]})
    legs = {"take_profit": PROFIT, "stop_loss": STOP}
    oco = await ask(
        client, "place_oco", {"symbol": "BTC/USDT", "side": "sell", "quantity": "0.1", **legs}
    )
    bracket = await ask(
        client,
        "place_bracket",
        {
            "symbol": "BTC-USDT",
            "side": "buy",
            "quantity": "0.1",
            "entry": {"type": "limit", "price": "49000"},
            **legs,
        },
    )
    everything = await ask(client, "cancel_all", {})
    nothing = await ask(client, "cancel_all", {"symbol": "BTC-USDT"})

    assert (amended["status"], amended["data"]["price"]) == (200, "48000.00")
    assert (cancelled["status"], cancelled["data"]["status"]) == (200, "cancelled")
    assert [result["status"] for result in batch["data"]["results"]] == [201, 400, 201]
    assert batch["data"]["results"][1]["error"]["fields"] == {"side": "INVALID_CHOICE"}
    assert [result["status"] for result in amends["data"]["results"]] == [200, 404]
    assert cancels["data"]["results"][0]["order"]["status"] == "cancelled"
    assert (oco["status"], len(oco["data"]["orders"])) == (201, 2)
    assert (bracket["status"], len(bracket["data"]["orders"])) == (201, 3)
    assert everything["data"]["complete"] is True
    assert {order["status"] for order in everything["data"]["orders"]} == {"cancelled"}
    assert nothing["data"] == {"orders": [], "complete": True}
    assert list(pipeline.exchange.exchange.image().orders) == []


REFUSALS = [
    ("no body", "place", [], 400, "INVALID_JSON", None),
    ("unknown field", "place", {**ORDER, "x": 1}, 400, "UNKNOWN_FIELD", {"x": "UNKNOWN_FIELD"}),
    ("number", "place", {**ORDER, "price": 1}, 400, "VALIDATION_ERROR", BAD_PRICE),
    ("missing", "cancel", {}, 400, "VALIDATION_ERROR", {"order_id": "REQUIRED"}),
    ("symbol", "place", {**ORDER, "symbol": "X-Y"}, 404, "MARKET_NOT_FOUND", None),
    ("symbol", "cancel_all", {"symbol": "X-Y"}, 404, "MARKET_NOT_FOUND", None),
    ("another's", "cancel", {"order_id": "1"}, 404, "NOT_FOUND", None),
    ("another's", "amend", {"order_id": "1", "price": "1"}, 404, "NOT_FOUND", None),
    ("funds", "place", EXPENSIVE, 422, "INSUFFICIENT_BALANCE", None),
    ("tick", "place", {**ORDER, "price": "49000.001"}, 422, "TICK_SIZE", None),
    ("empty", "place_batch", {"orders": []}, 400, "VALIDATION_ERROR", {"orders": "BLANK"}),
    (
        "too many",
        "cancel_batch",
        {"orders": [{"order_id": "1"}] * 41},
        400,
        "VALIDATION_ERROR",
        {"orders": "TOO_LONG"},
    ),
    (
        "no choice",
        "cancel_on_disconnect",
        {},
        400,
        "VALIDATION_ERROR",
        {"enabled": "REQUIRED"},
    ),
]


async def test_refuses_as_rest_does_and_changes_nothing(
    pipeline: LivePipeline, server: LiveServer, alice: Person
) -> None:
    bob = await asyncio.to_thread(Person, "bob", pipeline.exchange)
    theirs = await login(server, bob)
    await ask(theirs, "place", {**ORDER, "quantity": "20"})
    client = await login(server, alice)
    before = money_of(pipeline.exchange)

    for case, op, params, status, code, fields in REFUSALS:
        answer = await ask(client, op, params, case)

        error = answer["error"]
        assert (answer["type"], answer["op"], answer["status"]) == ("error", op, status), case
        assert (error["code"], error.get("fields")) == (code, fields), case
        assert len(error["request_id"]) == 24
        assert money_of(pipeline.exchange) == before, case


@pytest.mark.parametrize(
    ("_case", "text", "code"),
    [
        ("no id", '{"op":"place","params":{}}', "INVALID_MESSAGE"),
        ("id null", '{"op":"place","id":null,"params":{}}', "INVALID_MESSAGE"),
        ("no params", '{"op":"place","id":1}', "INVALID_MESSAGE"),
        ("unknown member", '{"op":"place","id":1,"params":{},"x":1}', "INVALID_MESSAGE"),
        (
            "key twice",
            '{"op":"place","id":1,"params":{"side":"buy","side":"sell"}}',
            "INVALID_JSON",
        ),
    ],
)
async def test_refuses_malformed_messages(
    _case: str, text: str, code: str, server: LiveServer, alice: Person
) -> None:
    client = await login(server, alice)

    await client.connection.send(text)

    assert (await client.receive())["error"]["code"] == code
    await client.send(op="ping")
    assert (await client.receive())["type"] == "pong"


async def test_needs_authentication_and_the_permission_to_trade(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    stranger = await server.connect("/ws/user")
    person = await asyncio.to_thread(Person, "auditor", pipeline.exchange, role=Role.AUDITOR)
    auditor = await login(server, person)

    await stranger.send(op="place", id=1, params=ORDER)
    unknown = await stranger.receive()
    refused = await ask(auditor, "place", ORDER)
    wish = await ask(auditor, "cancel_on_disconnect", {"enabled": True})

    assert unknown["error"]["code"] == "NOT_AUTHENTICATED"
    assert (refused["status"], refused["error"]["code"]) == (403, "PERMISSION_DENIED")
    assert (wish["status"], wish["error"]["code"]) == (403, "PERMISSION_DENIED")


async def test_t31_order_rate_is_the_account_s_and_cancels_go_on(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    """T31: 10 orders/s of a trader, over all its connections; a batch of n counts n."""
    trader = await asyncio.to_thread(Person, "trader", pipeline.exchange, tier=Tier.TRADER)
    first, second = await login(server, trader), await login(server, trader)

    batch = await ask(first, "place_batch", {"orders": [ORDER] * 9})
    too_many = await ask(second, "place_batch", {"orders": [ORDER] * 2})
    tenth = await ask(second, "place", ORDER)
    over = await ask(first, "place", ORDER)
    cancelled = await ask(first, "cancel_all", {})

    assert {result["status"] for result in batch["data"]["results"]} == {201}
    assert (too_many["status"], too_many["error"]["code"]) == (429, "ORDER_RATE")
    assert tenth["status"] == 201
    assert (over["status"], over["error"]["code"]) == (429, "ORDER_RATE")
    assert over["error"]["retry_after"] == 1
    assert len(cancelled["data"]["orders"]) == 10


class SlowExchange:
    """Takes commands in order and answers when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[Any] = []
        self.go_on = asyncio.Event()
        self._submit = gateway.submit_many_async
        monkeypatch.setattr(gateway, "submit_many_async", self.submit)

    async def submit(self, commands: Any, **options: Any) -> Any:
        self.commands.extend(commands)
        await self.go_on.wait()
        return await self._submit(commands, **options)


async def test_reads_on_while_a_commit_is_awaited_and_keeps_the_order(
    server: LiveServer, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = SlowExchange(monkeypatch)
    client = await login(server, alice)

    for number in range(5):
        order = {**ORDER, "client_order_id": f"n-{number}"}
        await client.send(op="place", id=number, params=order)
    await client.send(op="cancel", id="c", params={"client_order_id": "n-4"})
    await client.send(op="ping", id="p")
    first = await client.receive()
    exchange.go_on.set()
    answers = {answer["id"]: answer for answer in [await client.receive() for _ in range(6)]}

    assert (first["type"], first["id"]) == ("pong", "p")
    ids = [command.client_order_id for command in exchange.commands]
    assert ids == ["n-0", "n-1", "n-2", "n-3", "n-4", "n-4"]
    assert [answers[number]["status"] for number in range(5)] == [201] * 5
    assert answers["c"]["data"]["status"] == "cancelled"


async def test_bounds_what_is_on_its_way(
    server: LiveServer, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ws_entry, "IN_FLIGHT_MAX", 3)
    exchange = SlowExchange(monkeypatch)
    client = await login(server, alice)

    await client.send(op="place_batch", id=1, params={"orders": [ORDER] * 2})
    refused = await ask(client, "place_batch", {"orders": [ORDER] * 2}, 2)
    await client.send(op="place", id=3, params=ORDER)
    full = await ask(client, "cancel_all", {}, 4)
    exchange.go_on.set()
    done = {answer["id"] for answer in [await client.receive() for _ in range(2)]}
    after = await ask(client, "place", ORDER, 5)

    assert (refused["status"], refused["error"]["code"]) == (429, "TOO_MANY_IN_FLIGHT")
    assert full["error"]["code"] == "TOO_MANY_IN_FLIGHT"
    assert done == {1, 3}
    assert after["status"] == 201
    assert len(exchange.commands) == 4


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ExchangeBusy(), 503, "ENGINE_BUSY"),
        (StatusUnknown(), 504, "STATUS_UNKNOWN"),
        (RuntimeError("secret"), 500, "INTERNAL_ERROR"),
    ],
)
async def test_says_when_no_answer_came(
    error: Exception,
    status: int,
    code: str,
    server: LiveServer,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(gateway, "submit_many_async", fail)
    client = await login(server, alice)

    answer = await ask(client, "place", ORDER)

    assert (answer["status"], answer["error"]["code"]) == (status, code)
    assert "secret" not in str(answer)


async def test_an_account_that_the_exchange_does_not_know_is_opened(
    pipeline: LivePipeline, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        # As if the exchange had been away when the user registered.
        context.setattr(pipeline.exchange, "add_account", lambda *_, **__: None)
        newcomer = await asyncio.to_thread(Person, "newcomer", pipeline.exchange)
    client = await login(server, newcomer)

    answer = await ask(client, "place", ORDER)

    assert (answer["status"], answer["error"]["code"]) == (422, "INSUFFICIENT_BALANCE")
    accounts = pipeline.exchange.exchange.image().accounts
    assert newcomer.account_id in {account.account_id for account in accounts}


async def _open_orders(pipeline: LivePipeline) -> int:
    return len(list(pipeline.exchange.exchange.image().orders))


async def _until_open_orders(pipeline: LivePipeline, number: int) -> None:
    async with asyncio.timeout(30):
        while await _open_orders(pipeline) != number:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.02)


async def test_cancel_on_disconnect_covers_every_end_of_the_connection(
    pipeline: LivePipeline, server: LiveServer, alice: Person
) -> None:
    client = await login(server, alice)
    await ask(client, "place", ORDER)
    await ask(client, "place", {**ORDER, "symbol": "ETH-USDT", "price": "2000"})
    kept = await ask(client, "cancel_on_disconnect", {"enabled": True, "symbol": "ETHUSDT"})
    client.connection.transport.abort()
    await _until_open_orders(pipeline, 1)

    again = await login(server, alice)
    everything = await ask(again, "cancel_on_disconnect", {"enabled": True})
    # The server ends this one: five messages that are no JSON.
    for _ in range(5):
        await again.connection.send("{")
    assert await again.closed() == 4400
    await _until_open_orders(pipeline, 0)

    assert kept["data"] == {"enabled": True, "symbol": "ETH-USDT"}
    assert everything["data"] == {"enabled": True, "symbol": None}


async def test_cancel_on_disconnect_can_be_taken_back_and_ends_with_the_connection(
    pipeline: LivePipeline, server: LiveServer, alice: Person
) -> None:
    client = await login(server, alice)
    await ask(client, "place", ORDER)
    await ask(client, "cancel_on_disconnect", {"enabled": True})
    off = await ask(client, "cancel_on_disconnect", {"enabled": False})
    await client.close()
    second = await login(server, alice)
    await second.close()
    await asyncio.sleep(0.3)

    assert off["data"] == {"enabled": False, "symbol": None}
    assert await _open_orders(pipeline) == 1
    assert pipeline.redis.hgetall(wishes_key()) == {}
