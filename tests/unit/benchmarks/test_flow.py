"""The flows that books are measured on, and what the measured book makes of them."""

from __future__ import annotations

from benchmarks.core import Session, command_of, setup_commands
from benchmarks.flow import (
    ADD,
    BUY,
    CANCEL,
    DELETE,
    EXECUTE,
    MIXED,
    MOVES,
    NEW,
    REDUCE,
    SELL,
    SPOT,
    TAKER_HEAVY,
    make_flow,
    recorded_flow,
)
from benchmarks.peers.worker import run
from exchange.core.rejects import Code


class TestMakeFlow:
    def test_the_same_seed_gives_the_same_flow(self) -> None:
        assert make_flow(MIXED, depth=50, messages=200) == make_flow(MIXED, depth=50, messages=200)

    def test_cancels_name_orders_that_were_added_and_not_cancelled(self) -> None:
        preload, timed = make_flow(TAKER_HEAVY, depth=100, messages=2_000)

        alive: set[int] = set()
        for kind, order_id, *_ in [*preload, *timed]:
            if kind == ADD:
                assert order_id not in alive
                alive.add(order_id)
            else:
                alive.remove(order_id)

    def test_every_command_of_the_spot_flow_is_accepted_by_the_core(self) -> None:
        preload, timed = make_flow(SPOT, depth=200, messages=2_000, hold_depth=False)
        owners: dict[int, int] = {}
        session = Session()
        session.run(session.envelopes(setup_commands()))
        session.run(session.envelopes([command_of(message, owners) for message in preload]))

        _, codes = session.run(
            session.envelopes([command_of(message, owners) for message in timed])
        )

        # An order may meet one of its own account; nothing else may be refused.
        assert set(codes) <= {Code.OK, Code.ORDER_NOT_FOUND}
        assert codes[Code.OK] >= 1_990


def test_our_book_trades_the_flow_and_keeps_its_depth() -> None:
    preload, timed = make_flow(MIXED, depth=300, messages=1_000)

    result = run("ours", [list(one) for one in preload], [list(one) for one in timed])

    assert result["messages"] == 1_000
    assert result["trades"] > 50
    assert result["volume"] > result["trades"]


def test_a_move_is_a_cancel_and_an_add() -> None:
    _, timed = make_flow(MOVES, depth=100, messages=2_000, hold_depth=False)

    cancels = sum(message[0] == CANCEL for message in timed)

    assert 0.45 * len(timed) < cancels < 0.55 * len(timed)


def test_recorded_rows_become_messages_that_every_book_understands() -> None:
    rows = [
        (NEW, 71, BUY, 100, 30),
        (NEW, 72, BUY, 100, 20),
        (REDUCE, 71, BUY, 100, 10),
        (EXECUTE, 72, BUY, 100, 50),  # more than is known of the first in the queue
        (DELETE, 70, SELL, 105, 10),  # older than the recording
        (DELETE, 71, BUY, 100, 20),
    ]

    assert recorded_flow(rows, 100) == [
        [],
        [
            (ADD, 1, BUY, 100, 30),
            (ADD, 2, BUY, 100, 20),
            (CANCEL, 1, 0, 0, 0),
            (ADD, 4, BUY, 100, 20),
            (ADD, 5, SELL, 100, 20),
            (CANCEL, 4, 0, 0, 0),
        ],
    ]
