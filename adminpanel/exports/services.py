"""Exports: asked for, written by a worker, downloaded, gone after a day. Each step is audited."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from accounts import audit
from accounts.enums import Role
from accounts.permissions import Permission, role_permits
from adminpanel.enums import ExportStatus
from adminpanel.exports.filters import Filters, decode_filters, encode_filters
from adminpanel.exports.kinds import KINDS, Kind, symbol_of
from adminpanel.exports.writing import ExportError, write_csv
from adminpanel.models import Export
from common.db import atomic
from common.errors import ApiError, not_found
from common.ids import make_id
from common.request_id import current_request_id

log = structlog.get_logger(__name__)

KEPT_MS = 24 * 3_600_000
# Rows of exports that are over are history for this long; the audit log keeps them for ever.
ROWS_KEPT_MS = 30 * 86_400_000
# A worker reports after each part of the keys; one that is silent for so long has died.
SILENT_MS = 60_000
# Of one user, waiting or being written.
UNFINISHED_MAX = 5
UNFINISHED = (ExportStatus.PENDING, ExportStatus.RUNNING)
# Progress is written down at most this often.
REPORT_EVERY_S = 1.0


class _TakenAway(Exception):
    """Another worker, or the clean-up, has this export now."""


@dataclass(frozen=True, slots=True)
class ExportInfo:
    """An export as it is shown; times in ms UTC, 0 for not yet."""

    export_id: int
    kind: str
    filters: Filters
    requested_by: str
    requested_by_id: int
    reason: str
    status: ExportStatus
    percent: int
    rows: int
    size_bytes: int
    error: str
    created_ms: int
    finished_ms: int
    expires_ms: int

    @property
    def file_name(self) -> str:
        """Return what a download is called."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.created_ms / 1_000))
        return f"{self.kind}-{stamp}.csv"

    @property
    def symbol(self) -> str | None:
        """Return the market that it is limited to."""
        return None if self.filters.market_id is None else symbol_of(self.filters.market_id)


def may_export(role: str, kind: Kind) -> bool:
    """Return whether a role may take rows of a kind out of the house."""
    return role_permits(role, Permission.EXPORT) and role_permits(role, kind.permission)


def directory() -> Path:
    """Return where files lie, made for the platform's user alone."""
    path = Path(settings.VAR_DIR) / "exports"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def now_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000


def export_request(*, kind: Kind, filters: Filters, reason: str, actor: Any) -> ExportInfo:
    """
    Note an export and let a worker begin.

    Raises:
        ApiError: 403 ``PERMISSION_DENIED``, 409 ``EXPORT_LIMIT``.
    """
    if not may_export(actor.role, kind):
        raise ApiError("PERMISSION_DENIED", "This user may not do that.", 403)
    with atomic():
        if _own(actor).filter(status__in=UNFINISHED).count() >= UNFINISHED_MAX:
            raise ApiError("EXPORT_LIMIT", f"{UNFINISHED_MAX} exports wait already.", 409)
        row = Export.objects.create(
            id=make_id(),
            kind=kind.name,
            filters=encode_filters(filters),
            reason=reason,
            requested_by_id=actor.id,
            requested_by=actor.username,
            request_id=current_request_id(),
            status=ExportStatus.PENDING,
            created_ms=now_ms(),
        )
        _record("export.request", row, actor, after=_told(filters, kind), reason=reason)
        transaction.on_commit(_begin)
    return info_of(row)


def export_retry(*, export_id: int, actor: Any) -> ExportInfo:
    """
    Let a failed export be written once more.

    Raises:
        ApiError: 404 ``NOT_FOUND``, 403 ``PERMISSION_DENIED``, 409 ``EXPORT_NOT_FAILED``.
    """
    row = _visible(export_id, actor)
    with atomic():
        failed = Export.objects.filter(id=row.id, status=ExportStatus.FAILED)
        again = {"percent": 0, "rows": 0, "error": "", "request_id": current_request_id()}
        if failed.update(status=ExportStatus.PENDING, **again) != 1:
            raise ApiError("EXPORT_NOT_FAILED", "Only a failed export is tried again.", 409)
        _record("export.retry", row, actor)
        transaction.on_commit(_begin)
    return export_of(export_id, actor)


