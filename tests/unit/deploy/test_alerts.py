"""Each alert fires when it should and is silent when nothing is wrong, by Prometheus' own tool."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.platform import ROOT
from tools.monitoring import alerts, names_in, questions

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"

Series = dict[str, str]
# What a platform shows that has nothing to complain of; 5 s apart, half an hour of it.
N = 361
UP = 'up{job="exchange"}'
LEADER = 'exchange_leader{pid="1"}'
STANDBY = 'exchange_leader{pid="2"}'
EPOCH = 'exchange_epoch{pid="1"}'
LAG = 'exchange_lag_commands{lane="orders"}'
SYSTEM_LAG = 'exchange_lag_commands{lane="system"}'
COMMIT = 'exchange_commit_seconds_bucket{{le="{}"}}'
ACKNOWLEDGE = 'exchange_acknowledge_seconds_bucket{{le="{}"}}'
HTTP = 'http_request_duration_seconds_bucket{{route="api/orders",le="{}"}}'
COUNT = 'http_request_duration_seconds_count{{status="{}"}}'
LIQUIDATIONS = 'exchange_liquidations_total{{kind="{}"}}'
SOURCE = 'feed_source_up{symbol="BTC-USDT",source="kraken"}'
DIVERGENCE = 'feed_source_divergence_ratio{symbol="BTC-USDT",source="kraken"}'
STATE = 'feed_index_state{{symbol="BTC-USDT",state="{}"}}'
MARK_AGE = 'exchange_mark_age_seconds{market="BTC-USDT-PERP"}'
STARTED = 'process_start_time_seconds{process="worker",pid="7"}'
SWEEP = 'job_last_success_timestamp_seconds{job_name="riskengine.sweep"}'
FAILURES = 'job_runs_total{job_name="orders.prune",outcome="failure"}'
FUND = 'exchange_insurance_fund{group="1",asset_id="2"}'
HALTED = 'exchange_market_halted{market="BTC-USDT"}'
SLOW = 'ws_closed_total{code="4008"}'


def steady(value: float) -> str:
    return f"{value}x{N}"


def rising(step: float, start: float = 0) -> str:
    return f"{start}+{step}x{N}"


def after(minutes: int, then: float, before: float = 0) -> str:
    """Return a value that changes after so many minutes."""
    count = minutes * 12
    return f"{before}x{count - 1} {then}x{N - count}"


def buckets(pattern: str, low: str, high: str, *, fast: bool) -> Series:
    return {
        pattern.format(low): rising(50 if fast else 0),
        pattern.format(high): rising(50),
        pattern.format("+Inf"): rising(50),
    }


CLOCK = rising(5)
_WORDS = re.compile(r"\w+")
QUIET: Series = {
    UP: steady(1),
    LEADER: steady(1),
    STANDBY: steady(0),
    EPOCH: steady(7),
    LAG: steady(3),
    SYSTEM_LAG: steady(0),
    **buckets(COMMIT, "0.005", "1", fast=True),
    **buckets(ACKNOWLEDGE, "0.01", "5", fast=True),
    **buckets(HTTP, "0.1", "5", fast=True),
    COUNT.format("200"): rising(500),
    COUNT.format("503"): rising(1),
    "exchange_failed_commits_total": steady(0),
    "exchange_quarantined": steady(0),
    HALTED: steady(0),
    'ledger_drift_atoms{asset_id="1"}': steady(0),
    'exchange_position_drift_atoms{market="BTC-USDT-PERP"}': steady(0),
    FUND: steady(1_000),
    **{
        LIQUIDATIONS.format(kind): steady(0)
        for kind in ("match", "takeover", "deleveraging", "settlement")
    },
    "exchange_waiting_for_counterparties": steady(0),
    "feed_last_turn_timestamp_seconds": CLOCK,
    SOURCE: steady(1),
    DIVERGENCE: steady(0.0004),
    STATE.format("degraded"): steady(0),
    STATE.format("halted"): steady(0),
    MARK_AGE: steady(1),
    'process_start_time_seconds{process="projector",pid="6"}': steady(1),
    STARTED: steady(1),
    SLOW: steady(0),
    "redis_up": steady(1),
    "redis_memory_bytes": steady(1e8),
    "redis_memory_max_bytes": steady(1e9),
    "database_up": steady(1),
    'database_wal_bytes{process="platform"}': steady(4e6),
    "disk_free_bytes": steady(5e10),
    "disk_bytes": steady(1e11),
    "beat_last_tick_timestamp_seconds": CLOCK,
    SWEEP: CLOCK,
    FAILURES: steady(0),
    "job_late": steady(0),
    "backup_last_success_timestamp_seconds": CLOCK,
}

# Alert -> what differs (None: the series is missing) and the labels it fires with. Evaluated
# after 20 minutes.
GONE = None
CASES: dict[str, tuple[dict[str, str | None], dict[str, str]]] = {
    "MetricsMissing": ({UP: steady(0)}, {"job": "exchange"}),
    "LeaderMissing": ({LEADER: steady(0)}, {}),
    "LeaderTwice": ({STANDBY: steady(1)}, {}),
    "StandbyMissing": ({STANDBY: GONE}, {}),
    "LeaderChanges": ({EPOCH: rising(1)}, {}),
    "ExchangeLag": ({LAG: steady(2_501)}, {}),
    "SystemLaneLag": ({SYSTEM_LAG: steady(101)}, {}),
    "CommitSlow": (dict(buckets(COMMIT, "0.005", "1", fast=False)), {}),
    "CommitsFail": ({"exchange_failed_commits_total": rising(1)}, {}),
    "AcknowledgeSlow": (dict(buckets(ACKNOWLEDGE, "0.01", "5", fast=False)), {}),
    "QuarantineNotEmpty": ({"exchange_quarantined": steady(1)}, {}),
    "MarketHalted": ({HALTED: steady(1)}, {"market": "BTC-USDT"}),
    "LedgerDrift": ({'ledger_drift_atoms{asset_id="1"}': steady(-1)}, {}),
    "InsuranceFundDrawdown": ({FUND: after(10, 690, 1_000)}, {"group": "1", "asset_id": "2"}),
    "Deleveraging": ({LIQUIDATIONS.format("deleveraging"): after(15, 1)}, {}),
    "Settlement": ({LIQUIDATIONS.format("settlement"): after(15, 1)}, {}),
    "LiquidationsMany": ({LIQUIDATIONS.format("match"): rising(60)}, {}),
    "FeedMissing": ({"feed_last_turn_timestamp_seconds": steady(5)}, {}),
    "PriceSourceDown": ({SOURCE: steady(0)}, {"source": "kraken"}),
    "PriceSourceDiverges": (
        {DIVERGENCE: steady(-0.011)},
        {"source": "kraken", "symbol": "BTC-USDT"},
    ),
    "PriceDegraded": (
        {STATE.format("degraded"): steady(1)},
        {"symbol": "BTC-USDT", "state": "degraded"},
    ),
    "PriceHalted": (
        {STATE.format("halted"): steady(1)},
        {"symbol": "BTC-USDT", "state": "halted"},
    ),
    "MarkStale": ({MARK_AGE: steady(6)}, {"market": "BTC-USDT-PERP"}),
    "ErrorRate": ({COUNT.format("503"): rising(20)}, {}),
    "LatencyHigh": (dict(buckets(HTTP, "0.1", "5", fast=False)), {}),
    "SlowClientsClosed": ({SLOW: rising(6)}, {}),
    "ProjectorMissing": (
        {'process_start_time_seconds{process="projector",pid="6"}': GONE},
        {"process": "projector"},
    ),
    "RedisDown": ({"redis_up": steady(0)}, {}),
    "RedisMemory": ({"redis_memory_bytes": steady(8.1e8)}, {}),
    "DatabaseDown": ({"database_up": steady(0)}, {}),
    "DatabaseWal": ({'database_wal_bytes{process="platform"}': steady(3e8)}, {}),
    "DiskFull": ({"disk_free_bytes": steady(9e9)}, {}),
    "RestartLoop": ({STARTED: rising(1)}, {"process": "worker"}),
    "BeatMissing": ({"beat_last_tick_timestamp_seconds": GONE}, {}),
    "WorkerMissing": ({SWEEP: GONE}, {}),
    "SweepLate": ({SWEEP: steady(600)}, {}),
    "JobFails": ({FAILURES: after(15, 1)}, {"job_name": "orders.prune"}),
    "JobLate": ({"job_late": steady(1)}, {}),
    "BackupOld": ({"backup_last_success_timestamp_seconds": rising(5, -100_000)}, {}),
}


def rules() -> dict[str, dict[str, Any]]:
    parsed = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return {rule["alert"]: rule for group in parsed["groups"] for rule in group["rules"]}


def filled(text: str, labels: dict[str, str], value: str) -> str:
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], text)
    return text.replace("{{ $value }}", value)


def unit_test(name: str | None, rule: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return promtool's test that an alert fires with its case, or (None) that none does."""
    series = dict[str, str | None](QUIET)
    if name is not None:
        spoken = set(_WORDS.findall(rule[name]["expr"]))
        series = {key: text for key, text in series.items() if key.partition("{")[0] in spoken}
    expected: list[dict[str, Any]] = []
    if name is not None:
        changed, labels = CASES[name]
        series |= changed
        annotations = rule[name]["annotations"]
        expected.append(
            {
                "exp_labels": {"severity": rule[name]["labels"]["severity"], **labels},
                "exp_annotations": {
                    key: filled(text, labels, "6") for key, text in annotations.items()
                },
            }
        )
    return {
        "interval": "5s",
        "name": name or "quiet",
        "input_series": [
            {"series": key, "values": values}
            for key, values in series.items()
            if values is not None
        ],
        "alert_rule_test": [
            {"eval_time": "20m", "alertname": alert, "exp_alerts": expected}
            for alert in ([name] if name is not None else rule)
        ],
    }


