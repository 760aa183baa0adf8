"""
What the sockets of this process do, for the metrics page and the operators' channel.

Counted with plain integers, since they are touched for every frame, and turned into samples
only when somebody collects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

CONNECTIONS = "ws_connections"
USERS = "ws_users"
SUBSCRIPTIONS = "ws_subscriptions"
FRAMES = "ws_frames"
MESSAGES = "ws_messages"
CLOSED = "ws_closed"
ENTRIES = "ws_order_entry"
RESYNCS = "ws_resyncs"
NAMESPACES = ("prices", "market", "user", "admin")
# Logged out, too slow, too many, restarted.
SHOWN_CODES = (4001, 4008, 4029, 1012)


class SocketCounts(Collector):
    """Counters and gauges of all sockets of one process."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.frames = 0
        # Channels that a slow client must start over.
        self.resyncs = 0
        self.messages = 0
        self.subscriptions = 0
        # By namespace.
        self.connections: Counter[str] = Counter({name: 0 for name in NAMESPACES})
        # By namespace and account: how many of its sockets are open.
        self.accounts: Counter[tuple[str, int]] = Counter()
        # By close code of ours; those that say something are shown before the first one.
        self.closed: Counter[int] = Counter({code: 0 for code in SHOWN_CODES})
        # By operation and HTTP status of the answer.
        self.entries: Counter[tuple[str, int]] = Counter()

    def joined(self, namespace: str, account_id: int) -> None:
        """Note a socket of a known account."""
        self.accounts[namespace, account_id] += 1

    def left(self, namespace: str, account_id: int) -> None:
        """Forget it."""
        self.accounts[namespace, account_id] -= 1
        if self.accounts[namespace, account_id] <= 0:
            del self.accounts[namespace, account_id]

    def collect(self) -> Iterator[Metric]:
        """Return the present figures; no label carries an account."""
        frames = CounterMetricFamily(FRAMES, "Frames sent to sockets.")
        frames.add_metric([], self.frames)
        messages = CounterMetricFamily(MESSAGES, "Messages read from sockets.")
        messages.add_metric([], self.messages)
        subscriptions = GaugeMetricFamily(SUBSCRIPTIONS, "Public channels subscribed.")
        subscriptions.add_metric([], self.subscriptions)
        resyncs = CounterMetricFamily(RESYNCS, "Channels that slow clients had to start over.")
        resyncs.add_metric([], self.resyncs)
        yield from (frames, messages, subscriptions, resyncs)
        connections = GaugeMetricFamily(CONNECTIONS, "Open sockets.", labels=["namespace"])
        for namespace, number in tuple(self.connections.items()):
            connections.add_metric([namespace], number)
        users = GaugeMetricFamily(USERS, "Accounts with open sockets.", labels=["namespace"])
        for namespace, number in Counter(name for name, _ in tuple(self.accounts)).items():
            users.add_metric([namespace], number)
        closed = CounterMetricFamily(CLOSED, "Sockets closed by us.", labels=["code"])
        for code, number in tuple(self.closed.items()):
            closed.add_metric([str(code)], number)
        entries = CounterMetricFamily(
            ENTRIES, "Operations of order entry answered.", labels=["op", "status"]
        )
        for (op, status), number in tuple(self.entries.items()):
            entries.add_metric([op, str(status)], number)
        yield from (connections, users, closed, entries)


COUNTS = SocketCounts()
REGISTRY.register(COUNTS)
