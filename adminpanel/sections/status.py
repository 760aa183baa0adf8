"""The page that says how the platform's processes are: what an operator asks a shell otherwise."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts.audit_verify import AuditCheck, audit_check_kept
from accounts.permissions import Permission
from adminpanel.live_samples import Figures, Rates, system_data
from adminpanel.section_pages import Banner, Section, age_text, section_page
from common import metrics
from common import redis as redis_clients
from common.tables import Cell, Column, Kind, Table, Tone
from exchange import gateway
from exchange import keys as exchange_keys
from exchange.quarantine import waiting_count
from exchange.selectors import leader_info
from exchange.wire import decode_status

_CHECK_COLUMNS = (
    Column("name", "Part"),
    Column("state", "State", Kind.BADGE),
    Column("detail", "Detail"),
)
_FACT_COLUMNS = (Column("name", "What"), Column("value", "Value"))
_PROCESS_COLUMNS = (
    Column("name", "Process"),
    Column("pid", "Number", Kind.FIGURE),
    Column("memory", "Memory", Kind.FIGURE),
    Column("files", "Open files", Kind.FIGURE),
    Column("sockets", "Sockets", Kind.FIGURE),
)


@section_page("System status", Permission.SYSTEM_VIEW)
def status_page(_request: HttpRequest) -> Section:
    """Show what readiness says, who leads and how far it is, and every process."""
    checks = import_string(settings.READINESS_CHECKS)()
    check_rows = [
        {
            "name": name,
            "state": Cell("ok", tone=Tone.GOOD) if check.ok else Cell("fails", tone=Tone.BAD),
            "detail": check.detail,
        }
        for name, check in checks.items()
    ]
    failed = [name for name, check in checks.items() if not check.ok]
    banners = [
        Banner(f"Not ready: {', '.join(failed)}.", Tone.BAD)
        if failed
        else Banner("Ready: everything that trading needs works.", Tone.GOOD)
    ]
    quarantined = waiting_count()
    if quarantined:
        banners.append(
            Banner(f"Commands in quarantine that wait for a decision: {quarantined}.", Tone.BAD)
        )
    banners.append(_audit_banner(audit_check_kept()))
    return Section(
        [
            Table(_CHECK_COLUMNS, check_rows, "Readiness"),
            Table(_FACT_COLUMNS, _engine_rows(quarantined), "Exchange"),
            Table(
                _PROCESS_COLUMNS, _process_rows(), "Processes", empty="No process says anything."
            ),
        ],
        banners,
    )


def _audit_banner(check: AuditCheck | None) -> Banner:
    if check is None:
        return Banner("The audit log was not checked yet; that is done every hour.", Tone.NOTE)
    when = f"checked {age_text(time.time_ns() // 1_000_000 - check.time_ms)} ago"
    if check.fault:
        return Banner(f"The audit log is broken: {check.fault}; {when}.", Tone.BAD)
    return Banner(f"The audit log is whole: {check.number:,d} events, {when}.", Tone.GOOD)


def _engine_rows(quarantined: int) -> list[dict[str, Any]]:
    status = gateway.status()
    rows: list[tuple[str, Any]] = [
        ("Phase", status.phase),
        ("Epoch", status.epoch),
        ("Commands waiting", f"{status.lag:,d}"),
        ("Last command", f"{status.command_number:,d}"),
        ("Commands in quarantine", _quarantine_cell(quarantined)),
    ]
    raw: Any = redis_clients.client().get(exchange_keys.status())
    if raw is not None:
        message = decode_status(raw)
        rows += [
            ("Commands a second", f"{message.commands_per_second:,d}"),
            ("Commit of a batch", f"{message.commit_ms:.1f} ms"),
            ("Rows of a batch", f"{message.rows_per_batch:,d}"),
            ("Client ids not in their table yet", f"{message.client_ids_waiting:,d}"),
        ]
    leader = leader_info()
    if leader is not None:
        age = time.time_ns() // 1_000_000 - leader.renewed_ms
        rows += [
            ("Leader", leader.owner),
            ("Lease renewed", f"{age_text(age)} ago"),
            ("Last order", f"{leader.last_order:,d}"),
            ("Last trade", f"{leader.last_trade:,d}"),
        ]
    return [{"name": name, "value": value} for name, value in rows]


def _quarantine_cell(quarantined: int) -> Cell:
    """Return how many commands wait, as a link to them."""
    return Cell(
        f"{quarantined} waiting",
        href=reverse("admin:exchange_quarantine_changelist"),
        tone=Tone.BAD if quarantined else Tone.NEUTRAL,
    )


def _process_rows() -> list[dict[str, Any]]:
    client = redis_clients.client()
    names: Any = client.smembers(metrics.index_key())
    members = metrics.members_of(names)
    values: Any = client.mget([metrics.member_key(name) for name in members]) if members else []
    figures = Figures(
        time_ms=time.time_ns() // 1_000_000, processes=metrics.published(members, values)
    )
    told = system_data(figures, Rates())
    sockets = {row["process"]: row["connections"] for row in told["sockets"]}
    return [
        {
            "name": row["name"],
            "pid": row["pid"],
            "memory": None
            if row["memory_bytes"] is None
            else f"{row['memory_bytes'] / 2**20:,.0f} MiB",
            "files": row["open_files"],
            "sockets": sockets.get(f"{row['name']}:{row['pid']}"),
        }
        for row in told["processes"]
    ]
