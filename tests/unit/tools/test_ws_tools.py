"""The WebSocket tools count right, and show what is missing as missing."""

from __future__ import annotations

import io
from collections import Counter
from typing import Any

import pytest
from rich.console import Console

from tools import ws_admin, ws_stress
from tools.ws_admin import Dashboard
from tools.ws_stress import Tally
from tradingclient.frames import Message, Verdict

SYSTEM = {
    "processes": [
        {"name": "web", "pid": 17, "cpu_percent": None, "memory_bytes": 104_857_600},
        {"name": "exchange", "pid": 18, "cpu_percent": 12.25, "memory_bytes": None},
    ],
    "redis": {"memory_bytes": 2_097_152, "clients": 26, "operations_per_second": 274},
    "sockets": [
        {
            "process": "web:17",
            "connections": 3,
            "subscriptions": 12,
            "frames_per_second": 1234.5,
            "messages_per_second": None,
            "slow_closed": 0,
        }
    ],
}
ENGINE = {
    "available": False,
    "phase": "halted",
    "epoch": 4,
    "command_number": 89_246,
    "orders_lag": 7,
    "system_lag": 0,
    "commands_per_second": None,
    "commit_ms": 9.217,
    "rows_per_batch": 4,
    "heartbeat_age_ms": 395,
    "projector": None,
}
FEEDS = {
    "available": True,
    "mode": "live",
    "indexes": [
        {
            "symbol": "BTC-USDT",
            "state": "degraded",
            "sources": [
                {"source": "kraken", "status": "ok", "reason": "", "age_ms": 120},
                {"source": "binance", "status": "excluded", "reason": "stale", "age_ms": None},
            ],
        }
    ],
}
USERS = {
    "namespaces": [{"namespace": "user", "connections": 5, "users": 2}],
    "requests_per_second": 4.98,
    "errors_per_second": 0.0,
    "refusals_per_second": None,
    "orders_per_second": 2,
    "cancels_per_second": 1,
}


class TestStress:
    @pytest.mark.parametrize(
        ("share", "expected"), [(0.5, 2), (0.75, 2), (0.76, 9), (1.0, 9), (0.01, 1)]
    )
    def test_percentiles_are_of_all_values(self, share: float, expected: int) -> None:
        assert ws_stress.percentile(Counter({1: 1, 2: 2, 9: 1}), share) == expected

    def test_percentiles_of_nothing_are_not_known(self) -> None:
        assert ws_stress.percentile(Counter(), 0.5) is None
        assert ws_stress.shown(Counter()) == "p50 - ms  p90 - ms  p99 - ms  max - ms"

    def test_only_changes_have_a_latency(self) -> None:
        tally = Tally()

        tally.take(Message(ts=100), Verdict.REPLACE, 900)
        tally.take(Message(ts=100), Verdict.CHANGE, 107)
        tally.take(Message(ts=100), Verdict.CHANGE, 99)
        tally.take(Message(ts=100), Verdict.GAP, 500)
        tally.take(Message(ts=100), Verdict.FORGET, 500)

        assert (tally.frames, tally.gaps, tally.resets) == (5, 1, 1)
        assert tally.latencies_ms == {7: 1, 0: 1}

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("http://localhost:3000", True),
            ("http://127.0.0.9:3000", True),
            ("http://[::1]:3000", True),
            ("http://192.168.0.7:3000", False),
            ("https://example.com", False),
            ("http://localhost.example.com", False),
        ],
    )
    def test_knows_this_machine(self, url: str, expected: bool) -> None:
        assert ws_stress.is_loopback(url) is expected

    @pytest.mark.parametrize("text", ["0", "-1", "ten", "", "1.5", "999999999", "\u0661"])
    def test_refuses_what_is_no_number_of_clients(
        self, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setenv("NUM_CLIENTS", text)

        with pytest.raises(SystemExit, match="NUM_CLIENTS must be a number from 1 to 100"):
            ws_stress.whole("NUM_CLIENTS", 10, 100)


class TestDashboard:
    def shown(self, dashboard: Dashboard) -> str:
        console = Console(width=160, file=io.StringIO())
        with console.capture() as captured:
            console.print(dashboard)
        return captured.get()

    def test_says_that_there_is_nothing_yet(self) -> None:
        assert self.shown(Dashboard()).count("no data") == len(ws_admin.CHANNELS)

    def test_shows_every_channel_and_a_dash_for_what_is_not_known(self) -> None:
        dashboard = Dashboard(clock=lambda: 0.0)
        samples: dict[str, Any] = {
            "system": SYSTEM,
            "engine": ENGINE,
            "feeds": FEEDS,
            "users": USERS,
        }
        for channel, sample in samples.items():
            dashboard.take(channel, sample)

        lines = [" ".join(line.split()) for line in self.shown(dashboard).splitlines()]
        text = "\n".join(lines)

        assert "web 17 - 100 MiB" in text
        assert "exchange 18 12.2 % -" in text
        assert "web:17 3 12 1,234.5 - 0" in text
        assert "exchange DOWN" in text
        assert "orders waiting 7" in text
        assert "projector DOWN" in text
        assert "BTC-USDT degraded binance excluded (stale) -" in text
        assert "user 5 2" in text
        assert "refusals -" in text

    def test_says_how_old_a_sample_is(self) -> None:
        now_s = 100.0
        dashboard = Dashboard(clock=lambda: now_s)
        dashboard.take("users", USERS)
        assert "old" not in self.shown(dashboard)

        now_s = 107.0

        assert "users (old: 7 s)" in self.shown(dashboard)
