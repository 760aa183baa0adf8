"""Checks before anything starts; each failure is one line that names the remedy."""

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from tradingplatform.supervisor import redis_server

# Room for the database, its write-ahead log and the logs of a first day.
DISK_FREE_MIN_BYTES = 64 * 2**20
# A full check of a larger file would delay the start; SQLite reports damage when it meets it.
QUICK_CHECK_MAX_BYTES = 256 * 2**20
_SQLITE_HEADER = b"SQLite format 3\x00"
_WRITE_BITS = 0o222


class PreflightError(Exception):
    """The platform cannot start; the message is one line with the remedy."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check: ``problem`` is empty when all is well."""

    name: str
    detail: str
    problem: str = ""


def check_directory() -> str:
    """Check that run-time files can be written and that the disk has room."""
    directory = Path(settings.VAR_DIR)
    probe = directory / f".probe-{os.getpid()}"
    try:
        probe.write_bytes(b"\x00" * 65_536)
    except OSError as error:
        raise PreflightError(
            f"directory {directory} cannot be written ({error.strerror}):"
            " free space or correct its permissions, or set VAR_DIR"
        ) from None
    finally:
        probe.unlink(missing_ok=True)
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < DISK_FREE_MIN_BYTES:
        raise PreflightError(
            f"disk of {directory} is full ({free_bytes // 2**20} MiB free,"
            f" {DISK_FREE_MIN_BYTES // 2**20} needed): free space or set VAR_DIR"
        )
    return f"{directory}, {free_bytes // 2**20} MiB free"


def check_port() -> str:
    """Check that the port can be listened on."""
    host, port = settings.HOST, settings.PORT
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PreflightError(
            f"HOST {host!r} is not an address of this machine ({error.strerror}): correct HOST"
        ) from None
    for family, kind, protocol, _, address in addresses:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                probe.listen(1)
        except PermissionError:
            raise PreflightError(
                f"port {port} may not be used by this user: set PORT to 1024 or more"
            ) from None
        except OSError as error:
            if family == socket.AF_INET6:
                continue  # Containers often name ::1 without having it.
            raise PreflightError(
                f"port {port} of {host} is busy ({error.strerror}):"
                " stop what uses it (make stop) or set PORT"
            ) from None
    return f"{host}:{port} is free"


def check_database(path: Path | None = None) -> str:
    """Check that the database file is whole, writable and not of a newer version."""
    path = path or Path(str(settings.DATABASES["default"]["NAME"]))
    if not path.exists():
        return f"{path} will be made"
    _check_file(path)
    try:
        connection = sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5)
        try:
            _check_content(connection, path)
            applied = _applied_migrations(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _database_error(path, error) from None
    _check_version(path, applied)
    return f"{path}, {path.stat().st_size // 2**20} MiB"


def _check_file(path: Path) -> None:
    related = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]
    for file in related:
        # Mode bits as well as access(): root may write what is marked read-only.
        if file.exists() and not (os.access(file, os.W_OK) and file.stat().st_mode & _WRITE_BITS):
            raise PreflightError(
                f"database {file} is read-only: make it writable (chmod u+w) or set VAR_DIR"
            )
    with path.open("rb") as stream:
        header = stream.read(len(_SQLITE_HEADER))
    if header and header != _SQLITE_HEADER:
        raise _corrupt(path, "not an SQLite file")


def _check_content(connection: sqlite3.Connection, path: Path) -> None:
    # Takes the write lock, so a read-only file system shows here.
    connection.execute("BEGIN IMMEDIATE")
    connection.rollback()
    if path.stat().st_size <= QUICK_CHECK_MAX_BYTES:
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise _corrupt(path, str(answer).splitlines()[0])


def _applied_migrations(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    tables = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'django_migrations'"
    ).fetchall()
    if not tables:
        return set()
    return set(connection.execute("SELECT app, name FROM django_migrations"))


def _check_version(path: Path, applied: set[tuple[str, str]]) -> None:
    from django.db.migrations.loader import MigrationLoader

    unknown = sorted(applied - set(MigrationLoader(None).disk_migrations))
    if unknown:
        app, name = unknown[0]
        raise PreflightError(
            f"schema of {path} is newer than this code ({app}.{name} is unknown here):"
            " bring the code up to date or set VAR_DIR to another directory"
        )


def _database_error(path: Path, error: sqlite3.Error) -> PreflightError:
    text = str(error)
    if "readonly" in text:
        return PreflightError(
            f"database {path} is read-only: make it and its directory writable, or set VAR_DIR"
        )
    if "full" in text:
        return PreflightError(f"disk of database {path} is full: free space or set VAR_DIR")
    if "locked" in text:
        return PreflightError(
            f"database {path} is locked by another process: stop it (make stop), then try again"
        )
    return _corrupt(path, text)


def _corrupt(path: Path, detail: str) -> PreflightError:
    return PreflightError(
        f"database {path} is corrupt ({detail}): restore a backup, or start anew with make reset"
    )


def check_redis() -> str:
    """Check that the Redis of REDIS_URL answers, or that one can be started."""
    if settings.REDIS_IS_EXTERNAL:
        parts = urlsplit(settings.REDIS_URL)
        port = f":{parts.port}" if parts.port else ""
        shown = f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
        problem = redis_server.ping_problem(settings.REDIS_URL)
        if problem:
            raise PreflightError(
                f"REDIS_URL {shown} does not answer ({problem}): start that server or unset"
                " REDIS_URL so that make run starts its own"
            )
        return f"{shown} answers"
    binary = redis_server.find_binary()
    if binary is None:
        raise PreflightError(redis_server.MISSING)
    return binary


CHECKS: dict[str, Callable[[], str]] = {
    "files": check_directory,
    "port": check_port,
    "database": check_database,
    "redis": check_redis,
}


def check_all() -> None:
    """Run every check; raises PreflightError at the first that fails."""
    for check in CHECKS.values():
        check()


def findings(*, skip: frozenset[str] = frozenset()) -> list[Finding]:
    """Run every check but ``skip`` and return what each found."""
    found = []
    for name, check in CHECKS.items():
        if name in skip:
            continue
        try:
            found.append(Finding(name, check()))
        except PreflightError as error:
            found.append(Finding(name, "", str(error)))
    return found


def wait_for(condition: Callable[[], bool], *, timeout_s: float, step_s: float = 0.05) -> bool:
    """Return whether the condition became true in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(step_s)
    return condition()
