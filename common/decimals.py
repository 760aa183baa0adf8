"""Where decimal text meets integers; the regular expression runs before anything else."""

import re

from common.errors import FieldError
from exchange.core.units import ATOMS, DECIMALS_MAX

# ASCII digits only: Python's \d and Decimal also take digits of other scripts.
_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]+))?")
_INTEGER_DIGITS_MAX = 11
_TEXT_MAX = 64


def parse_atoms(text: object, *, field: str, decimals: int = DECIMALS_MAX) -> int:
    """
    Return a non-negative decimal string as atoms (10^-8), exactly.

    Numbers that are not strings, signs, exponents, spaces, underscores and digits of other
    scripts are refused.

    Raises:
        FieldError: ``INVALID_DECIMAL``, ``TOO_MANY_DECIMALS`` (more than ``decimals``), or
            ``OUT_OF_RANGE`` (more than eleven digits before the point, or above 64 bits).
    """
    if not isinstance(text, str) or len(text) > _TEXT_MAX:
        raise FieldError(field=field, code="INVALID_DECIMAL")
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise FieldError(field=field, code="INVALID_DECIMAL")
    whole, fraction = match[1], match[2] or ""
    if len(whole) > _INTEGER_DIGITS_MAX:
        raise FieldError(field=field, code="OUT_OF_RANGE")
    if len(fraction) > decimals:
        raise FieldError(field=field, code="TOO_MANY_DECIMALS")
    atoms = int(whole) * ATOMS + int(fraction.ljust(DECIMALS_MAX, "0"))
    if atoms >= 2**63:
        raise FieldError(field=field, code="OUT_OF_RANGE")
    return atoms


def format_atoms(atoms: int) -> str:
    """Return atoms as the shortest exact decimal string."""
    sign = "-" if atoms < 0 else ""
    whole, fraction = divmod(abs(atoms), ATOMS)
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:08d}".rstrip("0")


def format_atoms_fixed(atoms: int, *, decimals: int) -> str:
    """
    Return atoms with exactly ``decimals`` digits after the point.

    Digits that do not fit are shown anyway: a display never rounds money.
    """
    sign = "-" if atoms < 0 else ""
    whole, fraction = divmod(abs(atoms), ATOMS)
    digits = f"{fraction:08d}"
    shown = digits[: max(decimals, len(digits.rstrip("0")))]
    return f"{sign}{whole}.{shown}" if shown else f"{sign}{whole}"


def format_rate(rate_e8: int) -> str:
    """Return a rate of 10^-8 as a decimal string: 40,000 is "0.0004"."""
    return format_atoms(rate_e8)
