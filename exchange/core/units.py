"""
The only arithmetic on money.

Amounts and prices are integers of 10^-8 ("atoms"): a quantity in base atoms, a price in
quote atoms per whole base, a rate in 10^-8. Every division names its rounding.
"""

ATOMS = 10**8
RATE_ONE = 10**8
DECIMALS_MAX = 8

# Largest order notional and balance. One bit below the 64-bit sign, so the sum of
# two legal amounts still fits the database column.
AMOUNT_MAX = 2**62
INT64_MAX = 2**63 - 1


class InvariantError(Exception):
    """Money or state is not what it must be: the writer stops rather than go on."""


def check(condition: bool, message: str) -> None:
    """
    Stop the writer unless an invariant holds.

    Unlike ``assert`` it survives ``python -O``.

    Raises:
        InvariantError: if the condition is false.
    """
    if not condition:
        raise InvariantError(message)


def floor_div(numerator: int, denominator: int) -> int:
    """Return the quotient rounded toward minus infinity."""
    return numerator // denominator


def ceil_div(numerator: int, denominator: int) -> int:
    """Return the quotient rounded toward plus infinity."""
    return -(-numerator // denominator)


def format_atoms(atoms: int, decimals: int = DECIMALS_MAX) -> str:
    """
    Return atoms as a plain decimal string with at least ``decimals`` places.

    More places appear only when the value needs them, so nothing is ever rounded away:
    ``format_atoms(150000000, 2) == "1.50"``.
    """
    sign = "-" if atoms < 0 else ""
    whole, fraction = divmod(abs(atoms), ATOMS)
    digits = f"{fraction:08d}"
    if decimals < DECIMALS_MAX:
        digits = digits[:decimals] + digits[decimals:].rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
