"""An exchange process on a database with markets and a rich account, and orders for it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange import gateway
from exchange.core.commands import PlaceOrder
from exchange.core.enums import Side, TimeInForce
from exchange.core.rejects import Code
from exchange.core.units import ATOMS
from exchange.models import LogPosition
from exchange.processor import make_projections
from exchange.replay import replay_log
from exchange.store.factory import open_store
from exchange.store.loader import rows_hash
from tests.support.databases import OwnDatabase
from tests.support.exchange import ExchangeHarness, limit_order
from tests.support.processes import ExchangeProcess, RedisProcess, wait_until

ALICE = 1_000_000_001


@pytest.fixture
def process(
    own_database: OwnDatabase,
    redis_server: RedisProcess,
    settings: object,
    tmp_path: Path,
) -> Iterator[ExchangeProcess]:
    """An exchange process on a seeded database, not started."""
    settings.EXCHANGE_TRANSPORT = "redis"  # type: ignore[attr-defined]
    harness = ExchangeHarness()
    harness.seed_markets()
    harness.add_account(ALICE, BTC=10, USDT=1_000_000)
    LogPosition.objects.update(owner="", owner_pid=0)
    exchange = make_process(own_database, redis_server, tmp_path)
    yield exchange
    if exchange.process is not None and exchange.process.poll() is None:
        exchange.process.send_signal(signal.SIGCONT)
        exchange.stop()


def make_process(database: OwnDatabase, server: RedisProcess, var_dir: Path) -> ExchangeProcess:
    return ExchangeProcess(var_dir=var_dir, database=database, redis_url=server.url)


def wait_for_leader(epoch: int) -> None:
    wait_until(lambda: gateway.status().leader and gateway.status().epoch == epoch, 30)
    # A machine so busy that the start took ten seconds reopens in phases.
    wait_until(lambda: gateway.status().phase == "trading", 30)


def order_of_alice(
    price: int = 100,
    client_order_id: str = "",
    time_in_force: TimeInForce = TimeInForce.GTC,
) -> PlaceOrder:
    """Return a buy that nobody takes: it rests, or ends at once if it may not."""
    return limit_order(
        ALICE,
        Side.BUY,
        price=price,
        quantity_atoms=ATOMS,
        client_order_id=client_order_id,
        request_hash=price,
        time_in_force=time_in_force,
    )


def place(price: int = 100, client_order_id: str = "") -> int:
    """Place an order that must be accepted and return its number."""
    outcome = gateway.submit(order_of_alice(price, client_order_id))
    assert outcome.code is Code.OK, outcome
    return outcome.reference_id


def assert_rows_and_replay_agree() -> None:
    store = open_store()
    assert rows_hash(store, make_projections()) == replay_log(store).state_hash()
