"""The engine against the naive exchange in perpetual markets, and proof that this can fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from exchange.core import (
    deleveraging,
    firing,
    funding,
    guards,
    judging,
    liquidation,
    margin_checks,
    marking,
    positions,
    settling,
    takeover,
)
from simulation import margin_compare, margin_soak
from simulation.mirrors import Disagreement

COMMANDS = 2_500


@pytest.mark.parametrize("seed", range(1, 9))
def test_engine_and_naive_exchange_agree_on_margin(seed: int) -> None:
    counts = margin_compare.run(seed, COMMANDS)

    assert counts["fills"] > 200
    assert counts["AmendOrder OK"] > 0
    assert counts["SetPositionExits OK"] > 0
    assert counts["UpdateIndexPrices OK"] > 300


def test_random_commands_reach_every_rung_of_the_ladder_and_most_refusals() -> None:
    counts: Counter[str] = Counter()
    for seed in (101, 102):
        counts += margin_soak.run(seed, 1_500)

    assert {
        f"liquidation {kind}" for kind in ("MATCH", "TAKEOVER", "DELEVERAGING", "SETTLEMENT")
    } <= counts.keys()
    refusals = {what.split()[1] for what in counts}
    assert refusals >= {
        "ACCOUNT_LIQUIDATING",
        "CLOSE_POSITION_SHAPE",
        "EXIT_PRICES",
        "INSUFFICIENT_MARGIN",
        "INSUFFICIENT_INSURANCE",
        "INVALID_BRACKETS",
        "INVALID_LEVERAGE",
        "LEVERAGE_TOO_HIGH",
        "MARGIN_IN_USE",
        "MARGIN_MODE_HAS_ORDERS",
        "MARGIN_MODE_HAS_POSITION",
        "MARGIN_MODE_UNCHANGED",
        "MARKET_REDUCE_ONLY",
        "MARK_PRICE_STALE",
        "NOTHING_TO_DELEVERAGE",
        "NOTHING_TO_LIQUIDATE",
        "POSITION_NOT_FOUND",
        "POSITION_NOT_ISOLATED",
        "REDUCE_ONLY_EXCEEDS",
        "REDUCE_ONLY_NO_POSITION",
    }


def test_state_is_sound_when_every_step_is_as_short_as_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(funding, "SLOTS_PER_STEP", 1)
    monkeypatch.setattr(liquidation, "SCOPES_PER_STEP", 1)
    monkeypatch.setattr(settling, "POSITIONS_PER_STEP", 1)
    monkeypatch.setattr(deleveraging, "COUNTERPARTIES_PER_STEP", 1)
    monkeypatch.setattr(firing, "FIRED_PER_STEP", 1)

    counts = margin_soak.run(3, 1_200, states_every=40)

    assert counts["liquidation MATCH"] + counts["liquidation TAKEOVER"] > 0


def _wide_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    real = guards.guard_prices

    def wide(**values: Any) -> tuple[int, int]:
        low, high = real(**values)
        return low * 9 // 10, high

    monkeypatch.setattr(guards, "guard_prices", wide)


def _makers_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging.Judge, "affords", lambda *_: True)


def _equality_is_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = liquidation.health

    def kinder(*values: Any) -> tuple[int, int]:
        balance, maintenance = real(*values)
        return balance + 10**10, maintenance

    monkeypatch.setattr(liquidation, "health", kinder)


def _cost_is_rounded_for_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        positions, "ceil_div", lambda numerator, denominator: numerator // denominator
    )


def _fund_carries_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "can_carry", lambda *_, **__: True)


def _basis_is_off_by_an_atom(monkeypatch: pytest.MonkeyPatch) -> None:
    real = marking.mid_price
    monkeypatch.setattr(marking, "mid_price", lambda market: real(market) + 1)


def _interest_is_not_clamped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funding, "INTEREST_CLAMP_E8", 10**8)


def _fired_orders_forget_those_that_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(margin_checks, "_resting_atoms", lambda _: 0)


@pytest.mark.parametrize(
    "plant",
    [
        _fired_orders_forget_those_that_rest,
        _basis_is_off_by_an_atom,
        _interest_is_not_clamped,
        _wide_guards,
        _makers_are_not_judged,
        _equality_is_healthy,
        _cost_is_rounded_for_the_account,
        _fund_carries_all,
    ],
)
def test_comparison_catches_a_planted_fault(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(Disagreement):
        margin_compare.run(1, 6_000)
