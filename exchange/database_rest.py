"""
What this process knows of a database server that does not answer, so that nobody waits in turn.

A request asks the database several times, and each question may wait for a time-out. After one
was in vain, and nobody has heard anything from the server meanwhile, the others go without for
a second.
"""

from __future__ import annotations

import time

REST_S = 1.0


class _Heard:
    """When the server last answered anybody, and left someone waiting, on the monotonic clock."""

    answer_at = float("-inf")
    silence_at = float("-inf")


def note_answer() -> None:
    """Remember that the server is there."""
    _Heard.answer_at = time.monotonic()


def note_silence(*, since: float) -> None:
    """
    Remember that someone has waited in vain since a moment of the monotonic clock.

    One whose wait was for something else, as a pool with nothing free, says so too: it counts
    only if the server has answered nobody since then.
    """
    if _Heard.answer_at < since:
        _Heard.silence_at = time.monotonic()


def has_answered(*, since: float) -> bool:
    """Return whether the server has answered anybody since a moment."""
    return _Heard.answer_at >= since


def is_silent(*, since: float) -> bool:
    """Return whether the server has left someone waiting since a moment, and answered nobody."""
    return _Heard.silence_at > since and _Heard.answer_at < since


def is_resting() -> bool:
    """Return whether the server left someone waiting in the last ``REST_S``, and nothing came."""
    return _Heard.silence_at > _Heard.answer_at and time.monotonic() - _Heard.silence_at < REST_S


def forget_silence() -> None:
    """Ask again at once; for tests."""
    _Heard.silence_at = float("-inf")
