"""How long to wait before the next try."""

from __future__ import annotations

import random


class Backoff:
    """
    Doubling pauses with jitter, in seconds.

    Jitter spreads the clients that one restart disconnected at the same moment: each pause is
    drawn from the upper half of its bound.
    """

    def __init__(
        self, *, first_s: float = 0.25, max_s: float = 15.0, chance: random.Random | None = None
    ) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, hides nothing
        self._tries = 0

    def next_s(self) -> float:
        """Return the next pause."""
        # The exponent is bounded: a client may try for weeks.
        bound = min(self._first_s * (1 << min(self._tries, 16)), self._max_s)
        self._tries += 1
        return bound * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with the first pause again: the connection was good."""
        self._tries = 0
