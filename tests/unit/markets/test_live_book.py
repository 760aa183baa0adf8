"""The published window of a book."""

from __future__ import annotations

import json
import random

import pytest

from exchange.core.enums import Side
from markets.live.book import BookSide, LiveBook


def side(*, descending: bool, depth: int) -> BookSide:
    return BookSide(descending=descending, depths=(depth,), price=str, quantity=str)


def test_snapshot_is_best_first_and_cut() -> None:
    bids, asks = side(descending=True, depth=2), side(descending=False, depth=2)
    for each in (bids, asks):
        each.replace([(5, 1), (7, 2), (6, 3)])

    assert json.loads(bids.snapshots()[0]) == [["7", "2"], ["6", "3"]]
    assert json.loads(asks.snapshots()[0]) == [["5", "1"], ["6", "3"]]
    assert (bids.best_atoms(), asks.best_atoms()) == (7, 5)


def test_changes_are_taken_once() -> None:
    asks = side(descending=False, depth=10)
    asks.change(5, 1)
    asks.change(5, 4)

    assert json.loads(asks.take_changes()[0]) == [["5", "4"]]
    assert json.loads(asks.take_changes()[0]) == []


def test_each_window_has_its_own_changes() -> None:
    asks = BookSide(descending=False, depths=(3, 1), price=str, quantity=str)
    asks.replace([(5, 1), (6, 1)])

    asks.change(7, 2)
    deep = asks.take_changes()
    asks.change(4, 3)
    best = asks.take_changes()

    assert [json.loads(text) for text in deep] == [[["7", "2"]], []]
    assert [json.loads(text) for text in best] == [
        [["4", "3"], ["7", "0"]],
        [["4", "3"], ["5", "0"]],
    ]
    assert [json.loads(text) for text in asks.snapshots()] == [
        [["4", "3"], ["5", "1"], ["6", "1"]],
        [["4", "3"]],
    ]


def test_a_level_that_enters_or_leaves_the_window_is_a_change() -> None:
    asks = side(descending=False, depth=2)
    asks.replace([(5, 1), (6, 1), (7, 1)])

    asks.change(4, 9)
    entered = json.loads(asks.take_changes()[0])
    asks.change(4, 0)
    left = json.loads(asks.take_changes()[0])

    assert entered == [["4", "9"], ["6", "0"]]
    assert left == [["4", "0"], ["6", "1"]]


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("depth", [1, 3, 1_000])
def test_changes_applied_to_a_snapshot_give_the_next_snapshot(descending: bool, depth: int) -> None:
    chance = random.Random(depth)
    book = side(descending=descending, depth=depth)
    held = dict(json.loads(book.snapshots()[0]))
    for _ in range(400):
        for _ in range(chance.randint(1, 6)):
            book.change(chance.randint(1, 12), chance.choice((0, 0, 1, 2, 3)))
        for price, quantity in json.loads(book.take_changes()[0]):
            held[price] = quantity
            if quantity == "0":
                del held[price]

        assert held == dict(json.loads(book.snapshots()[0]))


def test_remembers_the_commands_since_the_last_publication() -> None:
    book = LiveBook(depths=(5,), price=str, quantity=str)
    book.replace([(1, 1)], [(3, 1)], 7)

    book.change(Side.BUY, 2, 1)
    book.changed_by(8, 9)
    book.changed_by(10, 12)

    assert (book.published_seqs, book.first, book.seq) == ([7], 8, 12)
