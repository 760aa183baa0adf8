"""Amounts as text: the API takes decimal strings, and a float is never one."""

from __future__ import annotations

from decimal import Decimal

# What callers may give as an amount or a price.
Amount = Decimal | str | int


def amount_text(value: Amount) -> str:
    """
    Return an amount as the API wants it: plain digits, no exponent.

    Text is passed on as it is, so that the platform judges it.

    Raises:
        TypeError: for a float (or a bool), whose value is not what was written.
        ValueError: for a Decimal that is not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | str | int):
        raise TypeError(f"expected a Decimal, str or int, was {type(value).__name__}")
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"expected a finite amount, was {value}")
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)
