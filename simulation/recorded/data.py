"""Where recorded market data lies: outside the project, which may not hold a copy of it."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "RECORDED_DATA"
_BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "data"


class RecordingAbsentError(Exception):
    """A recording is not on this machine; the message says where it was looked for."""


def recording(name: str) -> Path:
    """
    Return the path of a recording, given relative to the folder of recordings.

    That folder is named by the variable RECORDED_DATA, or lies at ../shared/data.

    Raises:
        RecordingAbsentError: if there is no such file.
    """
    folder = Path(os.environ.get(VARIABLE) or _BESIDE_THE_PROJECT)
    path = folder / name
    if not path.is_file():
        raise RecordingAbsentError(f"{name} is not in {folder}; set {VARIABLE} to where it lies")
    return path
