"""
Who leads: one row, one epoch, taken over only from a leader that is gone.

A standby never trusts another machine's clock: it watches the heartbeat counter and takes
over once that stood still for the whole lease on its own monotonic clock. On one host it
first kills the recorded process, which may be stopped while it holds the database's lock.
A leader that renews its lease but is cut off from Redis serves nobody: it is replaced too,
by a standby that Redis answers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.db import DatabaseError, connection
from django.db.models import F

from exchange.models import POSITION_ID, Batch, LogPosition
from exchange.standby import LeaderWatch
from exchange.store.base import LeaseLostError, StoreUnusableError
from exchange.store.factory import answered_within, end_left_transaction
from exchange.wire import now_ms

logger = structlog.get_logger(__name__)

LEASE_S = 2.0
RENEW_S = 0.5
WATCH_S = 0.1
KILL_WAIT_S = 5.0
# What a write of the lease may wait for the transaction of a leader that is gone: one that was
# on its way while the database did not answer begins only afterwards, and has to be ended then.
WRITE_S = 1.0
# Longer than a leader needs to find Redis again after it was down for everybody.
SILENT_S = 2.5


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, told apart from a later one that got the same number."""

    host: str
    pid: int
    started: str

    @classmethod
    def this_process(cls) -> Owner:
        """Return who we are."""
        pid = os.getpid()
        return cls(_host(), pid, _process_started(pid))

    def is_here(self) -> bool:
        """Tell whether this process would be visible on this host."""
        return bool(self.host) and self.host == _host()

    def is_alive(self) -> bool:
        """Tell whether the process still exists; only meaningful when it is here."""
        return bool(self.started) and _process_started(self.pid) == self.started


@dataclass(frozen=True, slots=True)
class Lease:
    """Leadership under an epoch; ``down_ms`` is how long nobody had led before."""

    epoch: int
    down_ms: int


def acquire(
    stop: Callable[[], bool] = lambda: False, watch: LeaderWatch | None = None
) -> Lease | None:
    """
    Wait until nobody else leads, then lead; None when ``stop`` says so first.

    ``watch`` also replaces a leader that is cut off from Redis. A database that goes away
    while another leads is waited for.

    Raises:
        StoreUnusableError: if the position row cannot be written to begin with, or is gone
            while the log is there.
    """
    try:
        if not LogPosition.objects.filter(id=POSITION_ID).exists():
            LogPosition.objects.bulk_create([LogPosition(id=POSITION_ID)], ignore_conflicts=True)
    except DatabaseError as error:
        raise StoreUnusableError(f"database cannot be written: {error}") from error
    standby = _Standby(watch)
    while not stop():
        try:
            lease = standby.look()
        except DatabaseError as error:
            logger.warning("lease_not_read", error=str(error.__cause__ or error))
            connection.close()
            lease = None
        if lease is not None:
            return lease
        time.sleep(WATCH_S)
    return None


class _Standby:
    """Watches the lease on this process's own monotonic clock."""

    def __init__(self, watch: LeaderWatch | None) -> None:
        self._watch = watch
        self._seen: LogPosition | None = None
        self._seen_at = 0.0

    def look(self) -> Lease | None:
        """Look once; return the lease when it could be taken."""
        row, seen = _position(), self._seen
        if seen is None or (row.epoch, row.heartbeat) != (seen.epoch, seen.heartbeat):
            if seen is None and row.owner:
                logger.info("leader_recorded", owner=row.owner, epoch=row.epoch)
            self._seen, self._seen_at = row, time.monotonic()
        gone = time.monotonic() - self._seen_at >= LEASE_S
        silent_s = self._watch.silent_s() if self._watch is not None else 0.0
        if not _is_free(row, gone=gone or silent_s >= SILENT_S):
            return None
        highest = self._watch.highest_epoch() if self._watch is not None else 0
        with answered_within(WRITE_S):
            end_left_transaction()
            lease = _take(row, highest)
        if lease is None:
            self._seen = None
        return lease


