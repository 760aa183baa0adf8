"""What an operator must look at now, out of what the sections say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accounts.permissions import Permission

CRITICAL, WARNING = "critical", "warning"

# Lag beyond which orders wait noticeably; the exchange refuses new ones at 5,000.
LAG_WARNING = 1_000
LAG_CRITICAL = 5_000
HEARTBEAT_WARNING_MS = 3_000


@dataclass(frozen=True, slots=True)
class Alert:
    """Something wrong: a stable code, what it concerns ("" is all), and words for people."""

    code: str
    severity: str
    subject: str
    text: str
    permission: Permission

    def body(self) -> dict[str, str]:
        """Return it as it is sent."""
        return {
            "code": self.code,
            "severity": self.severity,
            "subject": self.subject,
            "text": self.text,
        }


def alerts_of(
    *,
    health: Mapping[str, Any],
    feeds: Mapping[str, Any],
    markets: list[dict[str, Any]],
    funds: list[dict[str, Any]],
    gauges: Mapping[str, float],
    halted: Sequence[str] = (),
) -> list[Alert]:
    """
    Return all alerts, critical ones first.

    ``gauges`` are the sweep's own, ``halted`` the currencies whose withdrawals are halted.
    """
    found = [
        *_engine_alerts(health),
        *_process_alerts(health),
        *_feed_alerts(feeds),
        *_market_alerts(markets),
        *_risk_alerts(funds, gauges),
        *(_halted_alert(currency) for currency in halted),
    ]
    return sorted(found, key=lambda alert: alert.severity != CRITICAL)


def _engine_alerts(health: Mapping[str, Any]) -> Iterator[Alert]:
    engine = health["engine"]
    see = Permission.BACK_OFFICE
    if not engine["available"]:
        phase = engine["phase"] or "nobody leads"
        yield Alert("NO_LEADER", CRITICAL, "", f"The exchange does not answer: {phase}.", see)
        return
    if engine["phase"] != "trading":
        yield Alert("PHASE", WARNING, "", f"The exchange is in phase {engine['phase']}.", see)
    if engine["heartbeat_age_ms"] > HEARTBEAT_WARNING_MS:
        age = engine["heartbeat_age_ms"] / 1_000
        yield Alert("HEARTBEAT", CRITICAL, "", f"The leader was silent for {age:.1f} s.", see)
    lag = engine["orders_lag"] + engine["system_lag"]
    if lag >= LAG_WARNING:
        severity = CRITICAL if lag >= LAG_CRITICAL else WARNING
        yield Alert("LAG", severity, "", f"{lag} commands wait for the exchange.", see)


def _process_alerts(health: Mapping[str, Any]) -> Iterator[Alert]:
    see = Permission.SYSTEM_VIEW
    if health["quarantined"]:
        text = f"Commands in quarantine that nobody has decided about: {health['quarantined']}."
        yield Alert("QUARANTINE", CRITICAL, "", text, see)
    for name, check in health["checks"].items():
        if not check["ok"]:
            yield Alert("NOT_READY", CRITICAL, name, f"{name}: {check['detail']}.", see)
    for name in health["missing_processes"]:
        yield Alert("PROCESS_MISSING", WARNING, name, f"The process {name} is not heard.", see)


def _feed_alerts(feeds: Mapping[str, Any]) -> Iterator[Alert]:
    see = Permission.MARKETS_VIEW
    for index in feeds["indexes"]:
        if index["state"] in ("degraded", "halted"):
            severity = CRITICAL if index["state"] == "halted" else WARNING
            text = f"The index price of {index['symbol']} is {index['state']}."
            yield Alert("INDEX_PRICE", severity, index["symbol"], text, see)
    yield from _source_alerts(feeds["indexes"])


def _source_alerts(indexes: Sequence[Mapping[str, Any]]) -> Iterator[Alert]:
    """Yield one alert for each source and what is wrong with it, however many indexes it has."""
    asked: Counter[str] = Counter()
    wrong: dict[tuple[str, str], list[str]] = {}
    for index in indexes:
        for source in index["sources"]:
            name = source["source"]
            asked[name] += 1
            if source["status"] != "ok":
                why = (source["reason"] or source["status"]).lower().replace("_", " ")
                wrong.setdefault((name, why), []).append(index["symbol"])
    for (name, why), symbols in wrong.items():
        if len(symbols) == asked[name]:
            about = "all indexes"
        elif len(symbols) == 1:
            about = symbols[0]
        else:
            about = f"{len(symbols)} of {asked[name]} indexes"
        text = f"The price source {name} does not count for {about}: {why}."
        yield Alert("PRICE_SOURCE", WARNING, name, text, Permission.MARKETS_VIEW)


def _market_alerts(markets: list[dict[str, Any]]) -> Iterator[Alert]:
    see = Permission.MARKETS_VIEW
    for market in markets:
        symbol = market["symbol"]
        if market["status"] not in ("trading", "settled"):
            why = f" ({market['cause']})" if market["cause"] else ""
            text = f"{symbol} is {market['status']}{why}.".replace("_", " ")
            severity = CRITICAL if market["status"] == "halted" else WARNING
            yield Alert("MARKET_STATUS", severity, symbol, text, see)
        if market["liquidations_paused"]:
            text = f"Liquidations of {symbol} are paused."
            yield Alert("LIQUIDATIONS_PAUSED", WARNING, symbol, text, see)


def _halted_alert(currency: str) -> Alert:
    text = f"Withdrawals of {currency} are halted: its books did not add up."
    return Alert("WITHDRAWALS_HALTED", CRITICAL, currency, text, Permission.MONEY_VIEW)


def _risk_alerts(funds: list[dict[str, Any]], gauges: Mapping[str, float]) -> Iterator[Alert]:
    see = Permission.EXPOSURE_VIEW
    for fund in funds:
        name = f"group {fund['insurance_group']} {fund['currency']}"
        if fund["takeovers_stopped"]:
            text = f"The insurance fund of {name} takes nothing over after its fall."
            yield Alert("TAKEOVERS_STOPPED", CRITICAL, name, text, see)
        if fund["headroom"].startswith("-"):
            text = f"The insurance fund of {name} would not survive its worst case."
            yield Alert("FUND_EXPOSED", CRITICAL, name, text, see)
    if gauges.get("risk_markets_unmatched"):
        count = int(gauges["risk_markets_unmatched"])
        text = f"Bankrupt positions of {count} markets wait for deleveraging."
        yield Alert("DELEVERAGING", CRITICAL, "", text, see)
    if gauges.get("risk_overdue_accounts"):
        count = int(gauges["risk_overdue_accounts"])
        yield Alert("OVERDUE", CRITICAL, "", f"{count} accounts are overdue for liquidation.", see)
    if gauges.get("risk_near_scopes"):
        count = int(gauges["risk_near_scopes"])
        yield Alert("MARGIN", WARNING, "", f"{count} margin ratios are at 80 % or more.", see)
