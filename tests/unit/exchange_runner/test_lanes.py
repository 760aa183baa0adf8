"""How long the oldest command of a lane has waited, as gateways are told."""

from __future__ import annotations

from typing import Any, cast

from exchange import keys
from exchange.core.commands import CancelAllOrders
from exchange.core.enums import Lane
from exchange.lanes import Lanes
from exchange.link import Link
from exchange.position import Position
from exchange.wire import WIRE_VERSION, Packet, Submission, encode

NOW_S = 1_700_000_000


class StreamOnce:
    """Redis with one entry in the lane "orders", which is so many milliseconds old."""

    def __init__(self, age_ms: int) -> None:
        self.entry_id = f"{NOW_S * 1_000 - age_ms}-0".encode()

    def call_all(self, _: Any) -> list[Any]:
        packet = Packet(WIRE_VERSION, "", [Submission("one", CancelAllOrders(1))])
        entry = [self.entry_id, [b"n", b"1", b"d", encode(packet)]]
        return [[(keys.lane(Lane.ORDERS, 1).encode(), [entry])], (NOW_S, 0)]


def lanes_with(link: StreamOnce) -> Lanes:
    lanes = Lanes(cast("Link", link))
    lanes.reset(Position(stream_epoch=1))
    return lanes


def test_the_age_is_that_of_the_oldest_by_the_clock_of_redis() -> None:
    lanes = lanes_with(StreamOnce(age_ms=2_000))
    lanes.read(0)

    assert 2_000 <= lanes.age_ms(Lane.ORDERS) < 62_000
    assert lanes.age_ms(Lane.SYSTEM) == 0


def test_a_consumed_lane_has_no_age() -> None:
    lanes = lanes_with(StreamOnce(age_ms=2_000))
    before = lanes.age_ms(Lane.ORDERS)
    lanes.read(0)
    lanes.take(10)
    lanes.advance(1)

    assert (before, lanes.age_ms(Lane.ORDERS)) == (0, 0)
