"""The page of periodic and other jobs: when each ran last, how long, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from accounts.permissions import Permission
from adminpanel.section_pages import Banner, Section, age_text, section_page
from common import redis as redis_clients
from common.jobs import JobRun, last_runs
from common.tables import Cell, Column, Kind, Table, Tone

# A job is late when its last run began so many periods ago, and this much.
LATE_PERIODS = 3
LATE_MS = 10_000

_COLUMNS = (
    Column("name", "Job"),
    Column("every", "Every", Kind.FIGURE),
    Column("state", "State", Kind.BADGE),
    Column("started", "Last run (UTC)", Kind.TIME),
    Column("age", "Ago", Kind.FIGURE),
    Column("duration", "Took", Kind.FIGURE),
    Column("error", "Error"),
    Column("succeeded", "Last success (UTC)", Kind.TIME),
)


@section_page("Jobs", Permission.SYSTEM_VIEW)
def jobs_page(_request: HttpRequest) -> Section:
    """Show every periodic job with its last run, then the others that ran."""
    records = last_runs(redis_clients.client())
    now_ms = time.time_ns() // 1_000_000
    scheduled = {
        entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()
    }
    periodic = [
        job_row(task, records.get(task), now_ms=now_ms, every_s=float(every_s))
        for task, every_s in sorted(scheduled.items())
    ]
    others = [
        job_row(task, record, now_ms=now_ms)
        for task, record in sorted(records.items())
        if task not in scheduled
    ]
    tables = [
        Table(_COLUMNS, periodic, "Periodic jobs"),
        Table(_COLUMNS, others, "Jobs on demand", empty="None ran since Redis began."),
    ]
    return Section(tables, [_banner(periodic)])


def job_row(
    task: str, last: JobRun | None, *, now_ms: int, every_s: float | None = None
) -> dict[str, Any]:
    """Return a job's row; one that has a period is late when it did not run for several."""
    every = None if every_s is None else age_text(round(every_s * 1_000))
    if last is None:
        return {"name": task, "every": every, "state": Cell("not yet", tone=Tone.NOTE)}
    age_ms = now_ms - last.started_ms
    state = Cell(last.outcome, tone=Tone.BAD if last.outcome == "failure" else Tone.GOOD)
    is_good = state.tone is Tone.GOOD
    if every_s is not None and age_ms > LATE_PERIODS * every_s * 1_000 + LATE_MS and is_good:
        state = Cell("late", tone=Tone.WARNING)
    return {
        "name": task,
        "every": every,
        "state": state,
        "started": last.started_ms,
        "age": age_text(age_ms),
        "duration": f"{last.duration_ms:,.0f} ms",
        "error": last.error,
        "succeeded": last.success_ms,
    }


def _banner(rows: Sequence[Mapping[str, Any]]) -> Banner:
    bad = [row["name"] for row in rows if row["state"].tone in (Tone.WARNING, Tone.BAD)]
    if bad:
        return Banner(f"Late, or failed the last time: {', '.join(bad)}.", Tone.WARNING)
    return Banner("Every periodic job whose time came ran, and did not fail.", Tone.GOOD)
