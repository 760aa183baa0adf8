"""P12: whatever a message of order entry says, it is answered, and books stay right."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from exchange.core.commands import Envelope, PlaceOrder
from exchange.core.engine import Exchange
from exchange.core.events import Outcome
from orders.entry import OPERATIONS
from simulation.fuzz.desk import BrokenError, Desk
from simulation.fuzz.drawing import draw_message
from simulation.fuzz.run import RandomRun
from tests.support.databases import OwnDatabase

MESSAGES = 1_200
PLACE = '{"op":"place","id":1,"params":{"symbol":"BTC-USDT","side":"buy","type":"limit"'
GOOD = PLACE + ',"quantity":"1","price":"49000"}}'


@pytest.fixture
def desk(own_database: OwnDatabase) -> Iterator[Desk]:
    found = Desk()
    yield found
    found.close()


def test_p12_no_message_breaks_anything(desk: Desk) -> None:
    run = RandomRun(MESSAGES, seed=3, desk=desk)
    run.run()

    assert run.broken == ""
    assert desk.ends.total() == MESSAGES
    # Some of everything was drawn: what is carried out, and what is refused early and late.
    reached = {"place 201", "amend 200", "cancel 200", "place_oco 201", "place_bracket 201"}
    refused = {"INVALID_JSON", "UNKNOWN_FIELD", "VALIDATION_ERROR", "NOT_FOUND", "LEG_PRICES"}
    assert reached | refused <= desk.ends.keys()


def test_an_error_of_ours_is_told_with_its_message(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.take(GOOD)

    def fail(*_arguments: Any) -> Any:
        raise TypeError("no such thing")

    monkeypatch.setitem(OPERATIONS, "place", replace(OPERATIONS["place"], prepare=fail))

    with pytest.raises(BrokenError, match=r"TypeError: no such thing after .*49000"):
        desk.take(GOOD)


def test_a_command_at_which_the_core_fails_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Exchange.apply

    def fail(exchange: Exchange, envelope: Envelope) -> Outcome:
        if isinstance(envelope.command, PlaceOrder):
            raise ZeroDivisionError
        return apply(exchange, envelope)

    monkeypatch.setattr(Exchange, "apply", fail)

    with pytest.raises(BrokenError, match="QUARANTINED"):
        desk.take(GOOD)


def test_bytes_make_one_message(desk: Desk) -> None:
    data = [random.Random(number).randbytes(60) for number in range(100)]

    first = [draw_message(each, 5) for each in data]

    assert first == [draw_message(each, 5) for each in data]
    assert len(set(first)) > 80
