"""What must hold of a SQLite file before anything starts."""

import os
import sqlite3
from pathlib import Path

from tradingplatform.supervisor.problems import PreflightError, check_version

# A full check of a larger file would delay the start; SQLite reports damage when it meets it.
QUICK_CHECK_MAX_BYTES = 256 * 2**20
_SQLITE_HEADER = b"SQLite format 3\x00"
_WRITE_BITS = 0o222


def check_sqlite(path: Path) -> str:
    """
    Check that the database file is whole, writable and not of a newer version.

    Raises:
        PreflightError: with the remedy in one line.
    """
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
    except UnicodeDecodeError as error:
        # The driver cannot even decode what SQLite says of a damaged schema.
        raise _corrupt(path, str(error)) from None
    check_version(f"{path}", applied)
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
