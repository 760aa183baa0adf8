"""Commands of the exchange as an operator reads them."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec

from common.decimals import format_atoms
from markets.admin import symbol_of

# Tells a repeated request from another under the same id; nothing that anybody asked for.
_HIDDEN = ("request_hash",)


def command_fields(command: msgspec.Struct) -> list[tuple[str, str]]:
    """
    Return name and text of every field that says something.

    Amounts are in whole units and rates fractions, markets have their symbols, choices their
    names.
    """
    return [
        (_title(name), _text(name, value))
        for name, value in msgspec.structs.asdict(command).items()
        if value not in (None, "") and name not in _HIDDEN
    ]


def _title(name: str) -> str:
    plain = name.removesuffix("_atoms").removesuffix("_e8").replace("_", " ")
    return {"market id": "market", "account id": "account"}.get(plain, plain)


def _text(name: str, value: Any) -> str:
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, msgspec.Struct):
        return ", ".join(f"{title} {text}" for title, text in command_fields(value))
    if isinstance(value, tuple | list):
        return "; ".join(_text(name, item) for item in value)
    if name == "market_id":
        return symbol_of(value) if value else "none"
    if name.endswith(("_atoms", "_e8")):
        return format_atoms(value)
    return str(value)
