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
from common.jobs import JobRun, JobState, job_states, last_runs
from common.tables import Cell, Column, Kind, Table, Tone

_COLUMNS = (
    Column("name", "Job"),
    Column("every", "Every", Kind.FIGURE),
    Column("state", "State", Kind.BADGE),
    Column("started", "Last run (UTC)", Kind.TIME),
    Column("age", "Ago", Kind.FIGURE),
    Column("duration", "Took", Kind.FIGURE),
    Column("error", "Error"),
    Column("succeeded", "Last success (UTC)", Kind.TIME),
    Column("due", "Next (UTC)", Kind.TIME),
)


@section_page("Jobs", Permission.SYSTEM_VIEW)
def jobs_page(_request: HttpRequest) -> Section:
    """Show every periodic job with its last run, then the others that ran."""
    client = redis_clients.client()
    now_ms = time.time_ns() // 1_000_000
    states = job_states(client, settings.CELERY_BEAT_SCHEDULE.values(), now_ms=now_ms)
    periodic = [periodic_row(state, now_ms=now_ms) for state in states]
    scheduled = {state.job for state in states}
    others = [
        job_row(task, record, now_ms=now_ms)
        for task, record in last_runs(client).items()
        if task not in scheduled
    ]
    tables = [
        Table(_COLUMNS, periodic, "Periodic jobs"),
        Table(_COLUMNS, others, "Jobs on demand", empty="None ran since Redis began."),
    ]
    return Section(tables, [_banner(periodic)])


def periodic_row(state: JobState, *, now_ms: int) -> dict[str, Any]:
    """Return the row of a job that beat sends; that it failed is said before that it is late."""
    row = job_row(state.job, state.last, now_ms=now_ms)
    if state.is_late and row["state"].tone is not Tone.BAD:
        row["state"] = Cell("late", tone=Tone.WARNING)
    return {**row, "every": age_text(state.period_ms), "due": state.due_ms}


def job_row(task: str, last: JobRun | None, *, now_ms: int) -> dict[str, Any]:
    """Return a job's row: its last run, if there was one."""
    if last is None:
        return {"name": task, "state": Cell("not yet", tone=Tone.NOTE)}
    return {
        "name": task,
        "state": Cell(last.outcome, tone=Tone.BAD if last.outcome == "failure" else Tone.GOOD),
        "started": last.started_ms,
        "age": age_text(now_ms - last.started_ms),
        "duration": f"{last.duration_ms:,.0f} ms",
        "error": last.error,
        "succeeded": last.success_ms,
    }


def _banner(rows: Sequence[Mapping[str, Any]]) -> Banner:
    bad = [row["name"] for row in rows if row["state"].tone in (Tone.WARNING, Tone.BAD)]
    if bad:
        return Banner(f"Late, or failed the last time: {', '.join(bad)}.", Tone.WARNING)
    return Banner("Every periodic job whose time came ran, and did not fail.", Tone.GOOD)
