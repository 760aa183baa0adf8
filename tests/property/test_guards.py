"""Guard prices are only ever too narrow, and the liquidation price is where they must end."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exchange.core.margin import (
    Brackets,
    bracket_rows,
    guard_prices,
    liquidation_price,
    notional_atoms,
    value_atoms,
)
from exchange.core.units import ATOMS
from tests.support.perpetual import BRACKETS
from tests.support.searching import search

ROWS = bracket_rows(BRACKETS)
assert ROWS is not None
TABLE = Brackets(ROWS)

quantities = st.integers(1, 2_000 * ATOMS).flatmap(lambda size: st.sampled_from((size, -size)))
prices = st.integers(ATOMS // 100, 200_000 * ATOMS)
shares = st.integers(1, 10**6)


def slack(quantity: int, cost: int, wallet: int, mark: int) -> int:
    """Return balance less maintenance, as the ladder has it."""
    balance = wallet + value_atoms(quantity, mark) - cost
    return balance - TABLE.maintenance_atoms(notional_atoms(quantity, mark))


@search(400)
@given(quantity=quantities, entry=prices, mark=prices, wallet=st.integers(0, 2**55), share=shares)
def test_between_its_guards_a_position_is_above_maintenance(
    quantity: int, entry: int, mark: int, wallet: int, share: int
) -> None:
    cost = value_atoms(quantity, entry)
    left = slack(quantity, cost, wallet, mark)
    if left <= 0:
        return

    low, high = guard_prices(
        brackets=TABLE, quantity_atoms=quantity, mark_atoms=mark, slack_atoms=left
    )

    highest = min(high, 10**6 * ATOMS)
    for price in (low, highest, low + (highest - low) * share // 10**6):
        if low <= price <= highest:
            assert slack(quantity, cost, wallet, price) > 0


@search(400)
@given(quantity=quantities, entry=prices, mark=prices, wallet=st.integers(0, 2**55))
def test_a_guard_is_no_farther_than_the_liquidation_price_and_close_to_it(
    quantity: int, entry: int, mark: int, wallet: int
) -> None:
    cost = value_atoms(quantity, entry)
    left = slack(quantity, cost, wallet, mark)
    if left <= 0:
        return

    price = liquidation_price(
        brackets=TABLE, quantity_atoms=quantity, cost_atoms=cost, wallet_atoms=wallet
    )
    low, high = guard_prices(
        brackets=TABLE, quantity_atoms=quantity, mark_atoms=mark, slack_atoms=left
    )

    # A few atoms of value on a small quantity are a distance in the price.
    near = 10 * ATOMS // abs(quantity) + 2
    if quantity > 0:
        assert price - 1 <= low <= max(1, price) + near
    else:
        assert high <= price + 1
        assert high >= price - near or high >= 2**62 - 1 - near
