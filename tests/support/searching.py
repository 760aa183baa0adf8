"""How much hypothesis tries: little and always the same by day, very much in a proof."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

# Set by `python -m simulation prove`: so many times the examples, others at every run.
FACTOR = int(os.environ.get("SEARCH_FACTOR", "1"))

# What a test does not say of itself: the clock of a busy machine fails nothing.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize=FACTOR == 1,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def search(examples: int, **more: Any) -> settings:
    """
    Return the settings of a search for ``examples``, times ``SEARCH_FACTOR``.

    With a factor of 1 the examples are always the same; otherwise those of pytest's
    ``--hypothesis-seed``, or new ones. A failure prints what repeats it.
    """
    return settings(
        max_examples=examples * FACTOR,
        deadline=None,
        derandomize=FACTOR == 1,
        database=None,
        suppress_health_check=list(HealthCheck) if FACTOR > 1 else (),
        **more,
    )
