"""A user who trades on whatever happens, and what may be answered to it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

PAUSE_S = 0.2
# A command counts for five seconds; then the command log is asked, as far as it answers.
ORDER_S = 8.0
# Nothing else may be told to an order, whatever is away.
TOLD = frozenset(
    {
        "201",
        "503 ENGINE_UNAVAILABLE",
        "503 ENGINE_BUSY",
        # Of an exchange that has just come back after ten seconds or more.
        "503 EXCHANGE_CANCEL_ONLY",
        "503 EXCHANGE_POST_ONLY",
        "503 SERVICE_UNAVAILABLE",
        "504 STATUS_UNKNOWN",
    }
)


class Trader:
    """Places one order after the other, from entry to exit."""

    def __init__(self, place: Callable[[], str], *, slower: float = 1.0) -> None:
        """Trade by ``place``, which returns the outcome; ``slower`` multiplies the bound."""
        self._place = place
        self._answer_s = ORDER_S * slower
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._trade, name="trader", daemon=True)
        self._wrong: Counter[str] = Counter()

    def __enter__(self) -> Trader:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the last answer."""
        self._stop.set()
        self._thread.join()

    @property
    def problems(self) -> list[str]:
        """Return what was answered wrongly, and how often."""
        return [f"{problem}, {count} times" for problem, count in self._wrong.items()]

    def _trade(self) -> None:
        while not self._stop.wait(PAUSE_S):
            began = time.monotonic()
            outcome = self._place()
            seconds = time.monotonic() - began
            if outcome not in TOLD:
                self._wrong[f"an order got {outcome}"] += 1
            if seconds > self._answer_s:
                self._wrong[f"an order was answered after {seconds:.0f} s"] += 1
