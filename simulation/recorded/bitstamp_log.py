"""
The Bitstamp recording of 2015-05-01: its entries, and what rested before it began.

The raw log is read. The table of order events made from it (orders.csv) has the same rows
and kinds, but 4,066 of its 50,414 volumes are one atom short: they went through a float.
"""

from __future__ import annotations

import json
import lzma
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from exchange.core.enums import Side

LOG = "bitstamp-l3-2015/2015-05-01.log.xz"

Levels = tuple[list[tuple[int, int]], list[tuple[int, int]]]


class Event(NamedTuple):
    """What happened to an order: ``created``, ``changed`` or ``deleted``; amounts in atoms."""

    kind: str
    order_id: int
    side: Side
    price_atoms: int
    remaining_atoms: int


class Trade(NamedTuple):
    """A trade of the public tape, in atoms."""

    price_atoms: int
    quantity_atoms: int


class Snapshot(NamedTuple):
    """The best levels of both sides, best first, in atoms."""

    levels: Levels


Entry = Event | Trade | Snapshot


def _atoms(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(8, "0"))


def _rounded_atoms(number: Decimal) -> int:
    """Undo the binary fraction that the tape's numbers were printed from."""
    return int(round(number, 8).scaleb(8))


def entries(log: Path) -> list[Entry]:
    """Return the entries of the raw log in the order in which they were received."""
    found: list[Entry] = []
    with lzma.open(log, "rt") as lines:
        for line in lines:
            _, kind, text = line.split(" ", 2)
            body: dict[str, Any] = json.loads(text, parse_float=Decimal)
            if kind == "trade":
                price, amount = _rounded_atoms(Decimal(body["price"])), body["amount"]
                found.append(Trade(price, _rounded_atoms(Decimal(amount))))
            elif kind == "order_book":
                found.append(Snapshot((_levels(body["bids"]), _levels(body["asks"]))))
            else:
                found.append(
                    Event(
                        kind.removeprefix("order_"),
                        body["id"],
                        Side.SELL if body["order_type"] else Side.BUY,
                        _atoms(body["price"]),
                        _atoms(body["amount"]),
                    )
                )
    return found


def _levels(rows: list[list[str]]) -> list[tuple[int, int]]:
    return [(_atoms(price), _atoms(amount)) for price, amount in rows]


def resting_before(recorded: list[Entry]) -> list[Event]:
    """
    Return the orders that rested before the recording began, with their first quantity.

    Those are the orders whose first event is not their creation. Where that event is a fill,
    the trade that follows it at the same price says by how much.
    """
    created = {each.order_id for each in recorded if _is(each, "created")}
    seen: set[int] = set()
    found: list[Event] = []
    for index, entry in enumerate(recorded):
        if not isinstance(entry, Event) or entry.order_id in seen:
            continue
        seen.add(entry.order_id)
        if entry.order_id in created:
            continue
        filled = 0
        if entry.kind == "changed" or not entry.remaining_atoms:
            filled = next(
                each.quantity_atoms
                for each in recorded[index:]
                if isinstance(each, Trade) and each.price_atoms == entry.price_atoms
            )
        found.append(entry._replace(remaining_atoms=entry.remaining_atoms + filled))
    return found


def _is(entry: Entry, kind: str) -> bool:
    return isinstance(entry, Event) and entry.kind == kind


def untold_quantities(
    recorded: list[Entry], resting: Iterable[Event]
) -> dict[tuple[Side, int], int]:
    """
    Return what rested throughout at each level, in orders that no event tells of.

    It is what the snapshots showed most often above the orders known, since the two channels
    are not in step.
    """
    orders = {event.order_id: event for event in resting}
    sums: Counter[tuple[Side, int]] = Counter()
    for event in orders.values():
        sums[event.side, event.price_atoms] += event.remaining_atoms
    excess: dict[tuple[Side, int], Counter[int]] = defaultdict(Counter)
    for entry in recorded:
        if isinstance(entry, Event):
            known = orders.pop(entry.order_id, None)
            if known is not None:
                sums[known.side, known.price_atoms] -= known.remaining_atoms
            if entry.kind != "deleted":
                orders[entry.order_id] = entry
                sums[entry.side, entry.price_atoms] += entry.remaining_atoms
        elif isinstance(entry, Snapshot):
            for side, levels in zip((Side.BUY, Side.SELL), entry.levels, strict=True):
                for price, quantity in levels:
                    excess[side, price][quantity - sums[side, price]] += 1
    usual = {level: counts.most_common(1)[0][0] for level, counts in excess.items()}
    return {level: quantity for level, quantity in sorted(usual.items()) if quantity > 0}
