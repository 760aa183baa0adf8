"""/ws/admin: who may hear what, and what the channels say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis as redis_module
from prometheus_client import CollectorRegistry
from prometheus_client.registry import REGISTRY

from accounts import authentication, sessions
from accounts.enums import Role
from accounts.permissions import ROLE_PERMISSIONS, Permission
from adminpanel import ws_shapes
from adminpanel.consumers import CHANNELS as CHANNELS_OF_STAFF
from adminpanel.stats import board
from common import metrics
from common.ws.counts import COUNTS
from exchange import keys
from exchange.wire import StatusMessage, encode, now_ms
from tests.support.live import LivePipeline, LiveServer
from tests.support.people import Person, login

pytestmark = pytest.mark.integration

CHANNELS = ["system", "engine", "feeds", "users"]


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin like a process that has just started."""
    sessions.reset()
    authentication.forget_checked()
    board.forget()
    yield
    board.forget()
    sessions.reset()


def _status(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "leader": True,
        "epoch": 3,
        "stream_epoch": 1,
        "phase": "trading",
        "command_number": 99,
        "batch": 12,
        "orders_lag": 4,
        "system_lag": 1,
        "heartbeat_ms": now_ms(),
        "commands_per_second": 250,
        "commit_ms": 1.5,
        "rows_per_batch": 30,
    }
    return encode(StatusMessage(**(values | changes)))


async def test_says_what_the_platform_does_each_second(
    pipeline: LivePipeline, server: LiveServer, redis_client: redis_module.Redis
) -> None:
    boss = await asyncio.to_thread(Person, "boss", pipeline.exchange, role=Role.ADMIN)
    redis_client.set(keys.status(), _status())
    web = metrics.collect("web", REGISTRY)
    metrics.publish(redis_client, web, member="web:41")
    client = await login(server, boss, "/ws/admin")

    await client.send(op="subscribe", id=1, channels=CHANNELS)
    answer = await client.receive()
    first = await client.snapshots(*CHANNELS)
    COUNTS.frames += 1_000
    metrics.publish(redis_client, metrics.collect("web", REGISTRY), member="web:41")
    redis_client.set(keys.status(), _status(command_number=150))
    second = {name: await client.until(channel=name, type="update") for name in CHANNELS[:2]}

    assert (answer["type"], answer["channels"]) == ("subscribed", CHANNELS)
    engine = first["engine"]["data"]
    assert engine.pop("heartbeat_age_ms") < 5_000
    assert engine.pop("projector")["available"] is True
    assert engine == {
        "available": True,
        "phase": "trading",
        "epoch": 3,
        "command_number": 99,
        "batch": 12,
        "orders_lag": 4,
        "system_lag": 1,
        "commands_per_second": 250,
        "commit_ms": 1.5,
        "rows_per_batch": 30,
    }
    (process,) = first["system"]["data"]["processes"]
    assert (process["name"], process["pid"]) == ("web", 41)
    assert process["memory_bytes"] > 10_000_000
    assert first["system"]["data"]["redis"]["memory_bytes"] > 100_000
    assert first["feeds"]["data"] == {
        "available": False,
        "mode": None,
        "note": None,
        "holder": None,
        "age_ms": None,
        "indexes": [],
    }
    namespaces = {row["namespace"]: row for row in first["users"]["data"]["namespaces"]}
    assert all(row["connections"] >= row["users"] for row in namespaces.values())
    assert second["engine"]["data"]["command_number"] == 150
    assert second["engine"]["seq"] > first["engine"]["seq"]
    (sockets,) = second["system"]["data"]["sockets"]
    assert sockets["process"] == "web:41"
    assert sockets["frames_per_second"] > 100


async def test_says_so_when_nobody_answers(pipeline: LivePipeline, server: LiveServer) -> None:
    boss = await asyncio.to_thread(Person, "boss", pipeline.exchange, role=Role.ADMIN)
    client = await login(server, boss, "/ws/admin")

    await client.send(op="subscribe", channels=["engine", "system"])
    first = await client.snapshots("engine", "system")

    engine = first["engine"]["data"]
    assert engine.pop("projector")["available"] is True
    assert engine.pop("available") is False
    assert set(engine.values()) == {None}
    assert first["system"]["data"]["processes"] == []


