"""The engine against the naive exchange, and proof that this comparison can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.core import (
    book,
    cancelling,
    executing,
    firing,
    imaging,
    ledger,
    market,
    memory,
    placing,
    taking,
)
from exchange.core.enums import OrderStatus, Side
from exchange.core.units import RATE_ONE, InvariantError
from simulation import compare, mirrors
from simulation.special_commands import CommandSource

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_engine_and_naive_exchange_agree_on_random_commands(seed: int) -> None:
    counts = compare.run(seed, 5_000)

    assert counts["hash comparisons"] >= 5
    assert counts["fills"] > 300


def test_they_agree_when_internal_steps_are_cut_short_and_restarts_are_frequent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(firing, "FIRED_PER_STEP", 1)
    monkeypatch.setattr(firing, "ANNOUNCED_PER_STEP", 1)

    counts = compare.run(5, 3_000, states_every=23)

    assert counts["internal steps"] > 100
    assert counts["hash comparisons"] > 130


def test_they_agree_where_the_limits_on_work_are_met() -> None:
    counts = compare.run(2, 2_500, crowded=True)

    assert counts["ended EXPIRED MATCH_LIMIT"] + counts["internal steps"] >= 1
    assert counts[compare.OPEN_ORDERS_MOST] > 500


def test_random_commands_reach_every_end_of_an_order_and_most_refusals() -> None:
    counts: Counter[str] = Counter()
    for seed in (11, 12):
        counts += compare.run(seed, 5_000)

    ends = {what.split()[2] for what in counts if what.startswith("ended")}
    refusals = {what.split()[1] for what in counts if what.startswith("PlaceOrder")}
    assert ends >= {
        "NONE",
        "USER_CANCELLED",
        "OPERATOR_CANCELLED",
        "IOC_REMAINDER",
        "NO_LIQUIDITY",
        "PRICE_CAP",
        "SELF_TRADE",
        "TIME_EXPIRED",
        "LINKED_ORDER",
        "ENTRY_NOT_FILLED",
        "AMENDED_TO_NOTHING",
        "FOK_NOT_FILLABLE",
        "POST_ONLY_WOULD_CROSS",
        "CANCEL_ALL_AFTER",
        "QUOTE_PROTECTION",
        "CIRCUIT_BREAKER",
    }
    assert len(refusals) >= 30


def test_state_hash_does_not_depend_on_the_hash_seed() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-m", "simulation", "hash", "--seed", "7", "--commands", "1500"],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }

    assert len(hashes) == 1


# -- the comparison must be able to fail ---------------------------------------------------


def fee_rounded_down(order: Any, *, quote_atoms: int, rate_e8: int) -> int:
    exact = quote_atoms * rate_e8 - order.fee_remainder
    fee = exact // RATE_ONE
    order.fee_remainder = fee * RATE_ONE - exact
    order.fee_atoms += fee
    return fee


def hold_without_fee(order: Any, quote_atoms: int) -> int:
    return order.remaining_atoms if order.side is Side.SELL else quote_atoms


def oldest_last(side: Any, order: Any) -> None:
    INSERT(side, order)
    level = side.levels[order.price_atoms]
    for places in (level.queue, level.priorities):
        places.insert(level.head, places.pop())


def cancels_anyones(memory_: Any, command: Any) -> Any:
    order = memory_.orders.get(command.order_id)
    if order is not None:
        command = msgspec.structs.replace(command, account_id=order.account_id)
    return PLAN_CANCEL(memory_, command)


def forgets_fee_remainder(image: Any) -> Any:
    for order in image.orders:
        order.fee_remainder = 0
    return RESTORE(image)


def loses_a_level(memory_: Any) -> Any:
    return TAKE_LEVEL_CHANGES(memory_)[:-1]


def cap_rounded_outward(reference_atoms: int, rate_e8: int, side: Side) -> int:
    return BAND_PRICE(reference_atoms, rate_e8, side) + (1 if side is Side.BUY else -1)


def expires_instead_of_cancels(
    memory_: Any, order: Any, _status: Any, reason: Any, events: Any
) -> None:
    RETIRE(memory_, order, OrderStatus.EXPIRED, reason, events)


INSERT = book.BookSide.insert
PLAN_CANCEL = cancelling.plan_cancel
RESTORE = imaging.restore
TAKE_LEVEL_CHANGES = memory.Memory.take_level_changes
BAND_PRICE = market.band_price
RETIRE = memory.Memory.retire

MUTANTS: list[tuple[str, list[tuple[Any, str]], Callable[..., Any]]] = [
    ("fees rounded down", [(executing, "charge_fee")], fee_rounded_down),
    (
        "holds forget the fee",
        [(module, "hold_needed") for module in (placing, executing, ledger)],
        hold_without_fee,
    ),
    ("newest order first", [(book.BookSide, "insert")], oldest_last),
    ("fee remainder not loaded", [(imaging, "restore")], forgets_fee_remainder),
    ("a level event lost", [(memory.Memory, "take_level_changes")], loses_a_level),
    (
        "price band one atom wide",
        [(module, "band_price") for module in (market, taking)],
        cap_rounded_outward,
    ),
    ("cancelled order ends expired", [(memory.Memory, "retire")], expires_instead_of_cancels),
]


@pytest.mark.parametrize(
    ("_case", "places", "mutant"), MUTANTS, ids=[mutant[0] for mutant in MUTANTS]
)
def test_comparison_catches_a_planted_fault(
    monkeypatch: pytest.MonkeyPatch,
    _case: str,
    places: list[tuple[Any, str]],
    mutant: Callable[..., Any],
) -> None:
    for owner, name in places:
        monkeypatch.setattr(owner, name, mutant)

    with pytest.raises((mirrors.Disagreement, InvariantError)):
        compare.run(1, 5_000, states_every=200)


def test_comparison_catches_a_stolen_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    from exchange.core import commands, engine

    handlers = {
        **engine.HANDLERS,
        commands.CancelOrder: (cancels_anyones, cancelling.cancel),
    }
    monkeypatch.setattr(engine, "HANDLERS", handlers)

    with pytest.raises(mirrors.Disagreement, match="ORDER_NOT_FOUND"):
        compare.run(1, 5_000)


def test_a_failing_run_shrinks_to_the_commands_that_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executing, "charge_fee", fee_rounded_down)
    commands = CommandSource(1).take(300)

    shortest = compare.shrink(commands)

    assert 5 <= len(shortest) <= 20
    with pytest.raises(mirrors.Disagreement):
        compare.run_commands(shortest)
    monkeypatch.setattr(executing, "charge_fee", ledger.charge_fee)
    compare.run_commands(shortest)
