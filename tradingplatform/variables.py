"""
How one environment variable is declared and read.

Standard library only: the bootstrap reads variables before anything is installed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)?")
_DURATION_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_SIZE = re.compile(r"([0-9]{1,9})(k|m|g)?", re.IGNORECASE)
_SIZE_BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_RATE = re.compile(r"-?(0|[1-9][0-9]{0,2})(\.[0-9]{1,8})?")
_RATE_ONE = 10**8
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
# One line of a terminal; a longer value is cut before it is shown.
_SHOWN_CHARACTERS = 40


class Kind(StrEnum):
    """How the text of a variable is read."""

    TEXT = "text"
    INTEGER = "integer"
    FLAG = "true or false"
    CHOICE = "choice"
    LIST = "comma separated list"
    DURATION = "duration such as 30s, 15m, 12h or 7d"
    SIZE = "size such as 512k or 20m"
    RATE = "fraction with at most 8 decimals"
    KEY = "PEM key, line breaks may be written as \\n"


class ConfigurationError(Exception):
    """A variable cannot be used; the message is one line and names the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """
    Declaration of one variable.

    ``default`` is the text used when the variable is absent or empty; ``example`` is what
    ``.env.example`` shows when that is not the default. ``unused`` marks a variable of the
    sheet that this platform accepts and ignores. ``section`` opens a section of the example.
    """

    name: str
    kind: Kind = Kind.TEXT
    default: str = ""
    example: str | None = None
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    secret: bool = False
    unused: bool = False
    note: str = ""
    section: str = ""

    def fail(self, text: str, expected: str) -> ConfigurationError:
        """Return the error for a text that cannot be read."""
        shown = "***" if self.secret else repr(text[:_SHOWN_CHARACTERS])
        return ConfigurationError(
            f"{self.name} must be {expected}, was {shown}: correct it in .env or unset it"
        )

    def text(self, environ: Mapping[str, str]) -> str:
        """Return the text that counts: the given one, else the default."""
        return environ.get(self.name, "").strip() or self.default

    def check(self, environ: Mapping[str, str]) -> None:
        """Read the variable and discard the value; raises ConfigurationError."""
        text = self.text(environ)
        match self.kind:
            case Kind.INTEGER:
                self.integer(text)
            case Kind.FLAG:
                self.flag(text)
            case Kind.CHOICE:
                self.choice(text)
            case Kind.DURATION:
                self.duration_ms(text)
            case Kind.SIZE:
                self.size_bytes(text)
            case Kind.RATE:
                self.rate_e8(text)
            case Kind.TEXT | Kind.LIST | Kind.KEY:
                self.plain(text)

    def plain(self, text: str) -> str:
        """Return a text as it is; NUL and line breaks are refused."""
        if any(ord(character) < 32 for character in text) and self.kind is not Kind.KEY:
            raise self.fail(text, "one line of text")
        return text

    def integer(self, text: str) -> int:
        """Return an integer within the declared bounds."""
        if re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII) is None:
            raise self.fail(text, "an integer")
        value = int(text)
        self._check_bounds(text, value)
        return value

    def flag(self, text: str) -> bool:
        """Return a truth value."""
        lowered = text.lower()
        if lowered in _TRUE:
            return True
        if lowered in _FALSE:
            return False
        raise self.fail(text, "true or false")

    def choice(self, text: str) -> str:
        """Return one of the declared choices."""
        if text not in self.choices:
            raise self.fail(text, "one of " + ", ".join(self.choices))
        return text

    def duration_ms(self, text: str) -> int:
        """Return a duration in milliseconds; a bare number counts seconds."""
        match = _DURATION.fullmatch(text)
        if match is None:
            raise self.fail(text, "a " + Kind.DURATION.value)
        value = int(match[1]) * _DURATION_MS[match[2] or "s"]
        self._check_bounds(text, value)
        return value

    def size_bytes(self, text: str) -> int:
        """Return a size in bytes; k, m and g count in powers of 1024."""
        match = _SIZE.fullmatch(text)
        if match is None:
            raise self.fail(text, "a " + Kind.SIZE.value)
        return int(match[1]) * _SIZE_BYTES[(match[2] or "").lower()]

    def rate_e8(self, text: str) -> int:
        """Return a fraction as an integer of 10^-8; nothing is rounded."""
        if _RATE.fullmatch(text) is None:
            raise self.fail(text, "a " + Kind.RATE.value)
        value = int(Decimal(text) * _RATE_ONE)
        self._check_bounds(text, value)
        return value

    def _check_bounds(self, text: str, value: int) -> None:
        if self.minimum is not None and value < self.minimum:
            raise self.fail(text, f"at least {self._bound(self.minimum)}")
        if self.maximum is not None and value > self.maximum:
            raise self.fail(text, f"at most {self._bound(self.maximum)}")

    def _bound(self, value: int) -> str:
        if self.kind is Kind.RATE:
            return f"{Decimal(value) / _RATE_ONE:f}"
        return f"{value} ms" if self.kind is Kind.DURATION else str(value)