async def test_lets_in_staff_only_and_to_what_their_role_sees(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    trader = await asyncio.to_thread(Person, "trader", pipeline.exchange)
    support = await asyncio.to_thread(Person, "support", pipeline.exchange, role=Role.SUPPORT)

    refused = await server.connect("/ws/admin")
    await refused.send(op="auth", id=1, token=trader.token)
    why = await refused.receive()
    code = await refused.closed()
    silent = await server.connect("/ws/admin")
    await silent.send(op="subscribe", channels=["users"])
    unknown = await silent.receive()
    client = await login(server, support, "/ws/admin")
    await client.send(op="subscribe", id=2, channels=["users", "system"])
    forbidden = await client.receive()
    await client.send(op="subscribe", id=3, channels=["nothing"])
    nothing = await client.receive()
    await client.send(op="place", id=4, params={})
    no_orders = await client.receive()
    await client.send(op="subscribe", id=5, channels=["users"])
    allowed = await client.receive()

    assert (why["error"]["code"], code) == ("PERMISSION_DENIED", 4001)
    assert unknown["error"]["code"] == "NOT_AUTHENTICATED"
    assert (forbidden["error"]["code"], forbidden["error"]["channel"]) == (
        "PERMISSION_DENIED",
        "system",
    )
    assert nothing["error"]["code"] == "UNKNOWN_CHANNEL"
    assert no_orders["error"]["code"] == "UNKNOWN_TYPE"
    assert allowed["type"] == "subscribed"
    assert (await client.receive())["channel"] == "users"


async def test_alerts_come_and_go(
    pipeline: LivePipeline, server: LiveServer, redis_client: redis_module.Redis
) -> None:
    boss = await asyncio.to_thread(Person, "boss", pipeline.exchange, role=Role.RISK_MANAGER)
    client = await login(server, boss, "/ws/admin")

    await client.send(op="subscribe", channels=["alerts", "liquidations"])
    first = await client.snapshots("alerts", "liquidations")
    redis_client.set(keys.status(), _status())
    codes = {"NO_LEADER"}
    async with asyncio.timeout(20):
        while "NO_LEADER" in codes:
            update = await client.until(channel="alerts", type="update")
            codes = {alert["code"] for alert in update["data"]["alerts"]}

    alerts = msgspec.convert(first["alerts"]["data"], type=ws_shapes.Alerts)
    assert (alerts.phase, alerts.alerts[0].code) == ("down", "NO_LEADER")
    assert first["liquidations"]["data"] == {"liquidations": []}
    assert update["data"]["phase"] == "trading"
    # Nobody feeds prices in this test.
    assert "NOT_READY" in codes


async def test_support_hears_neither_alerts_nor_liquidations(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    support = await asyncio.to_thread(Person, "support", pipeline.exchange, role=Role.SUPPORT)
    client = await login(server, support, "/ws/admin")

    codes = []
    for channel in ("alerts", "liquidations"):
        await client.send(op="subscribe", channels=[channel])
        codes.append((await client.receive())["error"]["code"])

    assert codes == ["PERMISSION_DENIED"] * 2


def test_who_hears_alerts_may_see_all_that_they_are_about() -> None:
    about = {Permission.BACK_OFFICE, Permission.MARKETS_VIEW, Permission.EXPOSURE_VIEW}
    hearing = [own for own in ROLE_PERMISSIONS.values() if CHANNELS_OF_STAFF["alerts"] in own]

    assert len(hearing) == 4
    assert all(about <= own for own in hearing)


async def test_hears_no_more_after_unsubscribing(
    pipeline: LivePipeline, server: LiveServer
) -> None:
    boss = await asyncio.to_thread(Person, "boss", pipeline.exchange, role=Role.ADMIN)
    client = await login(server, boss, "/ws/admin")
    await client.send(op="subscribe", channels=["engine", "users"])
    await client.snapshots("engine", "users")

    await client.send(op="unsubscribe", id=1, channels=["users", "never"])
    await client.until(type="unsubscribed")
    frames = [await client.receive() for _ in range(2)]

    assert {frame["channel"] for frame in frames} == {"engine"}


def test_what_a_dead_process_published_is_forgotten(redis_client: redis_module.Redis) -> None:
    metrics.publish(redis_client, metrics.collect("web", CollectorRegistry()), member="web:1")
    redis_client.delete(metrics.member_key("web:1"))
    metrics.publish(redis_client, metrics.collect("web", CollectorRegistry()), member="web:2")

    found = metrics.read(redis_client)

    assert [publication.process for publication in found] == ["web"]
    assert redis_client.smembers(metrics.index_key()) == {b"web:2"}