def _position() -> LogPosition:
    """Return the position row; without it numbers would be given out a second time."""
    row = LogPosition.objects.filter(id=POSITION_ID).first()
    if row is None or (row.batch == 0 and Batch.objects.exists()):
        raise StoreUnusableError(
            "the position row is missing and the command log is not: restore a backup"
        )
    return row


def renew(epoch: int) -> None:
    """
    Move the heartbeat.

    Raises:
        LeaseLostError: if another process leads.
        DatabaseError: if the database takes no write now.
    """
    with answered_within(WRITE_S):
        changed = LogPosition.objects.filter(id=POSITION_ID, epoch=epoch).update(
            heartbeat=F("heartbeat") + 1, renewed_ms=now_ms()
        )
    if changed != 1:
        raise LeaseLostError(f"epoch {epoch} no longer leads")


def release(epoch: int) -> None:
    """Give leadership back, so that the next leader need not wait; best effort."""
    try:
        with answered_within(WRITE_S):
            LogPosition.objects.filter(id=POSITION_ID, epoch=epoch).update(
                owner="", owner_pid=0, owner_started="", renewed_ms=now_ms()
            )
    except DatabaseError as error:
        logger.warning("lease_not_released", error=str(error.__cause__ or error))


class LeaseKeeper:
    """Renews the lease from a thread while the main thread loads, with an optional beat."""

    def __init__(self, epoch: int, beat: Callable[[], None] = lambda: None) -> None:
        """Prepare; ``beat`` is called with each renewal."""
        self._epoch = epoch
        self._beat = beat
        self._done = threading.Event()
        self._lost: LeaseLostError | None = None
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)

    def __enter__(self) -> LeaseKeeper:
        """Start renewing."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """
        Stop renewing.

        Raises:
            LeaseLostError: if another process took over meanwhile.
        """
        self._done.set()
        self._thread.join()
        if self._lost is not None:
            raise self._lost

    def _run(self) -> None:
        try:
            while not self._done.wait(RENEW_S):
                try:
                    renew(self._epoch)
                    self._beat()
                except LeaseLostError as error:
                    self._lost = error
                    return
                except DatabaseError as error:
                    logger.warning("lease_not_renewed", error=str(error.__cause__ or error))
        finally:
            connection.close()


def _is_free(row: LogPosition, *, gone: bool) -> bool:
    """Tell whether leadership may be taken; ends a leader of this host that is as good as gone."""
    if not row.owner:
        return True
    owner = Owner(row.owner, row.owner_pid, row.owner_started)
    if owner == Owner.this_process():
        return True
    if not owner.is_here():
        return gone
    if not owner.is_alive():
        return True
    if not gone:
        return False
    logger.warning("leader_killed", pid=owner.pid, epoch=row.epoch)
    with contextlib.suppress(ProcessLookupError):
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + KILL_WAIT_S
    while owner.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not owner.is_alive()


def _take(row: LogPosition, highest_epoch: int) -> Lease | None:
    me = Owner.this_process()
    epoch = max(row.epoch, highest_epoch) + 1
    taken = LogPosition.objects.filter(
        id=POSITION_ID, epoch=row.epoch, heartbeat=row.heartbeat
    ).update(
        epoch=epoch,
        owner=me.host,
        owner_pid=me.pid,
        owner_started=me.started,
        heartbeat=row.heartbeat + 1,
        renewed_ms=now_ms(),
    )
    if taken != 1:
        return None
    down_ms = max(0, now_ms() - row.renewed_ms) if row.epoch else 0
    return Lease(epoch, down_ms)


def _host() -> str:
    """
    Return a name under which process numbers are comparable.

    Machines made from one image have one host name and number their namespaces alike; what
    tells them apart is when they were started.
    """
    name = [socket.gethostname()]
    with contextlib.suppress(OSError):
        name.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        name.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(name)


def _process_started(pid: int) -> str:
    """Return when a process started, "" when there is none (or only its corpse)."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    listed = subprocess.run(
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listed.stdout.strip()
