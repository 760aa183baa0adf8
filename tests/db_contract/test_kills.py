"""Kill -9 of the real exchange inside its commit: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import itertools
import threading

from exchange import gateway
from exchange.core.commands import PlaceOrder
from exchange.core.enums import TimeInForce
from exchange.core.rejects import Code
from exchange.crash_points import read_phase
from exchange.errors import ExchangeError
from orders.models import Order
from tests.support.exchange_process import (
    ALICE,
    assert_rows_and_replay_agree,
    order_of_alice,
    process,
    wait_for_leader,
)
from tests.support.processes import ExchangeProcess, wait_until

__all__ = ["process"]

KILLS = 5
# Some strikes meet another phase; so many are tried.
STRIKES_MAX = 15
ACKNOWLEDGED_BETWEEN = 3
CLIENTS = 2


def order(client_id: str) -> PlaceOrder:
    """Return an order that does not rest: an account may only have so many open."""
    return order_of_alice(client_order_id=client_id, time_in_force=TimeInForce.IOC)


class Client:
    """Places orders, one after the other, and notes what it was told."""

    def __init__(self, name: str) -> None:
        self.acknowledged: dict[str, int] = {}
        self.unknown: list[str] = []
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            client_id = f"{self._name}-{number}"
            try:
                outcome = gateway.submit(order(client_id))
            except ExchangeError:
                self.unknown.append(client_id)
                self._stop.wait(0.05)
            else:
                assert outcome.code is Code.OK, outcome
                self.acknowledged[client_id] = outcome.reference_id


def test_what_was_acknowledged_is_there_once_after_each_kill(process: ExchangeProcess) -> None:
    process.start(EXCHANGE_PAUSE_AT="in_commit:60ms")
    wait_for_leader(2)
    clients = [Client(f"c{number}") for number in range(CLIENTS)]
    struck = 0
    try:
        for _ in range(STRIKES_MAX):
            seen = sum(len(client.acknowledged) for client in clients)
            wait_until(
                lambda seen=seen: (
                    sum(len(client.acknowledged) for client in clients)
                    >= seen + ACKNOWLEDGED_BETWEEN
                ),
                30,
            )
            wait_until(lambda: read_phase(process.var_dir) == "in_commit")
            process.kill()
            struck += read_phase(process.var_dir) == "in_commit"
            process.start(EXCHANGE_PAUSE_AT="in_commit:60ms")
            if struck == KILLS:
                break
    finally:
        for client in clients:
            client.stop()

    assert struck == KILLS
    wait_until(lambda: gateway.status().phase == "trading", 30)
    for client in clients:
        for client_id in client.unknown:
            outcome = gateway.submit(order(client_id))
            assert outcome.code is Code.OK
            client.acknowledged[client_id] = outcome.reference_id
    found = Order.objects.filter(account_id=ALICE).values_list("client_order_id", "id")
    told = {key: number for client in clients for key, number in client.acknowledged.items()}
    assert sorted(found) == sorted(told.items())
    assert process.stop() == 0
    assert_rows_and_replay_agree()
