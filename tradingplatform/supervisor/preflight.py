"""Checks before anything starts; each failure is one line that names the remedy."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from tradingplatform.supervisor import redis_server
from tradingplatform.supervisor.problems import PreflightError

# Room for the database, its write-ahead log and the logs of a first day.
DISK_FREE_MIN_BYTES = 64 * 2**20


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


def check_database() -> str:
    """Check that the database can be used and is not of a newer version."""
    database = settings.DATABASES["default"]
    # Only the driver that is used is loaded.
    if database["ENGINE"].endswith("postgresql"):
        from tradingplatform.supervisor.postgres_check import check_postgresql

        return check_postgresql()
    if database["ENGINE"].endswith("mongodb"):
        from tradingplatform.supervisor.mongodb_check import check_mongodb

        return check_mongodb()
    from tradingplatform.supervisor.sqlite_check import check_sqlite

    return check_sqlite(Path(str(database["NAME"])))


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
