"""What a check found: how many differences, and the first of them in words."""

from __future__ import annotations

from dataclasses import dataclass, field

# Differences told in full; the rest is only counted.
PROBLEMS_SHOWN_MAX = 20


@dataclass(slots=True, kw_only=True)
class Findings:
    """The differences of one check; the report of a check adds what it counted."""

    problems_found: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems_found

    def blame(self, text: str) -> None:
        """Note a difference."""
        self.problems_found += 1
        if len(self.problems) < PROBLEMS_SHOWN_MAX:
            self.problems.append(text)
