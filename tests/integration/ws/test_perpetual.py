"""Perpetual markets over real sockets: marks, funding, liquidations and one's own positions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from accounts import authentication, sessions
from common import limits
from exchange.core.commands import (
    Credit,
    MoveInsurance,
    PlaceOrder,
    SetLeverage,
    SetMarginMode,
    SetMarketStatus,
    UpdateIndexPrices,
)
from exchange.core.enums import (
    MarginMode,
    MarketStatus,
    OrderType,
    Side,
    TimeInForce,
    WalletKind,
)
from exchange.core.units import ATOMS
from markets import selectors
from riskengine.notices import notices_send
from riskengine.types import MarginCallInfo
from tests.support.engine import units
from tests.support.exchange import BTC, USDT
from tests.support.live import LivePipeline, LiveServer
from tests.support.people import Person, login
from tests.support.perpetual import GROUP, contract, perpetual_market

pytestmark = pytest.mark.integration

PERP = 3
SYMBOL = "BTC-USDT-PERP"


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    """Begin like a process that has just started."""
    limits.reset()
    sessions.reset()
    authentication.forget_checked()
    yield
    sessions.reset()


@pytest.fixture
def perpetual(pipeline: LivePipeline) -> LivePipeline:
    """A pipeline with BTC-USDT-PERP at 60,000."""
    pipeline.exchange.configure(
        perpetual_market(market_id=PERP, base_asset_id=BTC, quote_asset_id=USDT),
        contract(market_id=PERP),
        SetMarketStatus(PERP, MarketStatus.TRADING),
        MoveInsurance(GROUP, USDT, 1_000_000 * ATOMS, "seed", "tests"),
        UpdateIndexPrices(((PERP, units(60_000)),)),
    )
    selectors.cache_clear()
    return pipeline


def trader(perpetual: LivePipeline, name: str) -> Person:
    person = Person(name, perpetual.exchange)
    perpetual.exchange.configure(
        Credit(person.account_id, WalletKind.MARGIN, USDT, 100_000 * ATOMS, "test", "tests")
    )
    return person


@pytest.fixture
def alice(perpetual: LivePipeline) -> Person:
    return trader(perpetual, "alice")


@pytest.fixture
def bob(perpetual: LivePipeline) -> Person:
    return trader(perpetual, "bob")


def order(person: Person, side: Side, quantity: str) -> PlaceOrder:
    return PlaceOrder(
        person.account_id,
        PERP,
        side,
        OrderType.LIMIT,
        TimeInForce.GTC,
        units(60_000),
        units(quantity),
    )


async def do(perpetual: LivePipeline, *commands: Any) -> None:
    await asyncio.to_thread(perpetual.exchange.configure, *commands)


async def squeeze(perpetual: LivePipeline, alice: Person, bob: Person) -> None:
    """Let Alice be long with as little margin as there may be."""
    await do(
        perpetual,
        SetLeverage(alice.account_id, PERP, 125),
        SetMarginMode(alice.account_id, PERP, MarginMode.ISOLATED),
        order(bob, Side.SELL, "0.5"),
        order(alice, Side.BUY, "0.5"),
    )


async def test_mark_and_funding_follow_the_index(
    perpetual: LivePipeline, server: LiveServer
) -> None:
    client = await server.connect("/ws/market")
    await client.send(op="subscribe", channels=[f"mark:{SYMBOL}", "funding:BTC/USDT:USDT"])
    snapshots = await client.snapshots(f"mark:{SYMBOL}", "funding:BTC/USDT:USDT")

    await do(perpetual, UpdateIndexPrices(((PERP, units(60_500)),)))
    update = await client.until(channel=f"mark:{SYMBOL}", type="update")

    assert snapshots[f"mark:{SYMBOL}"]["data"]["mark_price"] == "60000.0"
    assert snapshots["funding:BTC/USDT:USDT"]["data"]["predicted_rate"] == "0.00010000"
    assert update["data"]["mark_price"] == "60500.0"
    assert update["data"]["state"] == "live"


async def test_a_doubtful_price_is_told(perpetual: LivePipeline, server: LiveServer) -> None:
    client = await server.connect("/ws/prices")
    await client.send(op="subscribe", channels=[f"mark:{SYMBOL}"])
    await client.snapshots(f"mark:{SYMBOL}")

    await do(perpetual, UpdateIndexPrices(((PERP, units(50_000)),), degraded=(PERP,)))
    update = await client.until(channel=f"mark:{SYMBOL}", type="update")

    assert (update["data"]["state"], update["data"]["mark_price"]) == ("degraded", "60000.0")


@pytest.mark.parametrize("kind", ["mark", "funding", "liquidations"])
async def test_a_spot_market_has_none_of_it(
    perpetual: LivePipeline, server: LiveServer, kind: str
) -> None:
    client = await server.connect("/ws/market")

    await client.send(op="subscribe", id=9, channels=[f"{kind}:BTC-USDT"])

    answer = await client.receive()
    assert (answer["type"], answer["id"]) == ("error", 9)
    assert answer["error"]["code"] == "UNKNOWN_CHANNEL"


async def test_a_liquidation_is_told_to_all_but_is_on_no_tape(
    perpetual: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await server.connect("/ws/market")
    channels = [f"liquidations:{SYMBOL}", f"trade:{SYMBOL}"]
    await client.send(op="subscribe", channels=channels)
    snapshots = await client.snapshots(*channels)
    await squeeze(perpetual, alice, bob)

    await do(perpetual, UpdateIndexPrices(((PERP, units(59_000)),)))
    update = await client.until(channel=channels[0], type="update")

    assert snapshots[channels[0]]["data"]["liquidations"] == []
    (step,) = update["data"]["liquidations"]
    assert (step["kind"], step["side"], step["quantity"]) == ("takeover", "sell", "0.500")
    # 60,000 less 1/125
    assert step["price"] == "59520.0"
    later = await server.connect("/ws/market")
    await later.send(op="subscribe", channels=channels)
    now = await later.snapshots(*channels)
    assert now[channels[0]]["data"]["liquidations"] == [step]
    assert [trade["price"] for trade in now[channels[1]]["data"]["trades"]] == ["60000.0"]


async def test_own_positions_open_change_and_end(
    perpetual: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    client = await login(server, alice)
    await client.send(op="subscribe", channels=["positions"])
    (empty,) = (await client.snapshots("positions")).values()

    await squeeze(perpetual, alice, bob)
    opened = await client.until(channel="positions", type="update")
    await do(perpetual, UpdateIndexPrices(((PERP, units(59_000)),)))
    ended = await client.until(channel="positions", type="update")

    assert empty["data"] == {"positions": []}
    position = opened["data"]
    assert (position["side"], position["quantity"], position["entry_price"]) == (
        "long",
        "0.500",
        "60000.0",
    )
    assert (position["margin_mode"], position["leverage"]) == ("isolated", 125)
    assert (position["isolated_margin"], position["closed"]) == ("240.00000000", None)
    assert (ended["data"]["id"], ended["data"]["quantity"]) == (position["id"], "0.000")
    assert ended["data"]["closed"]["reason"] == "takeover"
    assert ended["data"]["closed"]["exit_price"] == "59520.0"
    assert ended["seq"] > opened["seq"]


async def test_a_snapshot_holds_what_is_open(
    perpetual: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    await squeeze(perpetual, alice, bob)
    clients = {person: await login(server, person) for person in (alice, bob)}
    found = {}
    for person, client in clients.items():
        await client.send(op="subscribe", channels=["position:update"])
        (snapshot,) = (await client.snapshots("position:update")).values()
        found[person.account_id] = snapshot["data"]["positions"]

    assert [item["side"] for item in found[alice.account_id]] == ["long"]
    assert [item["side"] for item in found[bob.account_id]] == ["short"]


async def test_frames_are_as_described(
    perpetual: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    # Every frame that a test client receives is held to the AsyncAPI document.
    client = await login(server, bob)
    await client.send(op="subscribe", channels=["positions", "fills"])
    await client.snapshots("positions", "fills")
    await squeeze(perpetual, alice, bob)

    update = await client.until(channel="positions", type="update")

    assert update["data"]["side"] == "short"
    assert update["data"]["isolated_margin"] is None


async def test_a_margin_call_reaches_its_account_alone(
    perpetual: LivePipeline, server: LiveServer, alice: Person, bob: Person
) -> None:
    mine, other = await login(server, alice), await login(server, bob)
    for client in (mine, other):
        await client.send(op="subscribe", channels=["margin", "balances"])
        await client.snapshots("margin", "balances")
    call = MarginCallInfo(7, PERP, 80_000_000, 81_000_000, 1_000)

    notices_send(perpetual.redis, [(alice.account_id, call)])

    frame = await mine.until(channel="margin", type="update")
    assert frame["data"] == {
        "id": "7",
        "margin_mode": "isolated",
        "symbol": SYMBOL,
        "level": "0.8000",
        "margin_ratio": "0.8100",
        "time": 1_000,
    }
    # What comes to the other one next is not a call.
    await do(perpetual, Credit(bob.account_id, WalletKind.SPOT, USDT, 1, "test", "tests"))
    assert (await other.until(type="update"))["channel"] == "balances"
