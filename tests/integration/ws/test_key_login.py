"""/ws/user with an API key: the signed first message, scopes, replay, the key's end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from accounts import api_keys, key_states, services, sockets
from accounts.models import User
from orders.models import Order
from tests.support.live import LiveClient, LivePipeline, LiveServer
from tests.support.signing import Signer

pytestmark = pytest.mark.integration

PATH = "/ws/user"


@pytest.fixture(autouse=True)
def fresh_keys() -> Iterator[None]:
    """Begin like a process that has just started."""
    key_states.reset()
    yield
    key_states.reset()


@pytest.fixture
def user(pipeline: LivePipeline) -> User:
    user = services.user_create(
        username="alice", email="alice@example.com", password="correct horse 9"
    )
    pipeline.exchange.add_account(user.account_id, BTC=1)
    return user


def make(user: User, **options: Any) -> tuple[Signer, int]:
    options.setdefault("scopes", ["read"])
    made = api_keys.api_key_create(user=user, name="bot", **options)
    return Signer(made.row.key, made.secret), made.row.pk


def auth_message(signer: Signer, path: str = PATH, **options: Any) -> dict[str, Any]:
    return {"op": "auth", "id": 1, "key": signer.key, **signer.parts("GET", path, **options)}


async def login(server: LiveServer, message: dict[str, Any]) -> tuple[LiveClient, dict[str, Any]]:
    client = await server.connect(PATH)
    await client.send(**message)
    return client, await client.receive()


async def test_a_key_reads_its_owners_channels(server: LiveServer, user: User) -> None:
    signer, _ = await asyncio.to_thread(make, user)

    client, answer = await login(server, auth_message(signer))
    await client.send(op="subscribe", channels=["balances"])
    (snapshot,) = (await client.snapshots("balances")).values()

    assert answer["type"] == "authenticated", answer
    assert (answer["account_id"], answer["expires_at"]) == (str(user.account_id), None)
    assert snapshot["data"]["balances"][0]["currency"] == "BTC"


async def test_t14_a_key_without_read_sees_nothing(server: LiveServer, user: User) -> None:
    signer, _ = await asyncio.to_thread(make, user, scopes=["trade"])

    client, answer = await login(server, auth_message(signer))
    await client.send(op="subscribe", id=2, channels=["balances"])
    refusal = await client.receive()

    assert answer["type"] == "authenticated"
    assert (refusal["id"], refusal["error"]["code"]) == (2, "KEY_SCOPE")


async def test_t14_a_key_without_trade_places_nothing(server: LiveServer, user: User) -> None:
    signer, _ = await asyncio.to_thread(make, user)
    order = {"symbol": "BTC-USDT", "side": "sell", "type": "limit", "price": "1", "quantity": "1"}

    client, _ = await login(server, auth_message(signer))
    await client.send(op="place", id=2, params=order)
    refusal = await client.receive()

    assert (refusal["id"], refusal["error"]["code"]) == (2, "KEY_SCOPE"), refusal
    assert not await asyncio.to_thread(Order.objects.exists)


@pytest.mark.parametrize(
    ("_case", "options", "change", "code"),
    [
        ("signed for REST", {"path": "/api/wallet"}, {}, "INVALID_SIGNATURE"),
        ("no such key", {}, {"key": "f" * 32}, "INVALID_SIGNATURE"),
        ("no signature", {}, {"signature": None}, "INVALID_SIGNATURE"),
        ("another nonce", {}, {"nonce": "another-nonce"}, "INVALID_SIGNATURE"),
        ("no nonce", {}, {"nonce": None}, "INVALID_PARAMETER"),
        ("too old", {"timestamp": 1_600_000_000_000}, {}, "TIMESTAMP_OUT_OF_WINDOW"),
        ("too wide", {"recv_window": 60_001}, {}, "INVALID_PARAMETER"),
    ],
)
async def test_t16_t17_a_wrong_first_message_closes(
    server: LiveServer,
    user: User,
    _case: str,
    options: dict[str, Any],
    change: dict[str, Any],
    code: str,
) -> None:
    signer, _ = await asyncio.to_thread(make, user)

    client, answer = await login(server, {**auth_message(signer, **options), **change})

    assert answer["error"]["code"] == code, answer
    assert ("server_time" in answer["error"]) is (code == "TIMESTAMP_OUT_OF_WINDOW")
    assert await client.closed() == 4001


async def test_t17_a_recorded_login_does_not_work_again(server: LiveServer, user: User) -> None:
    signer, _ = await asyncio.to_thread(make, user)
    message = auth_message(signer)

    _, first = await login(server, message)
    client, second = await login(server, message)

    assert first["type"] == "authenticated"
    assert second["error"]["code"] == "NONCE_REUSED"
    assert await client.closed() == 4001


async def test_t14_only_from_its_addresses(server: LiveServer, user: User) -> None:
    signer, _ = await asyncio.to_thread(make, user, networks=["192.0.2.0/24"])

    client, answer = await login(server, auth_message(signer))

    assert answer["error"]["code"] == "IP_NOT_ALLOWED"
    assert await client.closed() == 4001


async def test_t23_an_expired_key_is_told_and_closed(
    server: LiveServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "REAUTH_WITHIN_S", 0.2)
    soon = int(time.time() * 1000) + 700
    signer, _ = await asyncio.to_thread(make, user, expires_at_ms=soon)

    client, answer = await login(server, auth_message(signer))
    told = await client.until(type="auth_expired")

    assert answer["expires_at"] == soon
    assert told["type"] == "auth_expired"
    assert await client.closed() == 4001
