"""
``make crash-test``: one crash day with thousands of leveraged accounts, as a table and a picture.

``CRASH_DATA`` names a folder with the day's recorded trades; without it the path is built from
the published figures. ``CRASH_PICTURE`` is where the picture goes (``var/crash-test.svg``).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from simulation.crash_day import CrashDay, published, recorded
from simulation.crash_picture import svg


def main(arguments: list[str] | None = None) -> int:
    """Run the day, print its table, write its picture; 1 if a position was settled away."""
    parser = argparse.ArgumentParser(prog="python -m simulation.crash_test", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    options = parser.parse_args(arguments)
    folder = os.environ.get("CRASH_DATA", "")
    if folder:
        ticks, source = recorded(Path(folder)), "recorded trades of BTC, 2025-10-10 (Gemini)"
    else:
        ticks, source = published(), "path through the published figures of 2025-10-10"
    day = CrashDay(ticks, accounts=options.accounts, source=source).run()
    sys.stdout.write("\n".join(day.lines()) + "\n")
    picture = Path(os.environ.get("CRASH_PICTURE") or "var/crash-test.svg")
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(svg(day, f"{source}; {options.accounts:,d} accounts at 5x to 125x"))
    sys.stdout.write(f"picture: {picture}\n")
    return 1 if day.counts["settled"] else 0


if __name__ == "__main__":
    sys.exit(main())