def export_file(*, export_id: int, actor: Any) -> tuple[Path, ExportInfo]:
    """
    Return the file of an export that is done; the download is audited.

    Raises:
        ApiError: 404 ``NOT_FOUND``, 403 ``PERMISSION_DENIED``, 409 ``EXPORT_NOT_READY``,
            410 ``EXPORT_EXPIRED``.
    """
    row = _visible(export_id, actor)
    if row.status == ExportStatus.EXPIRED or (row.expires_ms and row.expires_ms <= now_ms()):
        raise ApiError("EXPORT_EXPIRED", "The file was kept for a day and is gone.", 410)
    if row.status != ExportStatus.DONE:
        raise ApiError("EXPORT_NOT_READY", "The export is not done.", 409)
    path = directory() / row.file_name
    if not path.exists():
        raise ApiError("EXPORT_EXPIRED", "The file is gone.", 410)
    _record("export.download", row, actor)
    return path, info_of(row)


def exports_page(*, actor: Any, limit: int, below_id: int | None = None) -> list[ExportInfo]:
    """Return one more than ``limit`` exports if there are, newest first: one's own, or all."""
    rows = Export.objects.all() if actor.role == Role.ADMIN else _own(actor)
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    return [info_of(row) for row in rows.order_by("-id")[: limit + 1]]


def export_of(export_id: int, actor: Any) -> ExportInfo:
    """
    Return an export of one's own, or of anybody for an administrator.

    Raises:
        ApiError: 404 ``NOT_FOUND``, 403 ``PERMISSION_DENIED``.
    """
    return info_of(_visible(export_id, actor))


def info_of(row: Export) -> ExportInfo:
    """Return a row as it is shown."""
    return ExportInfo(
        export_id=row.id,
        kind=row.kind,
        filters=decode_filters(row.filters),
        requested_by=row.requested_by,
        requested_by_id=row.requested_by_id,
        reason=row.reason,
        status=ExportStatus(row.status),
        percent=row.percent,
        rows=row.rows,
        size_bytes=row.size_bytes,
        error=row.error,
        created_ms=row.created_ms,
        finished_ms=row.finished_ms,
        expires_ms=row.expires_ms,
    )


def _own(actor: Any) -> QuerySet[Export]:
    return Export.objects.filter(requested_by_id=actor.id)


def _visible(export_id: int, actor: Any) -> Export:
    rows = Export.objects.all() if actor.role == Role.ADMIN else _own(actor)
    row = rows.filter(id=export_id).first()
    if row is None:
        raise not_found()
    # A role that was taken away takes the files of its time along.
    if not may_export(actor.role, KINDS[row.kind]):
        raise ApiError("PERMISSION_DENIED", "This user may not do that.", 403)
    return row


def _record(
    action: str,
    row: Export,
    actor: Any,
    *,
    after: dict[str, Any] | None = None,
    reason: str = "",
) -> None:
    audit.record(actor=actor, action=action, target=f"export:{row.id}", after=after, reason=reason)


def _told(filters: Filters, kind: Kind) -> dict[str, Any]:
    return {
        "kind": kind.name,
        "from": filters.since_ms,
        "to": filters.until_ms,
        "account_id": None if filters.account_id is None else str(filters.account_id),
        "symbol": None if filters.market_id is None else symbol_of(filters.market_id),
    }


def _begin() -> None:
    from adminpanel.tasks import write_exports

    try:
        write_exports.delay()
    except OSError as error:
        # Beat begins it within its period.
        log.warning("export_not_begun", error=str(error))


# --- the worker's side ----------------------------------------------------------------------


