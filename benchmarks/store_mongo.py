"""
The store's benchmark on MongoDB: a SecantusDB that this starts, or the server of ``MONGODB_URI``.

In that server's database ``bench`` everything is removed. SecantusDB is a server for tests,
written in Python: what it can insert by itself is measured beside.
"""

from __future__ import annotations

import os
import time
from typing import Any

from benchmarks.report import Options, Section
from benchmarks.store import BATCH, CASES, Case, measure_database
from simulation.mongo_server import MongoServer

NAME = "bench"
# What SecantusDB does within some minutes. It has no index for ranges of keys, so a grown
# database would measure its scans.
SECANTUS_CASES = (Case(0, False, 0), Case(0, True, 0))
SECANTUS_COMMANDS = 2_000
PLAIN_ROWS = 10_000
PLAIN_ROWS_PER_INSERT = 1_000


def measure(options: Options) -> Section:
    """Return the table for MongoDB; the quick run shows only that everything works."""
    given = os.environ.get("MONGODB_URI", "")
    if given:
        return _measure(options, given, CASES, "the server of MONGODB_URI")
    server = MongoServer(sync=True)
    try:
        server.start()
        return _measure(options, server.url, SECANTUS_CASES, "SecantusDB, sync_on_commit")
    finally:
        server.remove()


def _measure(options: Options, url: str, cases: tuple[Case, ...], server: str) -> Section:
    os.environ["DB_NAME"] = NAME
    section = measure_database(
        options,
        key="store_mongo",
        title="Core and store on MongoDB, majority and journal",
        database="mongo",
        url=url,
        cases=cases,
        **({} if cases is CASES else {"commands": SECANTUS_COMMANDS}),
    )
    section.notes.append(
        f"60 % rest, 25 % cancel, 15 % cross; batches of {BATCH}; {server}, on the same machine."
    )
    section.notes.append(
        f"Raw is the store alone on the same rows. The server by itself takes"
        f" {_plain_rows_per_s(url):,.0f} documents of 20 integers a second, inserted by thousands"
        " outside of transactions."
    )
    return section


def _plain_rows_per_s(url: str) -> float:
    from bson import Int64
    from pymongo import MongoClient

    client: MongoClient[dict[str, Any]] = MongoClient(url)
    rows = client[NAME]["plain"]
    rows.drop()
    started = time.perf_counter()
    for first in range(0, PLAIN_ROWS, PLAIN_ROWS_PER_INSERT):
        rows.insert_many(
            [
                {"_id": Int64(key), **{f"column_{number}": Int64(key) for number in range(19)}}
                for key in range(first, first + PLAIN_ROWS_PER_INSERT)
            ],
            ordered=False,
        )
    seconds = time.perf_counter() - started
    client.drop_database(NAME)
    client.close()
    return PLAIN_ROWS / seconds
