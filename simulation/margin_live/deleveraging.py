"""
A deleveraging on real processes: nobody's fund pays, so a winner's position is closed.

Alice falls below her bankruptcy price while the insurance fund is empty. Celery's sweep ranks
the other side and offers it; the exchange closes Alice's position against Bob's, who has the
most to win, and leaves Carol's alone. Bob is told on ``/ws/user`` and finds it over REST.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from exchange.core.enums import Side
from simulation.margin_live.setup import PRICE, SYMBOL, Stage, order_body
from simulation.siege.client import Client
from simulation.siege.races import Member
from simulation.siege.run import verified

FALLEN = 58_000
WAIT_S = 30.0


class Watcher(threading.Thread):
    """Keeps every frame of an account's private stream."""

    def __init__(self, url: str, member: Member) -> None:
        super().__init__(name=f"watch {member.username}", daemon=True)
        self._url, self._token = url, member.access_token
        self.frames: list[dict[str, Any]] = []
        self.subscribed = threading.Event()

    def run(self) -> None:
        """Log in, subscribe and read until the platform ends."""
        with connect(self._url) as socket:
            socket.send(json.dumps({"op": "auth", "id": 1, "token": self._token}))
            channels = ["positions", "fills", "balances"]
            socket.send(json.dumps({"op": "subscribe", "id": 2, "channels": channels}))
            try:
                for text in socket:
                    frame = json.loads(text)
                    self.frames.append(frame)
                    if frame.get("type") == "subscribed" or frame.get("id") == 2:
                        self.subscribed.set()
            except ConnectionClosed:
                return

    def updates(self, channel: str) -> list[dict[str, Any]]:
        """Return the data of the updates of a channel."""
        return [
            frame["data"]
            for frame in list(self.frames)
            if frame.get("channel") == channel and frame.get("type") == "update"
        ]


class DeleveragingRun:
    """One deleveraging; ``faults`` says what was not as it must be."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self.seen: list[str] = []

    def run(self) -> bool:
        """Run it; returns whether all was as it must be."""
        with Stage("deleveraging", fund=0) as stage:
            self._play(stage)
        return not self.faults

    def lines(self) -> list[str]:
        """Return what to print."""
        return [*self.seen, f"deleveraging: {len(self.faults)} faults", *self.faults]

    def _expect(self, what: str, found: object, expected: object) -> None:
        if found == expected:
            self.seen.append(f"{what}: {found}")
        else:
            self.faults.append(f"{what}: expected {expected}, was {found}")

    def _play(self, stage: Stage) -> None:
        client = Client(*stage.address)
        alice = stage.member("alice", margin=1_500)
        bob = stage.member("bob", margin=5_000)
        carol = stage.member("carol", margin=100_000)

        def call(who: Member, method: str, path: str, body: Any = None) -> Any:
            status, found = client.call(method, path, body, who.access_token)
            if status not in (200, 201):
                raise SystemExit(f"{method} {path} of {who.username}: {status} {found}")
            return found

        settings = f"/api/positions/settings/{SYMBOL}"
        call(alice, "PUT", settings, {"leverage": 50})
        call(bob, "PUT", settings, {"leverage": 20})
        # Carol sells a little too, with far more behind it: less effective leverage.
        for seller, quantity in ((bob, "1"), (carol, "0.1")):
            call(seller, "POST", "/api/orders", order_body(Side.SELL, quantity, PRICE))
            buyer = alice if seller is bob else carol
            if seller is bob:
                call(buyer, "POST", "/api/orders", order_body(Side.BUY, quantity, PRICE))
        dave = stage.member("dave", margin=100_000)
        call(dave, "POST", "/api/orders", order_body(Side.BUY, "0.1", PRICE))
        watcher = Watcher(f"ws://127.0.0.1:{stage.world.port}/ws/user", bob)
        watcher.start()
        if not watcher.subscribed.wait(WAIT_S):
            raise SystemExit(f"no subscription: {watcher.frames}")

        def light(who: Member) -> Any:
            (found,) = call(who, "GET", "/api/positions")["positions"]
            return found["adl_light"]

        stage.world.wait(lambda: light(bob) is not None, "the sweep has ranked", WAIT_S)
        self._expect("ADL light of the first in line", light(bob), 5)
        self.seen.append(f"ADL light of the other: {light(carol)}")

        began = stage.marks.fall_to(FALLEN)
        stage.world.wait(
            lambda: any(update["closed"] for update in watcher.updates("positions")),
            "the winner is told that the position was deleveraged",
            WAIT_S,
        )
        self.seen.append(f"from the fall to the owner's frame: {time.monotonic() - began:.2f} s")
        self._look(watcher, call, alice, bob, carol)
        client.close()
        self.faults += stage.marks.faults
        self.faults += verified("verify_ledger")

    def _look(self, watcher: Watcher, call: Any, alice: Member, bob: Member, carol: Member) -> None:
        (told,) = (update["closed"] for update in watcher.updates("positions") if update["closed"])
        self._expect("reason on /ws/user", told["reason"], "deleveraging")
        fills = [fill["kind"] for fill in watcher.updates("fills")]
        self._expect("fills on /ws/user", fills, ["deleveraging"])
        self._expect(
            "open positions of the winner", call(bob, "GET", "/api/positions"), {"positions": []}
        )
        for who in (alice, bob):
            (closed,) = call(who, "GET", "/api/positions/history")["items"]
            self._expect(f"history of {who.username}", closed["reason"], "deleveraging")
            (fill, _) = call(who, "GET", f"/api/fills?symbol={SYMBOL}")["items"]
            self._expect(f"last fill of {who.username}", fill["kind"], "deleveraging")
        (kept,) = call(carol, "GET", "/api/positions")["positions"]
        self._expect("position of the second in line", kept["quantity"], "0.100")
        (wallet,) = call(alice, "GET", "/api/wallet")["margin"]
        self._expect("what the bankrupt keeps", wallet["wallet_balance"], "0.00000000")
