"""/ws/user over a real socket: authentication, snapshots, updates, resume, revocation."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from accounts import authentication, services, sessions
from accounts import sockets as sockets_module
from accounts.tickets import ticket_create
from common import limits
from common.tiers import Tier
from exchange.core.enums import Side
from exchange.core.units import ATOMS
from orders.consumers import account_snapshot
from simulation.streams.replicas import AccountReplica
from tests.support.exchange import limit_order
from tests.support.live import LiveClient, LivePipeline, LiveServer
from tests.support.people import Person, login
from tests.support.random_trading import step

pytestmark = pytest.mark.integration

CHANNELS = ["orders", "fills", "balances"]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin like a process that has just started."""
    limits.reset()
    sessions.reset()
    authentication.forget_checked()
    yield
    sessions.reset()


@pytest.fixture
def alice(pipeline: LivePipeline) -> Person:
    return Person("alice", pipeline.exchange)


@pytest.fixture
def bob(pipeline: LivePipeline) -> Person:
    return Person("bob", pipeline.exchange)


async def _trade(pipeline: LivePipeline, maker: Person, taker: Person) -> None:
    def trade() -> None:
        for person, side in ((maker, Side.SELL), (taker, Side.BUY)):
            order = limit_order(person.account_id, side, price=50_000, quantity_atoms=ATOMS)
            pipeline.exchange.apply(order)

    await asyncio.to_thread(trade)