def written(
    directory: Path, name: str | None, rule_file: Path, known: dict[str, dict[str, Any]]
) -> Path:
    """Write promtool's file for one alert, or (None) for the quiet platform; return its path."""
    path = directory / f"{name or 'quiet'}.test.yml"
    document = {
        "rule_files": [str(rule_file)],
        "evaluation_interval": "30s",
        "tests": [unit_test(name, known)],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def test_every_alert_has_a_case_here() -> None:
    assert set(CASES) == set(rules())


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    known = rules()
    paths = [written(tmp_path, None, RULES, known)]
    for name, rule in known.items():
        # Alone: Prometheus evaluates every rule of a file for every test of it.
        own = tmp_path / f"{name}.rule.yml"
        own.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
        paths.append(written(tmp_path, name, own, known))

    done = subprocess.run(
        [PROMTOOL, "test", "rules", *map(str, paths)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "check", "config", "--syntax-only", str(RULES.with_name("prometheus.yml"))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_runbook() -> None:
    manual = (ROOT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#### (\w+)$", manual, re.MULTILINE)

    assert sorted(headings) == sorted(rules())
    for name, rule in rules().items():
        assert rule["annotations"]["runbook"] == f"docs/OPERATIONS.md#{name.lower()}"


@needs_promtool
def test_prometheus_understands_every_panel(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules_of_panels = [
        {"record": f"panel_{number}", "expr": expression}
        for number, (_, _, expression) in enumerate(questions())
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules_of_panels}]}))

    done = subprocess.run(
        [PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True, check=False
    )

    assert len(rules_of_panels) > 70
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tool_finds_what_an_alert_speaks_of() -> None:
    spoken = names_in('max(abs(ledger_drift_atoms)) > 0 or up{job="exchange"} == 0')

    assert spoken == ["ledger_drift_atoms", "up"]
    assert all(names_in(expression) for _, expression in alerts())
