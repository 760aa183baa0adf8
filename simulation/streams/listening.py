"""Clients that rebuild what they subscribed to while frames are lost on the way to them."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from simulation.streams.replicas import AccountReplica, BookReplica, StateReplica, TapeReplica

PRIVATE = ("orders", "fills", "balances")
# What may be lost: a snapshot is the answer to a loss.
_LOSABLE = frozenset({"delta", "update", "heartbeat"})
SNAPSHOT_S = 15.0

Public = BookReplica | TapeReplica | StateReplica


def make_replica(channel: str) -> Public:
    """Return an empty replica of what a public channel carries."""
    kind = channel.partition(":")[0]
    if kind == "book":
        return BookReplica()
    return TapeReplica() if kind == "trade" else StateReplica()


def state_of(replica: Public) -> Any:
    """Return what a replica holds, to be compared."""
    if isinstance(replica, BookReplica):
        return replica.levels()
    return replica.trades if isinstance(replica, TapeReplica) else replica.data


class Listener:
    """
    One connection that follows channels by the published rules and loses frames.

    ``loss`` is the share of frames that are thrown away unseen; a connection is given up now
    and then too, and a private stream is then resumed where it stood.
    """

    def __init__(
        self,
        url: str,
        channels: tuple[str, ...],
        *,
        token: Callable[[], str] | None = None,
        loss: float = 0.0,
        chance: random.Random,
    ) -> None:
        self.url = url
        self.channels = channels
        self.account = AccountReplica() if token else None
        self.replicas = {} if token else {channel: make_replica(channel) for channel in channels}
        self.loss = loss
        self.counts: Counter[str] = Counter()
        self._token = token
        self._chance = chance
        self._socket: ClientConnection | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                async with connect(self.url, compression=None, max_size=2**24) as socket:
                    self._socket = socket
                    await self._begin(socket)
                    async for text in socket:
                        await self._take(socket, json.loads(text))
            except (OSError, ConnectionClosed):
                await asyncio.sleep(0.2)
            self._socket = None
            self.counts["connections"] += 1

    async def cut(self) -> None:
        """Lose the connection without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    def gaps(self) -> int:
        """Return how many gaps were noticed."""
        found = self.account.gaps if self.account is not None else 0
        return found + sum(replica.gaps for replica in self.replicas.values())

    async def _begin(self, socket: ClientConnection) -> None:
        await self._authenticate(socket)
        message: dict[str, Any] = {"op": "subscribe", "channels": self.channels}
        if self.account is not None and self.account.last is not None:
            message |= {"from_seq": self.account.last, "epoch": self.account.epoch}
        for replica in self.replicas.values():
            # Whatever comes before the new snapshot belongs to nothing.
            replica.last = None
        await socket.send(json.dumps(message))

    async def _authenticate(self, socket: ClientConnection) -> None:
        if self._token is not None:
            await socket.send(json.dumps({"op": "auth", "token": self._token()}))

    async def _take(self, socket: ClientConnection, frame: dict[str, Any]) -> None:
        kind = frame["type"]
        self.counts[kind] += 1
        if kind == "error":
            raise AssertionError(frame)
        if kind == "auth_expired":
            await self._authenticate(socket)
            return
        if kind in _LOSABLE and self._chance.random() < self.loss:
            self.counts["lost"] += 1
            return
        if self.account is not None:
            if (kind == "subscribed" or "channel" in frame) and self.account.take(frame):
                await socket.send(json.dumps({"op": "subscribe", "channels": self.channels}))
            return
        replica = self.replicas.get(frame.get("channel", ""))
        if replica is None:
            return
        gaps = replica.gaps
        replica.take(frame)
        if replica.gaps > gaps:
            again = {"op": "subscribe", "channels": [frame["channel"]]}
            await socket.send(json.dumps(again))


async def fresh_snapshots(
    url: str, channels: tuple[str, ...], token: str = ""
) -> dict[str, dict[str, Any]]:
    """Return what a client that comes now is told about each channel."""
    found: dict[str, dict[str, Any]] = {}
    async with (
        asyncio.timeout(SNAPSHOT_S),
        connect(url, compression=None, max_size=2**24) as socket,
    ):
        if token:
            await socket.send(json.dumps({"op": "auth", "token": token}))
        await socket.send(json.dumps({"op": "subscribe", "channels": channels}))
        while len(found) < len(channels):
            frame = json.loads(await socket.recv())
            if frame["type"] == "snapshot":
                found[frame["channel"]] = frame
    return found


def public_differences(listener: Listener, snapshots: dict[str, dict[str, Any]]) -> list[str]:
    """Return the channels on which a listener holds something else than a newcomer."""
    different = []
    for channel, frame in snapshots.items():
        expected = make_replica(channel)
        expected.take(frame)
        if state_of(listener.replicas[channel]) != state_of(expected):
            different.append(channel)
    return different


def private_differences(
    account: AccountReplica | None, snapshots: dict[str, dict[str, Any]]
) -> list[str]:
    """Return the private channels on which a replica holds something else than a newcomer."""
    expected = AccountReplica()
    for name in PRIVATE:
        expected.take(snapshots[name])
    if account is None:
        return list(PRIVATE)
    different = []
    if account.orders != expected.orders:
        different.append("orders")
    if account.balances != expected.balances:
        different.append("balances")
    # A snapshot holds the newest fills only; whoever listened all the time has more.
    if any(account.fills.get(key) != fill for key, fill in expected.fills.items()):
        different.append("fills")
    return different
