"""A connection that stays: what it does when the server refuses, hangs, forgets or goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from tradingclient import (
    AuthenticationError,
    InvalidRequestError,
    PermissionDeniedError,
    State,
    StatusUnknownError,
    StreamError,
    UnavailableError,
)
from tradingclient import socket as socket_module
from tradingclient.backoff import Backoff
from tradingclient.frames import Message, Verdict
from tradingclient.private_socket import PrivateConnection
from tradingclient.socket import Connection
from tradingclient.subscriptions import Channel

BOOK = "book:BTC-USDT"


class FakeServer:
    """
    Speaks the protocol as far as a test tells it to.

    ``answer`` makes the answer to a message (None: the usual one); everything that was received
    is kept. ``door`` may turn a handshake away.
    """

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.connections: list[ServerConnection] = []
        self.answer: Callable[[dict[str, Any]], Any] = lambda _message: None
        self.door: Callable[[], int | None] = lambda: None
        self.url = ""

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        async for text in connection:
            message = json.loads(text)
            self.received.append(message)
            answer = self.answer(message)
            if answer is None:
                answer = self.usual(message)
            for part in answer if isinstance(answer, list) else [answer]:
                if isinstance(part, int):
                    await connection.close(part)
                elif part is not ...:
                    await connection.send(part if isinstance(part, str) else json.dumps(part))

    def usual(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        number, op = message["id"], message["op"]
        if op == "subscribe":
            channels = message["channels"]
            answered = {"type": "subscribed", "id": number, "channels": channels}
            if "from_seq" in message:
                return [answered]
            return [answered, *(frame(name, "snapshot", 1) for name in channels)]
        kinds = {"auth": "authenticated", "unsubscribe": "unsubscribed"}
        return [{"type": kinds.get(op, "result"), "id": number, "account_id": "7"}]

    def check(self, connection: ServerConnection, _request: Request) -> Response | None:
        status = self.door()
        return None if status is None else connection.respond(status, "no")

    def ops(self, *names: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["op"] in names]


def frame(channel: str, kind: str, seq: int, **more: Any) -> dict[str, Any]:
    return {"channel": channel, "epoch": 1, "seq": seq, "type": kind, "ts": 0, "data": {}} | more


def refusal(message: dict[str, Any], code: str, **more: Any) -> dict[str, Any]:
    return {"type": "error", "id": message["id"], "error": {"code": code, "message": "No."} | more}


class FakeLogin:
    """Gives a new token each time the last one was refused."""

    def __init__(self) -> None:
        self.number = 1

    async def auth_message(self, refused: bool) -> dict[str, Any]:
        if refused:
            self.number += 1
        return {"token": f"t{self.number}"}


class Seen:
    """A channel that notes its verdicts."""

    def __init__(self, text: str = BOOK) -> None:
        self.verdicts: list[Verdict] = []
        self.channel = Channel(text, self._take)

    def _take(self, _frame: Message, verdict: Verdict) -> None:
        self.verdicts.append(verdict)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    async with serve(fake.serve, "127.0.0.1", 0, process_request=fake.check) as running:
        fake.url = f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/ws"
        yield fake


Connect = Callable[..., Connection]


@pytest.fixture
async def connect(server: FakeServer) -> AsyncIterator[Connect]:
    made: list[Connection] = []

    def make(kind: type[Connection] = Connection, **options: Any) -> Connection:
        made.append(kind(server.url, backoff=Backoff(first_s=0.01, max_s=0.02), **options))
        return made[-1]

    yield make
    for connection in made:
        await connection.close()


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.005)


async def test_subscribes_again_after_the_line_broke(connect: Connect, server: FakeServer) -> None:
    connection, seen = connect(), Seen()
    await connection.subscribe([seen.channel])

    server.connections[0].transport.abort()

    await eventually(lambda: seen.verdicts == [Verdict.REPLACE, Verdict.REPLACE])
    assert connection.reconnects == 1
    assert len(server.ops("subscribe")) == 2


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4008, 4029])
async def test_comes_back_whatever_the_server_closes_with(
    connect: Connect, server: FakeServer, code: int
) -> None:
    connection, seen = connect(), Seen()
    await connection.subscribe([seen.channel])

    await server.connections[0].close(code)

    await eventually(lambda: len(seen.verdicts) == 2)
    assert connection.failure is None


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_knocks_again_when_the_server_is_full(
    connect: Connect, server: FakeServer, status: int
) -> None:
    answers = [status, status]
    server.door = lambda: answers.pop() if answers else None

    await connect().ready(5)

    assert answers == []


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_gives_up_where_it_is_not_wanted(
    connect: Connect, server: FakeServer, status: int
) -> None:
    server.door = lambda: status
    connection = connect()

    with pytest.raises(Exception, match=f"HTTP_{status}") as caught:
        await connection.ready(5)

    assert caught.value.status == status  # type: ignore[attr-defined]
    assert connection.state is State.FAILED


async def test_begins_a_channel_again_after_a_gap_and_ignores_what_was_on_its_way(
    connect: Connect, server: FakeServer
) -> None:
    connection, seen = connect(), Seen()
    await connection.subscribe([seen.channel])
    await eventually(lambda: seen.verdicts == [Verdict.REPLACE])

    def slow(message: dict[str, Any]) -> Any:
        old = frame(BOOK, "snapshot", 9)
        return [old, *server.usual(message)] if message["op"] == "subscribe" else None

    server.answer = slow
    await server.connections[0].send(json.dumps(frame(BOOK, "delta", 5, prev=4)))

    await eventually(lambda: len(seen.verdicts) == 3)
    assert seen.verdicts[1:] == [Verdict.GAP, Verdict.REPLACE]
    assert seen.channel.rule.last == 1


async def test_says_when_there_is_silence_and_then_breaks_the_line(
    connect: Connect, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "STALE_S", 0.05)
    monkeypatch.setattr(socket_module, "DEAD_S", 0.3)
    monkeypatch.setattr(socket_module, "WATCH_EVERY_S", 0.01)
    states: list[State] = []
    connection, seen = connect(on_state=states.append), Seen()
    await connection.subscribe([seen.channel])

    await eventually(lambda: State.STALE in states)
    await server.connections[0].send(json.dumps(frame(BOOK, "heartbeat", 1)))
    await eventually(lambda: states[-1] is State.LIVE)
    await eventually(lambda: connection.reconnects == 1)

    assert states[:5] == [
        State.CONNECTING,
        State.LIVE,
        State.STALE,
        State.LIVE,
        State.STALE,
    ]


class TestRefusedSubscriptions:
    async def test_are_told_and_forgotten(self, connect: Connect, server: FakeServer) -> None:
        server.answer = lambda message: refusal(message, "UNKNOWN_SYMBOL", channel="book:X")
        connection = connect()

        with pytest.raises(Exception, match="UNKNOWN_SYMBOL") as caught:
            await connection.subscribe([Seen("book:X").channel])

        assert caught.value.channel == "book:X"  # type: ignore[attr-defined]
        assert connection.channels == {}
        assert connection.state is State.LIVE

    async def test_of_a_market_that_is_gone_do_not_stop_the_others(
        self, connect: Connect, server: FakeServer
    ) -> None:
        connection, gone, kept = connect(), Seen("book:GONE"), Seen("book:KEPT")
        await connection.subscribe([gone.channel, kept.channel])

        def refuse(message: dict[str, Any]) -> Any:
            if "book:GONE" in message.get("channels", ()):
                return refusal(message, "UNKNOWN_SYMBOL", channel="book:GONE")
            return None

        server.answer = refuse
        server.connections[0].transport.abort()

        await eventually(lambda: len(kept.verdicts) == 2)
        assert list(connection.channels) == ["book:KEPT"]


class TestLogin:
    async def test_comes_before_everything_else(self, connect: Connect, server: FakeServer) -> None:
        connection = connect(login=FakeLogin())

        await connection.subscribe([Seen().channel])

        assert [message["op"] for message in server.received] == ["auth", "subscribe"]
        assert connection.account_id == "7"

    async def test_is_made_again_with_a_new_token_when_it_was_refused(
        self, connect: Connect, server: FakeServer
    ) -> None:
        def refuse(message: dict[str, Any]) -> Any:
            old = message["op"] == "auth" and message["token"] == "t1"
            return [refusal(message, "TOKEN_EXPIRED"), 4001] if old else None

        server.answer = refuse

        await connect(login=FakeLogin()).ready(5)

        assert [message["token"] for message in server.received] == ["t1", "t2"]

    async def test_that_is_refused_twice_is_the_end(
        self, connect: Connect, server: FakeServer
    ) -> None:
        server.answer = lambda message: [refusal(message, "TOKEN_REVOKED"), 4001]
        connection = connect(login=FakeLogin())

        with pytest.raises(AuthenticationError, match="TOKEN_REVOKED"):
            await connection.ready(5)

        assert connection.state is State.FAILED
        assert len(server.received) == 2

    async def test_without_permission_is_the_end_at_once(
        self, connect: Connect, server: FakeServer
    ) -> None:
        server.answer = lambda message: [refusal(message, "PERMISSION_DENIED"), 4403]

        with pytest.raises(PermissionDeniedError):
            await connect(login=FakeLogin()).ready(5)

        assert len(server.received) == 1

    async def test_is_renewed_on_the_same_connection_when_the_token_ends(
        self, connect: Connect, server: FakeServer
    ) -> None:
        connection = connect(login=FakeLogin())
        await connection.ready(5)

        await server.connections[0].send('{"type": "auth_expired"}')

        await eventually(lambda: len(server.received) == 2)
        assert server.received[1]["token"] == "t2"
        assert connection.reconnects == 0

    async def test_is_made_again_after_the_session_was_ended(
        self, connect: Connect, server: FakeServer
    ) -> None:
        connection = connect(login=FakeLogin())
        await connection.ready(5)

        await server.connections[0].send('{"type": "error", "error": {"code": "TOKEN_REVOKED"}}')
        await server.connections[0].close(4001)

        await eventually(lambda: len(server.received) == 2)
        assert server.received[1]["token"] == "t2"


class TestRequests:
    @pytest.mark.parametrize(
        ("acts", "family"), [(True, StatusUnknownError), (False, UnavailableError)]
    )
    async def test_whose_answer_is_lost_may_have_been_done_if_they_act(
        self, connect: Connect, server: FakeServer, acts: bool, family: type[Exception]
    ) -> None:
        connection = connect()
        await connection.ready(5)
        server.answer = lambda _message: 1011

        with pytest.raises(family, match="CONNECTION_LOST"):
            await connection.request("place", acts=acts, fields={"params": {}})

    async def test_without_an_answer_end_after_a_while(
        self, connect: Connect, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket_module, "ANSWER_S", 0.05)
        connection = connect()
        await connection.ready(5)
        server.answer = lambda _message: ...

        with pytest.raises(StatusUnknownError, match="NO_ANSWER"):
            await connection.request("place", acts=True, fields={"params": {}})

    async def test_without_a_connection_were_not_done(self, connect: Connect) -> None:
        with pytest.raises(UnavailableError, match="NOT_CONNECTED"):
            await connect().request("place", acts=True, fields={"params": {}})

    async def test_are_answered_in_any_order(self, connect: Connect, server: FakeServer) -> None:
        connection = connect()
        await connection.ready(5)
        first: list[dict[str, Any]] = []

        def swap(message: dict[str, Any]) -> Any:
            if not first:
                first.append(message)
                return ...
            return [
                {"type": "result", "id": item["id"], "status": 201, "data": item["params"]}
                for item in (message, first[0])
            ]

        server.answer = swap
        answers = await asyncio.gather(
            *(connection.request("place", fields={"params": number}) for number in (1, 2))
        )

        assert [bytes(answer.data) for answer in answers] == [b"1", b"2"]

    async def test_are_refused_with_what_the_platform_said(
        self, connect: Connect, server: FakeServer
    ) -> None:
        connection = connect()
        await connection.ready(5)
        server.answer = lambda message: (
            refusal(message, "ORDER_RATE", retry_after=3, request_id="r", fields={"a": "B"})
            | {"status": 429}
        )

        with pytest.raises(Exception, match="ORDER_RATE") as caught:
            await connection.request("place", fields={})

        error: Any = caught.value
        assert (error.status, error.retry_after, error.request_id) == (429, 3.0, "r")
        assert error.fields == {"a": "B"}


class TestResume:
    async def test_goes_on_from_the_highest_sequence(
        self, connect: Connect, server: FakeServer
    ) -> None:
        connection = connect(PrivateConnection, login=FakeLogin())
        orders, fills = Seen("orders"), Seen("fills")
        await connection.subscribe([orders.channel, fills.channel])
        for number, name in ((2, "orders"), (3, "fills")):
            update = frame(name, "update", number, prev=1)
            await server.connections[0].send(json.dumps(update))
        await eventually(lambda: fills.verdicts[-1:] == [Verdict.CHANGE])

        server.connections[0].transport.abort()

        await eventually(lambda: len(server.ops("subscribe")) == 2)
        again = server.ops("subscribe")[1]
        assert (again["from_seq"], again["epoch"]) == (3, 1)
        assert again["channels"] == ["orders", "fills"]

    async def test_begins_with_snapshots_when_something_is_missing(
        self, connect: Connect, server: FakeServer
    ) -> None:
        connection = connect(PrivateConnection, login=FakeLogin())
        orders, fills = Seen("orders"), Seen("fills")
        await connection.subscribe([orders.channel, fills.channel])

        await server.connections[0].send(json.dumps(frame("orders", "update", 9, prev=8)))

        await eventually(lambda: orders.verdicts[-2:] == [Verdict.GAP, Verdict.REPLACE])
        assert "from_seq" not in server.ops("subscribe")[1]
        assert server.ops("subscribe")[1]["channels"] == ["orders", "fills"]


async def test_a_message_that_cannot_be_read_ends_it_loudly(
    connect: Connect, server: FakeServer
) -> None:
    connection = connect()
    await connection.ready(5)

    await server.connections[0].send("<html>")

    await eventually(lambda: connection.state is State.FAILED)
    assert isinstance(connection.failure, StreamError)
    assert connection.failure.code == "CLIENT_FAULT"


async def test_bad_messages_of_ours_end_it(connect: Connect, server: FakeServer) -> None:
    connection = connect()
    await connection.ready(5)

    await server.connections[0].close(4400)

    await eventually(lambda: connection.state is State.FAILED)
    assert isinstance(connection.failure, InvalidRequestError)


async def test_nothing_is_left_running_after_close(connect: Connect, server: FakeServer) -> None:
    before = asyncio.all_tasks()
    connection = connect(login=FakeLogin())
    await connection.subscribe([Seen().channel])

    await connection.close()

    ours: list[Awaitable[Any]] = [
        task
        for task in asyncio.all_tasks() - before
        if "tradingclient" in str(task.get_coro().cr_code.co_filename)  # type: ignore[union-attr]
    ]
    assert ours == []
    assert connection.state is State.CLOSED
