"""
Order entry over WebSocket, acknowledged after commit, on a database of 1,000,000 orders.

One web process (uvicorn), the exchange, its Redis and the load generator share the machine.
"""

from __future__ import annotations

from typing import Any

from benchmarks.report import Options, Section, median, say
from benchmarks.ws_site import GROWN_ORDERS, running_site

CONNECTIONS = 10
IN_FLIGHT = 200
BATCH = 40
SECONDS = 5.0
BOUND_PER_S = 10_000
BOUND_P99_HALF_MS = 50
BOUND_P99_1000_MS = 10


def measure(options: Options) -> Section:
    """Return the table of throughput and latency."""
    seconds = 0.5 if options.quick else SECONDS
    orders = 20_000 if options.quick else GROWN_ORDERS
    single: list[dict[str, Any]] = []
    batched: list[dict[str, Any]] = []
    with running_site(users=CONNECTIONS, orders=orders) as site:
        for _ in range(options.rounds):
            for results, batch, in_flight in ((single, 1, IN_FLIGHT), (batched, BATCH, 20)):
                job = {"seconds": seconds, "in_flight": in_flight, "batch": batch}
                results.append(site.run("benchmarks.ws_load", job))
                say(f"  {results[-1]}")
    section = Section(
        key="ws_entry",
        title="WebSocket order entry, acknowledged after commit",
        header=("load", "orders/s", "p50", "p99", "bound"),
    )

    def middle(results: list[dict[str, Any]], name: str) -> float:
        return median(result[name] for result in results)

    rate, many = middle(single, "rate"), middle(batched, "rate")
    half, thousand = middle(single, "half_p99"), middle(single, "thousand_p99")
    section.rows = [
        (
            f"{IN_FLIGHT} messages on their way, one order each",
            f"{rate:,.0f}",
            f"{middle(single, 'p50'):.1f} ms",
            f"{middle(single, 'p99'):.1f} ms",
            section.bound(rate >= BOUND_PER_S, f"{BOUND_PER_S:,d}/s"),
        ),
        (
            "at half of that",
            f"{rate / 2:,.0f}",
            f"{middle(single, 'half_p50'):.1f} ms",
            f"{half:.1f} ms",
            section.bound(half < BOUND_P99_HALF_MS, f"{BOUND_P99_HALF_MS} ms"),
        ),
        (
            "at 1,000/s",
            "1,000",
            f"{middle(single, 'thousand_p50'):.1f} ms",
            f"{thousand:.1f} ms",
            section.bound(thousand < BOUND_P99_1000_MS, f"{BOUND_P99_1000_MS} ms"),
        ),
        (
            f"20 batches of {BATCH} on their way",
            f"{many:,.0f}",
            f"{middle(batched, 'p50'):.1f} ms",
            f"{middle(batched, 'p99'):.1f} ms",
            section.bound(many >= BOUND_PER_S, f"{BOUND_PER_S:,d}/s"),
        ),
    ]
    refused = sum(result["refused"] for result in single + batched)
    section.notes = [
        f"{orders:,d} orders with their trades and entries in the database before; SQLite with "
        f"synchronous=FULL; {CONNECTIONS} connections, each its own account; 60 % place, 40 % "
        f"cancel; {refused} refused; medians of {options.rounds}.",
        "One web process; load generator, exchange and Redis share the machine.",
    ]
    return section


if __name__ == "__main__":
    say(measure(Options()).markdown())
