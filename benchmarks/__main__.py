"""
Measures and prints: ``python -m benchmarks [NAME ...] [--quick] [--write]``.

Without names everything is measured. ``--write`` replaces the measured sections of
docs/BENCHMARKS.md. A missed bound is printed again at the end and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys

from benchmarks.report import Options, Section, machine, say, write_document

# In the order of the table; each module has ``measure(options) -> Section``.
NAMES = (
    "book",
    "core",
    "perpetual",
    "liquidations",
    "triggers",
    "marks",
    "store",
    "store_postgres",
    "store_mongo",
    "gateway",
    "rest",
    "ws_entry",
    "ws_fanout",
    "login",
    "restart",
    "risk",
    "admin",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen benchmarks and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *NAMES], default=[])
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--rounds", type=int, default=3, help="runs of which the median counts")
    parser.add_argument("--write", action="store_true", help="update docs/BENCHMARKS.md")
    options = parser.parse_args(arguments)
    settings = Options(quick=options.quick, rounds=1 if options.quick else options.rounds)

    say(machine())
    sections: list[Section] = []
    for name in options.names or NAMES:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            say(f"\n{name}: not part of this version")
            continue
        say(f"\n{name} ...")
        section = importlib.import_module(f"benchmarks.{name}").measure(settings)
        sections.append(section)
        say("\n" + section.markdown())
    if options.write:
        write_document(sections)
    failed = [text for section in sections for text in section.failed]
    for text in failed:
        say(f"MISSED  {text}")
    return 1 if failed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
