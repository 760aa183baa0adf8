"""Orders over WebSocket and signed requests, through the SDK and the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts.models import User
from tests.integration.sdk.conftest import MakeClient
from tests.integration.sdk.test_streams import eventually
from tests.support.live import LiveServer
from tradingclient import (
    ApiKey,
    AsyncRestClient,
    AsyncTradingClient,
    AuthenticationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    StatusUnknownError,
    ed25519_key,
    hmac_key,
)

pytestmark = pytest.mark.integration

BUY = {"symbol": "BTC/USDT", "side": "buy", "type": "limit", "price": 49_000, "quantity": 1}


class TestOrdersOverWebSocket:
    async def test_are_placed_amended_and_cancelled(self, connect: MakeClient) -> None:
        client = connect("alice")
        account = await client.subscribe_user_streams()
        trading = client.trading

        placed = await trading.place_order(**BUY, client_order_id="mine")  # type: ignore[arg-type]
        assert (placed.status, placed.price, placed.client_order_id) == ("open", 49_000, "mine")
        await eventually(lambda: placed.id in account.orders)
        amended = await trading.amend_order(placed.id, quantity=Decimal("0.5"))
        assert amended.quantity == Decimal("0.5")
        cancelled = await trading.cancel_order(client_order_id="mine")

        assert (cancelled.status, cancelled.reason) == ("cancelled", "user_cancelled")
        await eventually(lambda: not account.orders)

    async def test_come_in_batches_with_a_result_each(self, connect: MakeClient) -> None:
        trading = connect("alice").trading

        results = await trading.place_orders([BUY] * 41 + [BUY | {"quantity": "0.000001"}])

        assert [result.status for result in results] == [201] * 41 + [422]
        assert results[-1].error is not None
        assert results[-1].error.code == "LOT_SIZE"
        ids = [result.order.id for result in results if result.order is not None]
        assert len(await trading.cancel_orders(ids[:10])) == 10
        assert len(await trading.cancel_all("BTC-USDT")) == 31

    async def test_are_many_on_their_way_at_once(self, connect: MakeClient) -> None:
        trading = connect("alice").trading

        placed = await asyncio.gather(
            *(trading.place_order(**BUY) for _ in range(20))  # type: ignore[arg-type]
        )

        assert len({order.id for order in placed}) == 20

    @pytest.mark.parametrize(
        ("change", "family", "code"),
        [
            ({"quantity": Decimal("0.000001")}, RefusedError, "LOT_SIZE"),
            ({"quantity": 10_000}, RefusedError, "QUANTITY_TOO_LARGE"),
            ({"price": "abc"}, InvalidRequestError, "VALIDATION_ERROR"),
            ({"symbol": "NO-SUCH"}, NotFoundError, "MARKET_NOT_FOUND"),
        ],
    )
    @pytest.mark.parametrize("way", ["trading", "rest"])
    async def test_are_refused_alike_on_both_ways(
        self,
        connect: MakeClient,
        way: str,
        change: dict[str, Any],
        family: type[Exception],
        code: str,
    ) -> None:
        client = connect("alice")
        account = await client.subscribe_user_streams()
        before = dict(account.balances)

        with pytest.raises(family) as caught:
            await getattr(client, way).place_order(**BUY | change)

        assert caught.value.code == code  # type: ignore[attr-defined]
        if code == "VALIDATION_ERROR":
            assert caught.value.fields == {"price": "INVALID_DECIMAL"}  # type: ignore[attr-defined]
        assert await client.rest.open_orders() == []
        assert account.balances == before

    async def test_under_a_used_id_conflict(self, connect: MakeClient) -> None:
        trading = connect("alice").trading
        first = await trading.place_order(**BUY, client_order_id="a")  # type: ignore[arg-type]

        again = await trading.place_order(**BUY, client_order_id="a")  # type: ignore[arg-type]
        with pytest.raises(ConflictError) as caught:
            await trading.place_order(
                **BUY | {"quantity": 2},  # type: ignore[arg-type]
                client_order_id="a",
            )

        assert again.id == first.id
        assert caught.value.code == "CLIENT_ORDER_ID_CONFLICT"

    async def test_whose_answer_was_lost_are_found(self, connect: MakeClient) -> None:
        client = connect("alice")
        connection = client.connection("user")
        await connection.ready()
        request = connection.request

        async def lose(op: str, **options: Any) -> Any:
            await request(op, **options)
            raise StatusUnknownError("CONNECTION_LOST")

        connection.request = lose  # type: ignore[method-assign]

        placed = await client.trading.place_order(**BUY)  # type: ignore[arg-type]

        assert [order.id for order in await client.rest.open_orders()] == [placed.id]

    async def test_are_cancelled_when_the_connection_ends_if_that_was_asked(
        self, connect: MakeClient
    ) -> None:
        client, watcher = connect("alice"), connect("alice")
        await client.trading.cancel_on_disconnect()
        await client.trading.place_order(**BUY)  # type: ignore[arg-type]
        account = await watcher.subscribe_user_streams()
        assert len(account.orders) == 1

        client.connection("user").drop()

        await eventually(lambda: not account.orders)
        # It was set again with the new connection.
        await eventually(lambda: client.connection("user").reconnects == 1)
        await client.trading.place_order(**BUY)  # type: ignore[arg-type]
        client.connection("user").drop()
        await eventually(lambda: len(account.orders) == 0)


class TestKeys:
    @pytest.fixture
    async def made(self, connect: MakeClient) -> Callable[..., Awaitable[dict[str, Any]]]:
        client = connect("alice")

        async def make(*scopes: str, **options: Any) -> dict[str, Any]:
            body = {"name": "bot", "scopes": list(scopes), **options}
            return await client.rest.request("POST", "/api/auth/api-keys", body)

        return make

    async def rest(self, server: LiveServer, key: ApiKey) -> AsyncRestClient:
        return AsyncRestClient(f"http://127.0.0.1:{server.port}", credentials=key)

    async def test_of_both_kinds_sign_queries_and_bodies(
        self, made: Any, server: LiveServer, users: dict[str, User]
    ) -> None:
        private_key = Ed25519PrivateKey.generate()
        pem = private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = private_key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        shared = await made("read", "trade")
        own = await made("read", "trade", kind="ed25519", public_key=public.decode())
        for key in (hmac_key(shared["key"], shared["secret"]), ed25519_key(own["key"], pem)):
            async with await self.rest(server, key) as rest:
                placed = await rest.place_order(**BUY)  # type: ignore[arg-type]

                assert [order.id for order in await rest.open_orders("BTC/USDT")] == [placed.id]
                assert (await rest.cancel_order(placed.id)).status == "cancelled"

    async def test_trade_over_websocket_and_come_back(
        self, made: Any, server: LiveServer, users: dict[str, User]
    ) -> None:
        shared = await made("read", "trade")
        key = hmac_key(shared["key"], shared["secret"])
        url = f"http://127.0.0.1:{server.port}"
        async with AsyncTradingClient(url, credentials=key) as client:
            account = await client.subscribe_user_streams()
            placed = await client.trading.place_order(**BUY)  # type: ignore[arg-type]
            await eventually(lambda: placed.id in account.orders)

            client.connection("user").drop()

            await eventually(lambda: client.connection("user").reconnects == 1)
            await eventually(lambda: account.is_live)

    async def test_without_a_scope_may_only_read(
        self, made: Any, server: LiveServer, users: dict[str, User]
    ) -> None:
        shared = await made("read")
        async with await self.rest(server, hmac_key(shared["key"], shared["secret"])) as rest:
            assert await rest.open_orders() == []
            with pytest.raises(PermissionDeniedError) as caught:
                await rest.place_order(**BUY)  # type: ignore[arg-type]
        assert caught.value.code == "KEY_SCOPE"

    async def test_with_a_wrong_secret_are_refused_for_good(
        self, made: Any, server: LiveServer, users: dict[str, User]
    ) -> None:
        shared = await made("read")
        key = hmac_key(shared["key"], shared["secret"][::-1])
        async with AsyncTradingClient(f"http://127.0.0.1:{server.port}", credentials=key) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.rest.balances()
            assert caught.value.code == "INVALID_SIGNATURE"
            with pytest.raises(AuthenticationError) as caught:
                await client.subscribe_user_streams()
            assert caught.value.code == "INVALID_SIGNATURE"
