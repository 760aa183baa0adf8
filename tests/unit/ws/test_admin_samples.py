"""What operators are shown is computed from counters."""

from __future__ import annotations

from typing import Any

import msgspec

from adminpanel.live_samples import Figures, Rates, feeds_data, users_data
from common.metrics import Family, Publication, Sample
from markets.feeds.health import FeedHealth, IndexHealth, SourceHealth


def _web(requests: dict[tuple[str, str, str], int], entries: dict[tuple[str, str], int]) -> Any:
    return Publication(
        "web",
        [
            Family(
                "http_request_duration_seconds",
                "",
                "histogram",
                [
                    Sample(
                        "http_request_duration_seconds_count",
                        {"method": method, "route": route, "status": status},
                        count,
                    )
                    for (method, route, status), count in requests.items()
                ],
            ),
            Family(
                "ws_order_entry",
                "",
                "counter",
                [
                    Sample("ws_order_entry_total", {"op": op, "status": status}, count)
                    for (op, status), count in entries.items()
                ],
            ),
            Family(
                "ws_connections",
                "",
                "gauge",
                [Sample("ws_connections", {"namespace": "user"}, 5)],
            ),
            Family("ws_users", "", "gauge", [Sample("ws_users", {"namespace": "user"}, 2)]),
        ],
    )


def test_orders_and_cancels_of_rest_and_sockets_are_counted_together() -> None:
    rates = Rates()
    keys = [
        ("POST", "api/orders", "201"),
        ("POST", "api/orders/preview", "200"),
        ("DELETE", "api/orders/<str:order_id>", "200"),
        ("GET", "api/orders", "200"),
        ("GET", "api/wallet", "503"),
        ("POST", "api/orders", "422"),
    ]
    before = _web(dict.fromkeys(keys, 10), {("place", "201"): 1, ("cancel_all", "200"): 1})
    after = _web(
        {key: 10 + growth for key, growth in zip(keys, (4, 2, 6, 8, 2, 2), strict=True)},
        {("place", "201"): 11, ("cancel_all", "200"): 3, ("amend", "500"): 2},
    )

    first = users_data(Figures(1_000, {"web:1": before}), rates)
    second = users_data(Figures(3_000, {"web:1": after}), rates)

    assert first["namespaces"] == [{"namespace": "user", "connections": 5, "users": 2}]
    assert first["orders_per_second"] is None
    assert second == {
        "namespaces": [{"namespace": "user", "connections": 5, "users": 2}],
        "requests_per_second": 12.0,
        "errors_per_second": 2.0,
        "refusals_per_second": 1.0,
        "orders_per_second": 9.0,
        "cancels_per_second": 4.0,
    }


def test_a_counter_that_fell_gives_no_figure() -> None:
    rates = Rates()

    assert rates.per_second("x", 10, 1_000) is None
    assert rates.per_second("x", 3, 2_000) is None
    assert rates.per_second("x", 13, 4_000) == 5.0
    rates.keep_only(5_000)
    assert rates.per_second("x", 20, 6_000) is None


def test_feeds_show_each_source() -> None:
    health = FeedHealth(
        mode="live",
        holder="feed",
        time_ms=9_000,
        note="live prices",
        indexes=[
            IndexHealth(
                "BTC-USDT",
                "degraded",
                [SourceHealth("kraken", "ok", "", 120, -12_345), SourceHealth("x", "stale")],
            )
        ],
    )

    shown = feeds_data(Figures(10_000, feed=msgspec.json.encode(health)))

    assert (shown["available"], shown["age_ms"]) == (True, 1_000)
    (index,) = shown["indexes"]
    assert index["sources"] == [
        {
            "source": "kraken",
            "status": "ok",
            "reason": "",
            "age_ms": 120,
            "divergence": "-0.00012345",
        },
        {"source": "x", "status": "stale", "reason": "", "age_ms": None, "divergence": None},
    ]
