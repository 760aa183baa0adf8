"""What each action must get while a part is away: one table, for the proof and for readers."""

from __future__ import annotations

from pathlib import Path

ACTIONS = ("ticker", "wallet", "place", "cancel", "login", "websocket")
HEALTHY = ("200", "200", "201", "200", "200", "snapshot")
# From sending to the whole answer, once the fault has been noticed.
ANSWER_S = 2.0
# From the repair until every action gets what it gets on a healthy platform.
RECOVERY_S = 10.0

AWAY = "503 ENGINE_UNAVAILABLE"
NO_REDIS = (
    "503 MARKET_DATA_UNAVAILABLE",
    "200 stale",
    AWAY,
    AWAY,
    "503 LOGIN_UNAVAILABLE",
    "subscribed",
)
# ``stale`` is what the body says; ``subscribed``: the socket stays silent, and the snapshot
# comes over it when the part is back.
EXPECTED: dict[str, tuple[str, ...]] = {
    "redis down": NO_REDIS,
    "redis hung": NO_REDIS,
    "database read-only": ("200", "200", AWAY, AWAY, "503 SERVICE_UNAVAILABLE", "snapshot"),
    "exchange down": ("200 stale", "200 stale", AWAY, AWAY, "200", "snapshot"),
    "feed down": HEALTHY,
    "celery down": HEALTHY,
    "channel layer down": ("200", "200", AWAY, AWAY, "200", "subscribed"),
}

BEGIN = "<!-- degraded modes: written by python -m simulation degraded --write -->"
END = "<!-- end of degraded modes -->"


def expected_of(fault: str) -> dict[str, str]:
    """Return what each action must get during a fault."""
    return dict(zip(ACTIONS, EXPECTED[fault], strict=True))


def healthy() -> dict[str, str]:
    """Return what each action gets while nothing is away."""
    return dict(zip(ACTIONS, HEALTHY, strict=True))


def table() -> str:
    """Return the whole matrix in Markdown."""
    rows = [("", *ACTIONS), ("---",) * (len(ACTIONS) + 1), ("nothing", *HEALTHY)]
    rows += [(fault, *outcomes) for fault, outcomes in EXPECTED.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


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
