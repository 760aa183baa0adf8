"""
The store's benchmark on PostgreSQL: one that this starts, or the database of ``DATABASE_URL``.

That database is emptied.
"""

from __future__ import annotations

import os

import psycopg

from benchmarks.report import Options, Section
from benchmarks.store import BATCH, measure_database
from simulation.postgres_server import PostgresServer

NAME = "bench"
# What a small server of its own would have.
SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB"}


def measure(options: Options) -> Section:
    """Return the table for PostgreSQL; the quick run shows only that everything works."""
    given = os.environ.get("DATABASE_URL", "")
    if given.startswith("postgres"):
        return _measure(options, given, "the server of DATABASE_URL")
    server = PostgresServer(**SETTINGS)
    try:
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{NAME}"'.encode())
            version = connection.info.server_version
        shown = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
        return _measure(
            options,
            server.url.replace("/postgres?", f"/{NAME}?"),
            f"PostgreSQL {version // 10_000}.{version % 10_000}, {shown}",
        )
    finally:
        server.remove()


def _measure(options: Options, url: str, server: str) -> Section:
    section = measure_database(
        options,
        key="store_postgres",
        title="Core and store on PostgreSQL, fsync and synchronous_commit on",
        database="postgres",
        url=url,
    )
    section.notes.append(
        f"60 % rest, 25 % cancel, 15 % cross; batches of {BATCH}; fsync at every commit; {server},"
        " on the same machine by a unix socket."
    )
    section.notes.append(
        "Raw is the store alone on the same rows: one statement per table and batch from packed"
        " arrays, the fastest way measured."
    )
    return section
