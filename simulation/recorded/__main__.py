"""
Recorded order flow through our book: ``python -m simulation.recorded``.

Prints what was replayed and compared, every class of difference with its count, and the
seconds it took. A recording that is not on this machine is named and left out.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable

from simulation.recorded import bitstamp, lobster
from simulation.recorded.data import RecordingAbsentError

REPLAYS: list[tuple[str, Callable[[], Counter[str]]]] = [
    ("LOBSTER AMZN 2012-06-21", lobster.replay),
    ("Bitstamp BTC/USD 2015-05-01", bitstamp.replay),
]


def main() -> int:
    """Replay every recording and return the exit code: 1 if a book differed."""
    code = 0
    for name, replay in REPLAYS:
        started = time.perf_counter()
        try:
            counts = replay()
        except RecordingAbsentError as absent:
            print(f"{name}: left out, {absent}")
            continue
        except lobster.DisagreementError as error:
            print(f"{name}: DISAGREEMENT {error}")
            code = 1
            continue
        print(f"{name}: {time.perf_counter() - started:.1f} s")
        for what, times in sorted(counts.items()):
            print(f"{times:12,d}  {what}")
    return code


if __name__ == "__main__":
    sys.exit(main())
