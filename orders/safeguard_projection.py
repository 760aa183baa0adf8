"""Dead-man switches and market-maker protections -> rows, and those in force back at start."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from exchange.core.state import CancelSwitch, Changes, Image, QuoteProtection
from exchange.projection import Reader, Row, Table

SWITCHES = Table(
    name="orders_cancelswitch",
    columns=("id", "account_id", "market_id", "timeout_ms", "due_ms", "is_armed"),
    live="is_armed",
)
PROTECTIONS = Table(
    name="orders_quoteprotection",
    columns=(
        "id",
        "account_id",
        "market_id",
        "window_ms",
        "quantity_atoms",
        "fills",
        "frozen_ms",
        "frozen_until_ms",
        "counted",
        "is_active",
    ),
    live="is_active",
)

_encode_counted = msgspec.msgpack.Encoder().encode
_decode_counted = msgspec.msgpack.Decoder(list[tuple[int, int, int]]).decode


class SafeguardProjection:
    """Writes every touched switch and protection once; loads those that are in force."""

    tables = (SWITCHES, PROTECTIONS)

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows of touched switches and protections."""
        if changes.switches:
            yield SWITCHES, [_switch_row(switch) for switch in changes.switches.values()]
        if changes.protections:
            rows = [_protection_row(protection) for protection in changes.protections.values()]
            yield PROTECTIONS, rows

    def load(self, reader: Reader, image: Image) -> None:
        """Fill the image with what is in force."""
        image.switches = [
            CancelSwitch(*row[:-1]) for row in reader.rows(SWITCHES, equals={"is_armed": 1})
        ]
        image.protections = [
            _protection_from(row) for row in reader.rows(PROTECTIONS, equals={"is_active": 1})
        ]


def _switch_row(switch: CancelSwitch) -> Row:
    return (*msgspec.structs.astuple(switch), 1 if switch.due_ms else 0)


def _protection_from(row: Row) -> QuoteProtection:
    protection = QuoteProtection(*row[:-2])
    protection.counted = _decode_counted(row[-2])
    return protection


def _protection_row(protection: QuoteProtection) -> Row:
    *plain, counted = msgspec.structs.astuple(protection)
    return (*plain, _encode_counted(counted), 1 if protection.window_ms else 0)
