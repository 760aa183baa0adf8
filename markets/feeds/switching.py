"""Which price sources operators switched off; rows, so it lasts over restarts."""

from __future__ import annotations

from accounts.switches import switches_on

_PREFIX = "price-source-off:"


def switch_name(source: str) -> str:
    """Return the switch that is on while a source is ignored."""
    return f"{_PREFIX}{source}"


def sources_switched_off() -> frozenset[str]:
    """Return the sources that are to be ignored, at most a second late."""
    return frozenset(
        name.removeprefix(_PREFIX) for name in switches_on() if name.startswith(_PREFIX)
    )
