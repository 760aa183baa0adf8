"""Many at once for what only so many can have; the results are exact."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from simulation.siege.client import Client

Result = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A user with a session and money."""

    username: str
    account_id: int
    access_token: str
    refresh_token: str


def at_once(count: int, send: Callable[[Client, int], Result], address: tuple[str, int]) -> list:
    """Let ``count`` threads, each with a connection that is open, send in the same moment."""
    gate = threading.Barrier(count)

    def one(number: int) -> Result:
        client = Client(*address)
        client.call("GET", "/api/health/live")
        gate.wait()
        try:
            return send(client, number)
        finally:
            client.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def codes(results: list[Result]) -> Counter[str]:
    """Count answers by status, and by code where they are refusals."""
    return Counter(
        str(status) if status < 400 else f"{status} {body['error']['code']}"
        for status, body in results
    )


def race_orders(address: tuple[str, int], member: Member, *, affordable: int) -> list[str]:
    """Send 200 orders against a balance that pays for ``affordable`` of them."""

    def send(client: Client, number: int) -> Result:
        body = {
            "symbol": "BTC-USDT",
            "side": "sell",
            "type": "limit",
            "quantity": "0.001",
            "price": "900000",
            "client_order_id": f"race-{number}",
        }
        return client.call("POST", "/api/orders", body, member.access_token)

    found = codes(at_once(200, send, address))
    client = Client(*address)
    _, orders = client.call("GET", "/api/orders?limit=500", token=member.access_token)
    _, wallet = client.call("GET", "/api/wallet/BTC", token=member.access_token)
    (balance,) = (row for row in wallet["balances"] if row["wallet"] == "spot")
    return _faults(
        (
            "orders at once",
            found,
            {"201": affordable, "422 INSUFFICIENT_BALANCE": 200 - affordable},
        ),
        ("orders that are open", len(orders["items"]), affordable),
        ("held of the balance", balance["held"], balance["total"]),
        ("what is available", Decimal(balance["available"]), 0),
    )


def race_transfers(
    address: tuple[str, int], sender: Member, receiver: Member, *, affordable: int
) -> list[str]:
    """Send 200 transfers of 1 USDT from a balance that pays for ``affordable`` of them."""

    def send(client: Client, number: int) -> Result:
        body = {
            "currency": "USDT",
            "amount": "1",
            "to_wallet": "spot",
            "to_username": receiver.username,
            "client_transfer_id": f"race-{number}",
        }
        return client.call("POST", "/api/wallet/transfer", body, sender.access_token)

    found = codes(at_once(200, send, address))
    client = Client(*address)
    totals = []
    for member in (sender, receiver):
        _, wallet = client.call("GET", "/api/wallet/USDT", token=member.access_token)
        totals.append(sum(Decimal(row["total"]) for row in wallet["balances"]))
    expected = {"201": affordable, "422 INSUFFICIENT_BALANCE": 200 - affordable}
    return _faults(
        ("transfers at once", found, expected),
        ("balances after the transfers", totals, [0, affordable]),
    )


def race_client_ids(address: tuple[str, int], member: Member) -> list[str]:
    """Send one order 50 times under one client id."""

    def send(client: Client, _number: int) -> Result:
        body = {
            "symbol": "BTC-USDT",
            "side": "buy",
            "type": "limit",
            "quantity": "0.001",
            "price": "1000",
            "client_order_id": "the-only-one",
        }
        return client.call("POST", "/api/orders", body, member.access_token)

    results = at_once(50, send, address)
    client = Client(*address)
    _, orders = client.call("GET", "/api/orders", token=member.access_token)
    return _faults(
        ("equal client ids at once", codes(results), {"201": 1, "200": 49}),
        ("numbers they answered", len({body["id"] for _, body in results}), 1),
        ("orders that are open", len(orders["items"]), 1),
    )


def race_refreshes(address: tuple[str, int], member: Member) -> list[str]:
    """Use one refresh token 20 times."""

    def send(client: Client, _number: int) -> Result:
        return client.call("POST", "/api/auth/refresh", {"refresh_token": member.refresh_token})

    results = at_once(20, send, address)
    (pair,) = (body for status, body in results if status == 200)
    client = Client(*address)
    after = [
        client.call("GET", "/api/auth/profile", token=pair["access_token"]),
        client.call("POST", "/api/auth/refresh", {"refresh_token": pair["refresh_token"]}),
    ]
    return _faults(
        ("refreshes at once", codes(results), {"200": 1, "401 TOKEN_REUSED": 19}),
        (
            "the family afterwards",
            codes(after),
            {"401 TOKEN_REVOKED": 2},
        ),
    )


def _faults(*checks: tuple[str, Any, Any]) -> list[str]:
    return [
        f"{what}: expected {expected}, was {found}"
        for what, found, expected in checks
        if found != expected
    ]
