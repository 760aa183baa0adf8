"""
Messages guided by coverage: libFuzzer through atheris keeps those that reach something new.

    python -m simulation.fuzz.guided DIRECTORY [options of libFuzzer]

DIRECTORY holds the database and, in ``corpus``, what was kept; the first message that breaks
something ends it with a code other than 0 and is written there too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris

# A message that takes longer is a hang.
TIMEOUT_S = 10
BYTES_MAX = 300
INSTRUMENTED = ["common", "exchange", "markets", "orders"]


def main(directory: Path, options: list[str]) -> None:
    """Prepare the database and guide messages until libFuzzer has enough; never returns."""
    os.environ["LOG_LEVEL"] = "error"
    with atheris.instrument_imports(include=INSTRUMENTED):
        from simulation.kill.world import World

        World(directory).migrate()
        from simulation.fuzz.desk import Desk
        from simulation.fuzz.drawing import draw_message
    desk = Desk()

    def take(data: bytes) -> None:
        desk.take(draw_message(data, desk.newest_order))

    corpus = directory / "corpus"
    corpus.mkdir(exist_ok=True)
    found = f"-artifact_prefix={directory}/broken-"
    # A message is made of more bytes than the few with which libFuzzer would begin.
    bounds = [f"-timeout={TIMEOUT_S}", f"-max_len={BYTES_MAX}", "-len_control=0", found]
    atheris.Setup([sys.argv[0], *bounds, *options, str(corpus)], take)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
