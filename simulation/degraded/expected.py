"""What each action must get while a part is away: one table, for the proof and for readers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ACTIONS = ("ticker", "wallet", "place", "cancel", "login", "websocket")
HEALTHY = ("200", "200", "201", "200", "200", "snapshot")
# From sending to the whole answer, once the fault has been noticed.
ANSWER_S = 2.0
# From the repair until every action gets what it gets on a healthy platform.
RECOVERY_S = 10.0

SQLITE, POSTGRES, MONGODB = "sqlite", "postgres", "mongodb"
NAMES = {SQLITE: "SQLite", POSTGRES: "PostgreSQL", MONGODB: "MongoDB"}
ALL = tuple(NAMES)
SERVERS = (POSTGRES, MONGODB)

OR = " or "
AWAY = "503 ENGINE_UNAVAILABLE"
NO_DATABASE = "503 SERVICE_UNAVAILABLE"
NO_REDIS = (
    "503 MARKET_DATA_UNAVAILABLE",
    "200 stale",
    AWAY,
    AWAY,
    "503 LOGIN_UNAVAILABLE",
    "subscribed",
)
# The first while the session is remembered, the second when only the database knows it.
EITHER = f"{AWAY}{OR}{NO_DATABASE}"
# An exchange that waits for the database itself may be silent for longer than two seconds.
NOTHING_READ = (f"200{OR}200 stale", NO_DATABASE, EITHER, EITHER, NO_DATABASE, "snapshot")


@dataclass(frozen=True, slots=True)
class Row:
    """One fault, the databases under which it is made, and what each action gets meanwhile."""

    fault: str
    outcomes: tuple[str, ...]
    databases: tuple[str, ...] = ALL


# ``stale`` is what the body says; ``subscribed``: the socket stays silent, and the snapshot
# comes over it when the part is back.
ROWS = (
    Row("redis down", NO_REDIS),
    Row("redis hung", NO_REDIS),
    Row("database down", NOTHING_READ, SERVERS),
    Row("database hung", NOTHING_READ, SERVERS),
    Row(
        "database read-only",
        ("200", "200", AWAY, AWAY, NO_DATABASE, "snapshot"),
        (SQLITE, POSTGRES),
    ),
    Row("exchange down", ("200 stale", "200 stale", AWAY, AWAY, "200", "snapshot")),
    Row("feed down", HEALTHY),
    Row("celery down", HEALTHY),
    Row("channel layer down", ("200", "200", AWAY, AWAY, "200", "subscribed")),
)
BY_FAULT = {row.fault: row for row in ROWS}

BEGIN = "<!-- degraded modes: written by python -m simulation degraded --write -->"
END = "<!-- end of degraded modes -->"


def faults_on(database: str) -> tuple[str, ...]:
    """Return the names of the rows that are made under a database."""
    return tuple(row.fault for row in ROWS if database in row.databases)


def expected_of(fault: str) -> dict[str, tuple[str, ...]]:
    """Return what each action may get during a fault."""
    outcomes = [outcome.split(OR) for outcome in BY_FAULT[fault].outcomes]
    return dict(zip(ACTIONS, map(tuple, outcomes), strict=True))


def healthy() -> dict[str, str]:
    """Return what each action gets while nothing is away."""
    return dict(zip(ACTIONS, HEALTHY, strict=True))


def table() -> str:
    """Return the whole matrix in Markdown."""
    rows = [("", "under", *ACTIONS), ("---",) * (len(ACTIONS) + 2), ("nothing", "all", *HEALTHY)]
    rows += [(row.fault, _under(row), *row.outcomes) for row in ROWS]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _under(row: Row) -> str:
    return "all" if row.databases == ALL else ", ".join(NAMES[name] for name in row.databases)


def with_table(text: str) -> str:
    """
    Return a document with the matrix between its markers.

    Raises:
        ValueError: if a marker is missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the document has no markers for the matrix of degraded modes")
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def write(document: Path) -> None:
    """
    Bring the matrix of a document up to date.

    Raises:
        ValueError: if a marker is missing; nothing is written.
    """
    document.write_text(with_table(document.read_text()))
