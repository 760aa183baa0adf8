"""What is an alert, how bad, and who sees it."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.permissions import Permission
from adminpanel.stats.alerts import alerts_of


def _calm() -> dict[str, Any]:
    """The sections of an exchange where all is well."""
    return {
        "health": {
            "engine": {
                "available": True,
                "phase": "trading",
                "heartbeat_age_ms": 400,
                "orders_lag": 3,
                "system_lag": 0,
            },
            "quarantined": 0,
            "checks": {"redis": {"ok": True, "detail": "0.1 ms"}},
            "missing_processes": [],
        },
        "feeds": {
            "indexes": [
                {
                    "symbol": "BTC-USDT",
                    "state": "live",
                    "sources": [{"source": "kraken", "status": "ok", "reason": ""}],
                }
            ]
        },
        "markets": [
            {
                "symbol": "BTC-USDT",
                "status": "trading",
                "cause": None,
                "liquidations_paused": False,
            }
        ],
        "funds": [
            {
                "insurance_group": 1,
                "currency": "USDT",
                "takeovers_stopped": False,
                "headroom": "10.00",
            }
        ],
        "gauges": {"risk_overdue_accounts": 0.0},
    }


def _set(sections: dict[str, Any], path: str, value: Any) -> None:
    *parts, last = path.split(".")
    target: Any = sections
    for part in parts:
        target = target[int(part) if part.isdigit() else part]
    target[last] = value


def test_nothing_wrong_is_no_alert() -> None:
    assert alerts_of(**_calm()) == []


P = Permission


@pytest.mark.parametrize(
    ("path", "value", "code", "severity", "permission"),
    [
        ("health.engine.available", False, "NO_LEADER", "critical", P.BACK_OFFICE),
        ("health.engine.phase", "post_only", "PHASE", "warning", P.BACK_OFFICE),
        ("health.engine.heartbeat_age_ms", 3_001, "HEARTBEAT", "critical", P.BACK_OFFICE),
        ("health.engine.orders_lag", 1_000, "LAG", "warning", P.BACK_OFFICE),
        ("health.engine.orders_lag", 5_000, "LAG", "critical", P.BACK_OFFICE),
        ("health.quarantined", 1, "QUARANTINE", "critical", P.SYSTEM_VIEW),
        ("health.checks.redis.ok", False, "NOT_READY", "critical", P.SYSTEM_VIEW),
        ("health.missing_processes", ["feed"], "PROCESS_MISSING", "warning", P.SYSTEM_VIEW),
        ("feeds.indexes.0.state", "degraded", "INDEX_PRICE", "warning", P.MARKETS_VIEW),
        ("feeds.indexes.0.state", "halted", "INDEX_PRICE", "critical", P.MARKETS_VIEW),
        (
            "feeds.indexes.0.sources",
            [{"source": "kraken", "status": "stale", "reason": "STALE"}],
            "PRICE_SOURCE",
            "warning",
            P.MARKETS_VIEW,
        ),
        ("markets.0.status", "halted", "MARKET_STATUS", "critical", P.MARKETS_VIEW),
        ("markets.0.status", "cancel_only", "MARKET_STATUS", "warning", P.MARKETS_VIEW),
        (
            "markets.0.liquidations_paused",
            True,
            "LIQUIDATIONS_PAUSED",
            "warning",
            P.MARKETS_VIEW,
        ),
        ("funds.0.takeovers_stopped", True, "TAKEOVERS_STOPPED", "critical", P.EXPOSURE_VIEW),
        ("funds.0.headroom", "-0.01", "FUND_EXPOSED", "critical", P.EXPOSURE_VIEW),
        ("gauges.risk_markets_unmatched", 1.0, "DELEVERAGING", "critical", P.EXPOSURE_VIEW),
        ("gauges.risk_overdue_accounts", 2.0, "OVERDUE", "critical", P.EXPOSURE_VIEW),
        ("gauges.risk_near_scopes", 4.0, "MARGIN", "warning", P.EXPOSURE_VIEW),
    ],
)  # fmt: skip
def test_each_fault_is_one_alert(
    path: str, value: Any, code: str, severity: str, permission: Permission
) -> None:
    sections = _calm()
    _set(sections, path, value)

    (alert,) = alerts_of(**sections)

    assert (alert.code, alert.severity, alert.permission) == (code, severity, permission)
    assert set(alert.body()) == {"code", "severity", "subject", "text"}
    assert alert.text.endswith(".")


def test_a_source_is_one_alert_however_many_indexes_it_has() -> None:
    sections = _calm()
    off = {"source": "kraken", "status": "unavailable", "reason": "SWITCHED_OFF"}
    stale = {"source": "binance", "status": "stale", "reason": ""}
    fine = {"source": "binance", "status": "ok", "reason": ""}
    index = sections["feeds"]["indexes"][0]
    sections["feeds"]["indexes"] = [
        {**index, "symbol": f"A{number}-USDT", "sources": [off, stale if number < 5 else fine]}
        for number in range(6)
    ]

    assert [(alert.subject, alert.text) for alert in alerts_of(**sections)] == [
        ("kraken", "The price source kraken does not count for all indexes: switched off."),
        ("binance", "The price source binance does not count for 5 of 6 indexes: stale."),
    ]


def test_a_settled_market_is_none_and_critical_ones_come_first() -> None:
    sections = _calm()
    _set(sections, "markets.0.status", "settled")
    _set(sections, "gauges.risk_near_scopes", 1.0)
    _set(sections, "health.quarantined", 2)

    assert [alert.code for alert in alerts_of(**sections)] == ["QUARANTINE", "MARGIN"]