def exports_tend(time_ms: int) -> None:
    """Fail what a dead worker left, delete what is too old; safe to run twice."""
    silent = Export.objects.filter(
        status=ExportStatus.RUNNING, heartbeat_ms__lt=time_ms - SILENT_MS
    )
    for row in silent:
        if _end(row, ExportStatus.FAILED, error="The worker stopped before it was done."):
            _remove_files(row)
    for row in Export.objects.filter(status=ExportStatus.DONE, expires_ms__lte=time_ms):
        _remove_files(row)
        Export.objects.filter(id=row.id, status=ExportStatus.DONE).update(
            status=ExportStatus.EXPIRED
        )
    old = Export.objects.filter(created_ms__lt=time_ms - ROWS_KEPT_MS)
    old.exclude(status__in=(*UNFINISHED, ExportStatus.DONE)).delete()


def export_write_next() -> int | None:
    """
    Write the export that waits longest, unless one is being written; return its id.

    A second worker takes none, so that exports never have more than one thread.
    """
    if Export.objects.filter(status=ExportStatus.RUNNING).exists():
        return None
    row = Export.objects.filter(status=ExportStatus.PENDING).order_by("id").first()
    if row is None:
        return None
    time_ms, attempt = now_ms(), row.attempt + 1
    waiting = Export.objects.filter(id=row.id, status=ExportStatus.PENDING, attempt=row.attempt)
    name = f"{secrets.token_hex(16)}.csv"
    taken = waiting.update(
        status=ExportStatus.RUNNING, attempt=attempt, heartbeat_ms=time_ms, file_name=name
    )
    if taken != 1:
        return None
    row.refresh_from_db()
    # The task was sent by another request, or by beat, when this one waited behind others.
    with structlog.contextvars.bound_contextvars(request_id=row.request_id):
        _write(row)
    return cast(int, row.id)


def _write(row: Export) -> None:
    kind, path = KINDS[row.kind], directory() / row.file_name
    last = time.monotonic()

    def report(percent: int, rows: int) -> None:
        nonlocal last
        if time.monotonic() - last < REPORT_EVERY_S:
            return
        last = time.monotonic()
        mine = _mine(row)
        if mine.update(percent=min(percent, 99), rows=rows, heartbeat_ms=now_ms()) != 1:
            raise _TakenAway

    try:
        rows = write_csv(path, kind.header, kind.plan(decode_filters(row.filters)), report)
    except _TakenAway:
        log.warning("export_taken_away", export_id=row.id)
        return
    except ExportError as error:
        _end(row, ExportStatus.FAILED, error=str(error))
    except OSError as error:
        _end(row, ExportStatus.FAILED, error=f"The file cannot be written: {error.strerror}.")
    except Exception:
        # The worker must go on, and who waits must see that it is over.
        log.exception("export_failed", export_id=row.id)
        _end(row, ExportStatus.FAILED, error="A fault of the platform; it was logged.")
    else:
        size = path.stat().st_size
        if not _end(row, ExportStatus.DONE, rows=rows, size_bytes=size):
            path.unlink(missing_ok=True)
        log.info("export_written", export_id=row.id, kind=row.kind, rows=rows, bytes=size)


def _mine(row: Export) -> QuerySet[Export]:
    return Export.objects.filter(id=row.id, status=ExportStatus.RUNNING, attempt=row.attempt)


def _end(
    row: Export, status: ExportStatus, *, error: str = "", rows: int = 0, size_bytes: int = 0
) -> bool:
    time_ms = now_ms()
    values: dict[str, Any] = {"status": status, "error": error[:200], "finished_ms": time_ms}
    if status is ExportStatus.DONE:
        values |= {
            "percent": 100,
            "rows": rows,
            "size_bytes": size_bytes,
            "expires_ms": time_ms + KEPT_MS,
        }
    return _mine(row).update(**values) == 1


def _remove_files(row: Export) -> None:
    path = directory() / row.file_name
    path.unlink(missing_ok=True)
    path.with_suffix(".part").unlink(missing_ok=True)
