"""Values that a process makes once, however many threads ask first."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Once(Generic[T]):
    """
    A value made on first use.

    ``functools.lru_cache`` runs its function twice when two threads come together, which is
    one semaphore or one storage too many.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        """Keep the way to make the value."""
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        """Return the value."""
        if not self._made:
            with self._lock:
                if not self._made:
                    self._made.append(self._make())
        return self._made[0]

    def clear(self) -> None:
        """Forget the value; for tests that change settings."""
        with self._lock:
            self._made.clear()