async def test_orders_fills_and_balances_follow_a_snapshot(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await login(server, alice)
    await client.send(op="subscribe", id=2, channels=CHANNELS)
    answer = await client.receive()
    snapshots = await client.snapshots(*CHANNELS)

    await _trade(pipeline, alice, bob)
    frames = [await client.until(type="update") for _ in range(5)]

    assert (answer["type"], answer["id"], answer["channels"]) == ("subscribed", 2, CHANNELS)
    assert snapshots["orders"]["data"] == {"orders": []}
    balances = {item["currency"]: item for item in snapshots["balances"]["data"]["balances"]}
    assert balances["BTC"]["total"] == "1000.00000000"
    assert {frame["channel"] for frame in frames} == set(CHANNELS)
    first = snapshots["orders"]["seq"]
    assert [frame["seq"] for frame in frames] == list(range(first + 1, first + 6))
    orders = [frame["data"]["status"] for frame in frames if frame["channel"] == "orders"]
    assert orders == ["open", "filled"]
    (fill,) = [frame["data"] for frame in frames if frame["channel"] == "fills"]
    assert (fill["side"], fill["role"], fill["quantity"]) == ("sell", "maker", "1.00000")


async def test_who_subscribes_to_one_channel_can_tell_a_gap_too(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await login(server, alice)
    await client.send(op="subscribe", channels=["fills"])
    (snapshot,) = (await client.snapshots("fills")).values()

    await _trade(pipeline, alice, bob)
    await _trade(pipeline, alice, bob)
    first, second = await client.until(type="update"), await client.until(type="update")

    assert first["prev"] <= snapshot["seq"] < first["seq"] == second["prev"] < second["seq"]


async def test_nobody_sees_what_happens_to_another(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    carol = await asyncio.to_thread(Person, "carol", pipeline.exchange)
    client = await login(server, carol)
    await client.send(op="subscribe", channels=CHANNELS)
    await client.snapshots(*CHANNELS)
    # Her own money came just before: the snapshot has it, and its update may follow.
    await _kinds_until_pong(client)

    await _trade(pipeline, alice, bob)
    kinds = await _kinds_until_pong(client)

    assert kinds <= {"pong", "heartbeat"}


async def _kinds_until_pong(client: LiveClient) -> set[str]:
    await asyncio.sleep(0.2)
    await client.send(op="ping")
    kinds: set[str] = set()
    while "pong" not in kinds:
        kinds.add((await client.receive())["type"])
    return kinds


async def test_resumes_without_a_snapshot_after_a_short_absence(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await login(server, alice)
    await client.send(op="subscribe", channels=CHANNELS)
    snapshot = (await client.snapshots(*CHANNELS))["orders"]
    await client.close()
    await _trade(pipeline, alice, bob)

    again = await login(server, alice)
    await again.send(
        op="subscribe", channels=CHANNELS, from_seq=snapshot["seq"], epoch=snapshot["epoch"]
    )
    await again.until(type="subscribed")
    updates: list[int] = []
    current: set[str] = set()
    # Two orders, one fill, BTC twice and USDT; heartbeats come once all of the replay was sent.
    while len(updates) < 6 or current != set(CHANNELS):
        frame = await again.receive()
        assert frame["type"] in {"update", "heartbeat"}
        if frame["type"] == "update":
            updates.append(frame["seq"])
        else:
            current.add(frame["channel"])

    assert updates == list(range(snapshot["seq"] + 1, snapshot["seq"] + 7))


@pytest.mark.parametrize(
    ("_case", "behind", "epoch_change"),
    [("a sequence that was never given", -50, 0), ("an older epoch", 0, -1), ("no epoch", 0, None)],
)
async def test_starts_over_when_it_cannot_resume(
    _case: str,
    behind: int,
    epoch_change: int | None,
    pipeline: LivePipeline,
    server: LiveServer,
    alice: Person,
) -> None:
    client = await login(server, alice)
    await client.send(op="subscribe", channels=["orders"])
    (snapshot,) = (await client.snapshots("orders")).values()
    message: dict[str, Any] = {"from_seq": snapshot["seq"] - behind}
    if epoch_change is not None:
        message["epoch"] = snapshot["epoch"] + epoch_change

    await client.send(op="subscribe", channels=["orders"], **message)
    await client.until(type="subscribed")

    assert (await client.receive())["type"] == "reset"
    assert (await client.receive())["type"] == "snapshot"


async def test_account_is_rebuilt_exactly_under_random_trading_with_lost_frames(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    """P14, private: what a client rebuilds equals the database, or the client knows better."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201
    chance, losing = random.Random(seed), random.Random(seed + 1)
    accounts = (alice.account_id, bob.account_id)
    replica, done = AccountReplica(), False
    client = await login(server, alice)
    await client.send(op="subscribe", channels=CHANNELS)

    def trade() -> None:
        for _ in range(600):
            step(pipeline.exchange, chance, accounts)
            time.sleep(0.002)

    async def listen() -> None:
        while True:
            frame = await client.receive(10)
            losable = frame["type"] in {"update", "heartbeat"}
            if losable and not done and losing.random() < 0.02:
                continue
            if replica.take(frame):
                # Half of the time a client asks for what it missed, else it starts over.
                place = {"from_seq": replica.last, "epoch": replica.epoch}
                resume = place if losing.random() < 0.5 else {}
                await client.send(op="subscribe", channels=CHANNELS, **resume)

    listener = asyncio.create_task(listen())
    await asyncio.to_thread(trade)
    done = True
    ends = time.monotonic() + 5
    while True:
        state = await asyncio.to_thread(_database_state, alice.account_id)
        if replica.state() == state or time.monotonic() > ends:
            break
        await asyncio.sleep(0.05)
    listener.cancel()

    assert replica.gaps > 0
    assert replica.state() == state


def _database_state(account_id: int) -> Any:
    import json

    data = account_snapshot(account_id, frozenset({"orders", "balances"}))
    orders = json.loads(data["orders"])["orders"]
    balances = json.loads(data["balances"])["balances"]
    return (
        {order["id"]: order for order in orders},
        {(item["currency"], item["wallet"]): item for item in balances},
    )


async def test_a_restarted_projector_resets_and_snapshots_follow(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await login(server, alice)
    await client.send(op="subscribe", channels=["orders"])
    (before,) = (await client.snapshots("orders")).values()

    await asyncio.to_thread(pipeline.stop)
    await _trade(pipeline, alice, bob)
    await asyncio.to_thread(pipeline.start)
    reset = await client.until(type="reset")
    after = await client.until(type="snapshot")

    assert before["epoch"] < reset["epoch"] == after["epoch"]
    assert after["data"] == {"orders": []}


async def test_ticket_in_the_url_works_once(
    pipeline: LivePipeline, server: LiveServer, alice: Person
) -> None:
    identity = await asyncio.to_thread(authentication.authenticate_token, alice.token)
    ticket = await asyncio.to_thread(ticket_create, identity=identity, ip="127.0.0.1")

    first = await server.connect(f"/ws/user?ticket={ticket}")
    answer = await first.receive()
    second = await server.connect(f"/ws/user?ticket={ticket}")
    refused = await second.receive()

    assert answer["type"] == "authenticated"
    assert refused["error"]["code"] == "TICKET_INVALID"
    assert await second.closed() == 4001


@pytest.mark.parametrize(
    ("_case", "message", "code"),
    [
        ("garbled token", {"op": "auth", "token": "x.y.z"}, "TOKEN_INVALID"),
        ("unknown ticket", {"op": "auth", "ticket": "nope"}, "TICKET_INVALID"),
    ],
)
async def test_wrong_credentials_close_with_4001(
    _case: str, message: dict[str, Any], code: str, pipeline: LivePipeline, server: LiveServer
) -> None:
    client = await server.connect("/ws/user")

    await client.send(**message)

    assert (await client.receive())["error"]["code"] == code
    assert await client.closed() == 4001


async def test_private_channels_need_authentication(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    client = await server.connect("/ws/user")

    await client.send(op="subscribe", id=9, channels=["orders"])
    answer = await client.receive()

    assert (answer["id"], answer["error"]["code"]) == (9, "NOT_AUTHENTICATED")


async def test_silence_is_closed_with_4003(
    pipeline: LivePipeline, server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets_module, "AUTH_WITHIN_S", 0.2)
    client = await server.connect("/ws/user")

    answer = await client.receive()

    assert answer["error"]["code"] == "AUTH_TIMEOUT"
    assert await client.closed() == 4003


async def test_logout_closes_open_sockets_at_once(
    pipeline: LivePipeline,
    server: LiveServer,
    alice: Person,
    bob: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It is told, not found at the next look.
    monkeypatch.setattr(sockets_module, "CHECK_SESSIONS_S", 3_600.0)
    client, other = await login(server, alice), await login(server, bob)

    await asyncio.to_thread(
        services.session_revoke, user_id=alice.user.pk, session_id=alice.session_id
    )
    answer = await client.receive()

    assert answer["error"]["code"] == "TOKEN_REVOKED"
    assert await client.closed() == 4001
    await other.send(op="ping")
    assert (await other.receive())["type"] == "pong"


async def test_a_revocation_that_was_not_heard_is_found_within_five_seconds(
    pipeline: LivePipeline,
    server: LiveServer,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets_module, "CHECK_SESSIONS_S", 0.3)
    monkeypatch.setattr(sockets_module, "credential_is_alive", lambda identity: False)
    client = await login(server, alice)

    assert (await client.receive())["error"]["code"] == "TOKEN_REVOKED"
    assert await client.closed() == 4001


async def test_expired_token_is_told_and_may_be_renewed(
    pipeline: LivePipeline,
    server: LiveServer,
    alice: Person,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets_module, "REAUTH_WITHIN_S", 1.0)
    real = sockets_module.now_ms
    client = await login(server, alice)
    monkeypatch.setattr(sockets_module, "now_ms", lambda: real() + 10**10)

    assert (await client.receive())["type"] == "auth_expired"
    monkeypatch.setattr(sockets_module, "now_ms", real)
    await client.send(op="auth", token=alice.token)
    assert (await client.receive())["type"] == "authenticated"
    await asyncio.sleep(1.5)
    await client.send(op="ping")
    assert (await client.receive())["type"] == "pong"

    monkeypatch.setattr(sockets_module, "now_ms", lambda: real() + 10**10)
    assert (await client.receive())["type"] == "auth_expired"
    assert (await client.receive())["error"]["code"] == "AUTH_EXPIRED"
    assert await client.closed() == 4001


async def test_another_account_cannot_take_over_a_socket(
    pipeline: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await login(server, alice)

    await client.send(op="auth", token=bob.token)
    refused = await client.receive()
    await client.send(op="subscribe", channels=["balances"])
    await client.until(type="subscribed")

    assert refused["error"]["code"] == "FORBIDDEN"
    assert (await client.until(type="snapshot"))["channel"] == "balances"


async def test_t24_too_many_connections_of_one_account_close_with_4029(
    pipeline: LivePipeline, server: LiveServer, bob: Person
) -> None:
    trader = await asyncio.to_thread(Person, "trader", pipeline.exchange, tier=Tier.TRADER)
    clients = [await login(server, trader) for _ in range(20)]

    one_more = await server.connect("/ws/user")
    await one_more.send(op="auth", id=1, token=trader.token)
    refused = await one_more.receive()
    code = await one_more.closed()
    await login(server, bob)
    await clients[0].close()
    await asyncio.sleep(0.1)
    await login(server, trader)

    assert (refused["error"]["code"], code) == ("TOO_MANY_CONNECTIONS", 4029)
