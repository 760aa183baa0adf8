"""
What the platform does, live in a terminal: processes, exchange, feeds, users.

    ADMIN_TOKEN=... make ws-admin

The token is an access token of a user who may enter the back-office. Follows the channels of
``/ws/admin``; what a user may not see is left out. Draws at most five times a second, however
much arrives. ``EXCHANGE_URL`` names the platform.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tradingclient import (
    AsyncTradingClient,
    PermissionDeniedError,
    State,
    StreamStatus,
    TradingError,
)

CHANNELS = ("system", "engine", "feeds", "users")
FRAMES_PER_S = 5
# A sample comes each second.
STALE_S = 3.0

UNKNOWN = "-"

Data = dict[str, Any]


def number(value: float | None, unit: str = "") -> str:
    """Return a figure, a dash when it is not known."""
    if value is None:
        return UNKNOWN
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
    return f"{text} {unit}".rstrip()


def megabytes(value: int | None) -> str:
    """Return bytes as MiB."""
    return UNKNOWN if value is None else f"{value / 2**20:,.0f} MiB"


def pairs(rows: Iterable[tuple[str, str]]) -> Table:
    """Return names and figures in two columns."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, figure in rows:
        table.add_row(name, figure)
    return table


def columns(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Table:
    """Return a table; all but the first column are figures."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table


def system_view(data: Data) -> RenderableType:
    """Return processes, Redis and sockets."""
    processes = columns(
        ("process", "pid", "cpu", "memory"),
        (
            (
                str(item["name"]),
                str(item["pid"]),
                number(item["cpu_percent"], "%"),
                megabytes(item["memory_bytes"]),
            )
            for item in data["processes"]
        ),
    )
    sockets = columns(
        ("web process", "connections", "subscriptions", "frames/s", "messages/s", "slow"),
        (
            (
                str(item["process"]),
                number(item["connections"]),
                number(item["subscriptions"]),
                number(item["frames_per_second"]),
                number(item["messages_per_second"]),
                number(item["slow_closed"]),
            )
            for item in data["sockets"]
        ),
    )
    store = data["redis"] or {}
    line = Text(
        f"redis  {megabytes(store.get('memory_bytes'))}  "
        f"{number(store.get('clients'))} clients  "
        f"{number(store.get('operations_per_second'))} operations/s",
        style="dim",
    )
    return Group(processes, Text(), sockets, Text(), line)


def engine_view(data: Data) -> RenderableType:
    """Return the state of the exchange."""
    projector = data.get("projector") or {}
    return pairs(
        (
            ("exchange", "up" if data["available"] else "DOWN"),
            ("phase", str(data["phase"])),
            ("epoch, command", f"{number(data['epoch'])}, {number(data['command_number'])}"),
            ("orders waiting", number(data["orders_lag"])),
            ("prices waiting", number(data["system_lag"])),
            ("commands", number(data["commands_per_second"], "/s")),
            ("commit", number(data["commit_ms"], "ms")),
            ("rows of a batch", number(data["rows_per_batch"])),
            ("heartbeat", number(data["heartbeat_age_ms"], "ms ago")),
            ("projector", "up" if projector.get("available") else "DOWN"),
        )
    )


def feeds_view(data: Data) -> RenderableType:
    """Return index prices and their sources."""
    rows = [
        (
            str(index["symbol"]),
            str(index["state"]),
            str(source["source"]),
            str(source["status"]) + (f" ({source['reason']})" if source["reason"] else ""),
            number(source["age_ms"], "ms"),
        )
        for index in data["indexes"]
        for source in index["sources"]
    ]
    state = "up" if data["available"] else "DOWN"
    return Group(
        Text(f"{state}, {data['mode']}", style="dim"),
        columns(("index", "state", "source", "status", "age"), rows),
    )


def users_view(data: Data) -> RenderableType:
    """Return who is there and what they do."""
    namespaces = columns(
        ("namespace", "connections", "users"),
        (
            (str(item["namespace"]), number(item["connections"]), number(item["users"]))
            for item in data["namespaces"]
        ),
    )
    rates = pairs(
        (name.replace("_per_second", ""), number(data[name], "/s"))
        for name in (
            "requests_per_second",
            "errors_per_second",
            "refusals_per_second",
            "orders_per_second",
            "cancels_per_second",
        )
    )
    return Group(namespaces, Text(), rates)


VIEWS: dict[str, Callable[[Data], RenderableType]] = {
    "system": system_view,
    "engine": engine_view,
    "feeds": feeds_view,
    "users": users_view,
}


class Dashboard:
    """The last sample of each channel, and how it looks."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.status = "connecting"
        self.failed = asyncio.Event()
        self._clock = clock
        self._samples: dict[str, Data] = {}
        self._taken_at: dict[str, float] = {}

    def take(self, channel: str, data: Data) -> None:
        """Keep a sample."""
        self._samples[channel] = data
        self._taken_at[channel] = self._clock()

    def __rich__(self) -> RenderableType:
        """Return the whole dashboard."""
        table = Table.grid(expand=True)
        table.add_column(ratio=3)
        table.add_column(ratio=2)
        table.add_row(self._panel("system"), self._panel("engine"))
        table.add_row(self._panel("feeds"), self._panel("users"))
        return Group(Text(f"/ws/admin  {self.status}", style="bold"), table)

    def _panel(self, channel: str) -> RenderableType:
        data = self._samples.get(channel)
        if data is None:
            return Panel(Text("no data", style="dim"), title=channel)
        age_s = self._clock() - self._taken_at[channel]
        old = age_s > STALE_S
        title = f"{channel} (old: {age_s:.0f} s)" if old else channel
        return Panel(VIEWS[channel](data), title=title, border_style="red" if old else "none")


async def follow(client: AsyncTradingClient, dashboard: Dashboard) -> None:
    """Subscribe to every channel that this user may see."""

    def status(event: StreamStatus) -> None:
        dashboard.status = event.state.value
        if event.state is State.FAILED:
            dashboard.failed.set()

    client.on("status", status)
    refused = 0
    for channel in CHANNELS:
        client.on(f"admin:{channel}", partial(dashboard.take, channel))
        try:
            await client.subscribe_admin([channel])
        except PermissionDeniedError as error:
            refused += 1
            if error.code != "FORBIDDEN" or refused == len(CHANNELS):
                raise


async def main() -> None:
    """Show the dashboard until Ctrl-C; elsewhere than on a terminal, once."""
    url = os.environ.get("EXCHANGE_URL", "http://localhost:3000")
    token = os.environ.get("ADMIN_TOKEN", "")
    if not token:
        raise SystemExit("ADMIN_TOKEN must be the access token of an operator")
    console = Console()
    if not console.is_terminal:
        console.width = 140
    dashboard = Dashboard()
    async with AsyncTradingClient(url, token=token) as client:
        try:
            await follow(client, dashboard)
        except TradingError as error:
            raise SystemExit(f"{url}: {error}") from error
        if not console.is_terminal:
            await asyncio.sleep(STALE_S)
            console.print(dashboard)
            return
        with Live(dashboard, console=console, refresh_per_second=FRAMES_PER_S, screen=True):
            await dashboard.failed.wait()
        raise SystemExit(f"{url}: {client.connection('admin').failure}")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
