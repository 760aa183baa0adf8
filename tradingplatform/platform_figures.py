"""
Figures that belong to no process: Redis, database, disk, quarantine, backup.

Asked for when somebody reads the metrics page; what does not answer is down, and the page says
so instead of failing.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection

from common.jobs import job_states, last_runs
from common.metrics import Family, Publication, Sample
from common.redis import client as redis_client
from exchange.quarantine import waiting_count

PROCESS = "platform"
# What ``manage.py backup`` records itself as (see ``common.jobs``).
BACKUP_JOB = "backup"

Figure = tuple[str, str, float]


def publication() -> Publication:
    """Return the present figures as if a process had published them."""
    families = [
        Family(name, documentation, "gauge", [Sample(name, {}, value)])
        for part in (_of_database, _of_redis, _of_disk)
        for name, documentation, value in _asked(part)
    ]
    return Publication(PROCESS, families)


def _asked(part: Callable[[], Iterator[Figure]]) -> Iterator[Figure]:
    """Yield what a part says, up to where it fails: its first figure says that it did."""
    name, documentation = _UP[part.__name__]
    found: list[Figure] = []
    try:
        found = list(part())
    except (DatabaseError, redis.RedisError, OSError):
        yield name, documentation, 0.0
        return
    yield name, documentation, 1.0
    yield from found


_UP = {
    "_of_database": ("database_up", "Whether the database answers."),
    "_of_redis": ("redis_up", "Whether Redis answers."),
    "_of_disk": ("disk_up", "Whether the disk of VAR_DIR can be looked at."),
}


def _of_database() -> Iterator[Figure]:
    yield "exchange_quarantined", "Commands set aside for an operator.", float(waiting_count())
    if connection.vendor == "sqlite":
        path = Path(str(connection.settings_dict["NAME"]))
        yield "database_bytes", "Size of the database.", float(_size(path))
        wal = path.with_name(path.name + "-wal")
        yield "database_wal_bytes", "Size of what is not checkpointed.", float(_size(wal))
    elif connection.vendor == "postgresql":
        yield (
            "database_bytes",
            "Size of the database.",
            _number("SELECT pg_database_size(current_database())"),
        )
        yield (
            "database_connections",
            "Connections to the database.",
            _number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"),
        )
        yield (
            "database_wal_bytes",
            "Written to the log since the server was made.",
            _number("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"),
        )
    elif connection.vendor == "mongodb":
        server: Any = connection
        with server.wrap_database_errors:
            size = server.database.command("dbStats")["storageSize"]
        yield "database_bytes", "Size of the database.", float(size)


def _of_redis() -> Iterator[Figure]:
    client = redis_client()
    report: Any = {}
    for section in ("memory", "clients", "stats"):
        report |= client.info(section)
    for name, documentation, field in (
        ("redis_memory_bytes", "Memory that Redis uses.", "used_memory"),
        ("redis_memory_max_bytes", "What Redis may use, 0 without a bound.", "maxmemory"),
        ("redis_clients", "Connections to Redis.", "connected_clients"),
        ("redis_commands", "Commands that Redis carried out.", "total_commands_processed"),
        ("redis_evicted_keys", "Keys that Redis evicted.", "evicted_keys"),
    ):
        yield name, documentation, float(report.get(field, 0))
    backup = last_runs(client).get(BACKUP_JOB)
    yield (
        "backup_last_success_timestamp_seconds",
        "When the last backup ended well, 0 for never.",
        backup.success_ms / 1_000 if backup is not None else 0.0,
    )
    schedule, now_ms = settings.CELERY_BEAT_SCHEDULE.values(), time.time_ns() // 1_000_000
    late = sum(state.is_late for state in job_states(client, schedule, now_ms=now_ms))
    yield "job_late", "How many periodic jobs have not run for several periods.", float(late)


def _of_disk() -> Iterator[Figure]:
    usage = shutil.disk_usage(settings.VAR_DIR)
    yield "disk_free_bytes", "Free on the disk of VAR_DIR.", float(usage.free)
    yield "disk_bytes", "Size of the disk of VAR_DIR.", float(usage.total)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _number(query: str) -> float:
    with connection.cursor() as cursor:
        cursor.execute(query)
        row: Any = cursor.fetchone()
    return float(row[0])
