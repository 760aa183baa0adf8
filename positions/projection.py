"""Positions, closed positions and funding payments -> rows, and all slots back at start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from exchange.core.enums import MarginMode, PositionSide
from exchange.core.state import DERIVED, Changes, Image, Position
from exchange.projection import Reader, Row, Table

PERSISTED = tuple(
    name for name in Position.__struct_fields__ if name not in DERIVED[Position.__name__]
)

# The key is the slot's number.
POSITIONS = Table(name="positions_position", columns=("id", *PERSISTED[1:], "is_open"))

CLOSED = Table(
    name="positions_closedposition",
    columns=(
        "id",
        "slot_id",
        "previous_id",
        "account_id",
        "market_id",
        "mode",
        "leverage",
        "quantity_max_atoms",
        "opened_atoms",
        "opened_quote_atoms",
        "closed_atoms",
        "closed_quote_atoms",
        "realised_atoms",
        "fee_atoms",
        "funding_atoms",
        "reason",
        "opened_ms",
        "closed_ms",
    ),
    append_only=True,
)

PAYMENTS = Table(
    name="positions_fundingpayment",
    columns=(
        "id",
        "account_id",
        "market_id",
        "position_id",
        "funding_ms",
        "rate_e8",
        "mark_atoms",
        "quantity_atoms",
        "amount_atoms",
        "time_ms",
    ),
    append_only=True,
)

_CLOSED_ENUMS = tuple(CLOSED.columns.index(name) for name in ("mode", "reason"))


class PositionProjection:
    """Writes every touched slot once, every closed position and payment; loads all slots."""

    tables = (POSITIONS, CLOSED, PAYMENTS)

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows of touched slots and new history."""
        if changes.positions:
            yield POSITIONS, [_position_row(position) for position in changes.positions.values()]
        if changes.closed_positions:
            yield CLOSED, [_plain(closed, _CLOSED_ENUMS) for closed in changes.closed_positions]
        if changes.funding_payments:
            yield PAYMENTS, [msgspec.structs.astuple(paid) for paid in changes.funding_payments]

    def load(self, reader: Reader, image: Image) -> None:
        """Fill the image with all slots, flat ones included."""
        image.positions = [position_from_row(row) for row in reader.rows(POSITIONS)]


def _position_row(position: Position) -> Row:
    """Return the row of a slot; plain integers, since enums cost the driver a look-up each."""
    return (
        position.slot_id,
        position.account_id,
        position.market_id,
        position.side.real,
        position.mode.real,
        position.leverage,
        position.position_id,
        position.quantity_atoms,
        position.cost_atoms,
        position.isolated_atoms,
        position.realised_atoms,
        position.fee_atoms,
        position.funding_atoms,
        position.quantity_max_atoms,
        position.opened_atoms,
        position.opened_quote_atoms,
        position.closed_atoms,
        position.closed_quote_atoms,
        position.opened_ms,
        position.updated_ms,
        position.funded_ms,
        position.funding_due_atoms,
        position.funding_quantity_atoms,
        position.funding_position_id,
        position.previous_id,
        1 if position.quantity_atoms else 0,
    )


def position_from_row(row: Row) -> Position:
    """Return the slot that a row of ``POSITIONS.columns`` holds."""
    position = Position(*row[:-1])
    position.side = PositionSide(position.side)
    position.mode = MarginMode(position.mode)
    return position


def _plain(event: msgspec.Struct, enums: tuple[int, ...]) -> Row:
    values: list[Any] = list(msgspec.structs.astuple(event))
    for index in enums:
        values[index] = values[index].real
    return tuple(values)
