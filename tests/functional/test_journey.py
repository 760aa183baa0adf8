"""A newcomer's way through the running platform: make run, trade, kill the exchange, go on."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import websockets

from tests.support.platform import PASSWORD, Platform, wait_until
from tradingplatform.environment import SHEET_PASSWORD
from tradingplatform.supervisor import state as states


# One platform serves all tests of this module, in their order (--dist=loadscope keeps them in
# one process).
@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("journey"))
    # At this level each process says which request it works for.
    platform.environment["LOG_LEVEL"] = "debug"
    platform.start()
    yield platform
    if platform.process is not None and platform.process.poll() is None:
        platform.stop(signal.SIGTERM)


class Trader:
    """One logged-in user."""

    def __init__(self, platform: Platform, username: str, password: str = PASSWORD) -> None:
        self.http = httpx.Client(base_url=platform.url, timeout=10)
        answer = self.http.post(
            "/api/auth/login", json={"username": username, "password": password}
        )
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def place(self, **order: Any) -> httpx.Response:
        return self.http.post("/api/orders", json={"symbol": "BTC-USDT", "type": "limit", **order})

    def total(self, currency: str) -> Decimal:
        answer = self.http.get(f"/api/wallet/{currency}")
        assert answer.status_code == 200, answer.text
        return sum((Decimal(row["total"]) for row in answer.json()["balances"]), Decimal(0))

    def last_entry(self) -> dict[str, Any]:
        return dict(self.http.get("/api/wallet/history?limit=1").json()["items"][0])


def reference_price(platform: Platform) -> str:
    ticker = httpx.get(f"{platform.url}/api/markets/BTC-USDT/ticker").json()
    return f"{Decimal(ticker['index_price']):.0f}"


async def moving_prices(platform: Platform, count: int) -> set[str]:
    seen: set[str] = set()
    address = f"ws://127.0.0.1:{platform.port}/ws/prices"
    async with websockets.connect(address) as connection:
        await connection.send(
            json.dumps({"op": "subscribe", "id": "1", "channels": ["price:BTC/USDT"]})
        )
        async with asyncio.timeout(30):
            while len(seen) < count:
                frame = json.loads(await connection.recv())
                # Acknowledgements, heartbeats and resets carry no price.
                if frame.get("type") in ("snapshot", "update"):
                    seen.add(frame["data"]["index_price"])
    return seen


def test_everything_is_there(platform: Platform) -> None:
    for path in ("/", "/api/docs", "/api/health", "/api/health/live", "/static/site.css"):
        assert httpx.get(platform.url + path).status_code == 200, path
    assert httpx.get(f"{platform.url}/admin/", follow_redirects=True).status_code == 200
    ready = httpx.get(f"{platform.url}/api/health/ready").json()
    assert ready["status"] == "ok"
    assert all(check["ok"] for check in ready["checks"].values())


def test_metrics_of_every_process_are_on_one_page(platform: Platform) -> None:
    def seen() -> bool:
        page = httpx.get(f"{platform.url}/api/metrics").text
        return all(f'process="{name}"' in page for name in ("exchange", "projector", "web", "feed"))

    wait_until(seen, 20, "metrics are missing")


def test_prices_move(platform: Platform) -> None:
    assert len(asyncio.run(moving_prices(platform, 2))) == 2


def test_second_run_is_refused_in_one_line(platform: Platform) -> None:
    done = platform.manage("run_all")

    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "already running" in done.stderr


def test_newcomer_registers(platform: Platform) -> None:
    body = {"username": "carol", "email": "carol@example.com", "password": PASSWORD}

    answer = httpx.post(f"{platform.url}/api/auth/register", json=body, timeout=10)

    assert answer.status_code == 201
    carol = Trader(platform, "carol")
    assert carol.http.get("/api/auth/profile").json()["username"] == "carol"
    assert carol.total("BTC") == 0


def trade(platform: Platform, quantity: str) -> None:
    alice, bob = Trader(platform, "alice"), Trader(platform, "bob")
    price = reference_price(platform)
    before = alice.total("BTC"), bob.total("BTC")

    resting = alice.place(side="sell", price=price, quantity=quantity)
    taking = bob.place(side="buy", price=price, quantity=quantity, time_in_force="ioc")

    assert resting.status_code == 201, resting.text
    assert resting.json()["status"] == "open"
    assert taking.status_code == 201, taking.text
    assert taking.json()["status"] == "filled"
    amount = Decimal(quantity)
    assert (alice.total("BTC"), bob.total("BTC")) == (before[0] - amount, before[1] + amount)
    for trader in (alice, bob):
        fill = trader.http.get("/api/fills?limit=1").json()["items"][0]
        assert Decimal(fill["quantity"]) == amount
        entry = trader.last_entry()
        assert entry["kind"] == "trade"
        assert {change["currency"] for change in entry["changes"]} == {"BTC", "USDT"}


def test_two_users_trade(platform: Platform) -> None:
    trade(platform, "0.01")


def logged(platform: Platform, process: str, event: str) -> list[dict[str, Any]]:
    """Return the lines of a process's log that say so, oldest first."""
    path = platform.var_dir / "log" / f"{process}.log"
    text = path.read_text() if path.exists() else ""
    # The last line may be half written.
    lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [found for found in map(json.loads, lines) if found["event"] == event]


def test_an_export_is_written_under_the_request_that_asked_for_it(platform: Platform) -> None:
    admin = Trader(platform, "admin@example.com", SHEET_PASSWORD)
    body = {"kind": "orders", "reason": "yearly audit"}

    asked = admin.http.post(
        "/api/admin/exports", json=body, headers={"X-Request-Id": "export-of-admin-1"}
    )

    assert (asked.status_code, asked.headers["x-request-id"]) == (201, "export-of-admin-1")

    def lines(event: str) -> list[dict[str, Any]]:
        found = logged(platform, "worker", event)
        return [line for line in found if line.get("request_id") == "export-of-admin-1"]

    wait_until(lambda: bool(lines("job_run")), 60, "the worker does not name the request")
    (written,) = lines("export_written")
    assert written["job"] == "adminpanel.write_exports"
    assert str(written["export_id"]) == asked.json()["id"]


async def place_over_socket(platform: Platform, trader: Trader, **order: Any) -> dict[str, Any]:
    """Send an order over /ws/user; return what became of it."""
    async with (
        asyncio.timeout(60),
        websockets.connect(f"ws://127.0.0.1:{platform.port}/ws/user") as connection,
    ):
        await connection.send(json.dumps({"op": "auth", "id": 1, "token": trader.token}))
        params = {"symbol": "BTC-USDT", "type": "limit", **order}
        await connection.send(json.dumps({"op": "place", "id": 2, "params": params}))
        while (answer := json.loads(await connection.recv())).get("id") != 2:
            pass
    return dict(answer)


def test_an_order_over_a_socket_has_one_id_in_every_process(platform: Platform) -> None:
    alice = Trader(platform, "alice")
    price = reference_price(platform)

    answer = asyncio.run(
        place_over_socket(platform, alice, side="sell", price=price, quantity="0.04")
    )

    assert (answer["type"], answer["status"]) == ("result", 201), answer
    (answered,) = logged(platform, "web", "order_entry_answered")
    request_id = answered["request_id"]
    assert answer["request_id"] == request_id
    wait_until(
        lambda: any(
            request_id in line["request_ids"]
            for line in logged(platform, "projector", "batch_projected")
        ),
        30,
        "the projector does not name the request",
    )
    committed = [
        (line["command"], line["result"])
        for line in logged(platform, "exchange", "command_committed")
        if line["request_id"] == request_id
    ]
    assert committed == [("PlaceOrder", "OK")]
    assert alice.http.delete(f"/api/orders/{answer['data']['id']}").status_code == 200


def test_trading_goes_on_after_the_exchange_was_killed(platform: Platform) -> None:
    alice = Trader(platform, "alice")
    resting = alice.place(side="sell", price=reference_price(platform), quantity="0.02").json()
    pid = platform.child("exchange").pid
    assert pid is not None

    os.kill(pid, signal.SIGKILL)

    wait_until(
        lambda: platform.child("exchange").pid not in (None, pid), 30, "the exchange stayed away"
    )
    wait_until(
        lambda: httpx.get(f"{platform.url}/api/health/ready").status_code == 200,
        60,
        "not ready again",
    )
    found = alice.http.get(f"/api/orders/{resting['id']}").json()
    assert found["status"] == "open"
    wait_until(
        lambda: alice.http.delete(f"/api/orders/{resting['id']}").status_code == 200,
        30,
        "the order could not be cancelled",
    )
    trade(platform, "0.03")


def test_ctrl_c_leaves_nothing_and_everything_is_there_after_the_next_start(
    platform: Platform,
) -> None:
    before = Trader(platform, "bob").total("BTC")
    state = states.read(platform.var_dir)
    assert state is not None
    pids = [child.pid for child in state.children.values() if child.pid]

    assert platform.stop() == 0

    assert [pid for pid in pids if states.start_time(pid)] == []
    assert platform.manage("status").returncode == 1
    platform.start()
    assert Trader(platform, "bob").total("BTC") == before
    assert platform.manage("stop").stdout.strip() == "stopped"
