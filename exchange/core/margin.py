"""
The formulas of margin, without state: brackets, requirements, and the prices that follow.

Everything is in integers: quantities and costs signed, in atoms; values in quote atoms; rates
in 10^-8. Every rounding is against the account. Sources: Binance's help pages for maintenance
brackets, order margin and the liquidation price (``tests/vectors``); DOMAIN 2.1-2.7.
"""

from __future__ import annotations

from bisect import bisect_right

from exchange.core.units import AMOUNT_MAX, ATOMS, RATE_ONE, ceil_div, floor_div

# Brackets of one market; look-ups and guard prices walk them.
BRACKETS_MAX = 20
LEVERAGE_LIMIT = 125
PRICE_UNBOUNDED = 2**63 - 1


class Brackets:
    """
    Maintenance rates by notional: bracket k covers floor_k <= notional < floor_(k+1).

    The maintenance margin of a notional N is N x rate_k - amount_k, which is continuous and
    convex, hence also the highest of all brackets' lines.
    """

    __slots__ = ("amounts_atoms", "floors_atoms", "leverages", "rates_e8")

    def __init__(self, rows: tuple[tuple[int, int, int, int], ...]) -> None:
        """Take (floor, maintenance rate, maintenance amount, highest leverage) by floor."""
        self.floors_atoms = [row[0] for row in rows]
        self.rates_e8 = [row[1] for row in rows]
        self.amounts_atoms = [row[2] for row in rows]
        self.leverages = [row[3] for row in rows]

    def index(self, notional_atoms: int) -> int:
        """Return the number, from 0, of the bracket that a notional lies in."""
        return bisect_right(self.floors_atoms, notional_atoms) - 1

    def maintenance_atoms(self, notional_atoms: int) -> int:
        """Return the maintenance margin of a notional, rounded up."""
        index = bisect_right(self.floors_atoms, notional_atoms) - 1
        # ceil_div, spelled out: every look at an account comes by here.
        return -(-notional_atoms * self.rates_e8[index] // RATE_ONE) - self.amounts_atoms[index]

    def leverage_max(self, notional_atoms: int) -> int:
        """Return the highest leverage that a position of this notional may have."""
        return self.leverages[bisect_right(self.floors_atoms, notional_atoms) - 1]


def bracket_rows(
    brackets: tuple[tuple[int, int, int], ...],
) -> tuple[tuple[int, int, int, int], ...] | None:
    """
    Return brackets with their maintenance amounts, None if they are not valid.

    amount_k = amount_(k-1) + floor_k x (rate_k - rate_(k-1)), exact in atoms.
    """
    if not 1 <= len(brackets) <= BRACKETS_MAX or brackets[0][0] != 0:
        return None
    rows: list[tuple[int, int, int, int]] = []
    amount = last_floor = last_rate = 0
    last_leverage = LEVERAGE_LIMIT
    for index, (floor, rate, leverage) in enumerate(brackets):
        rises = index == 0 or (floor > last_floor and rate > last_rate)
        if not rises or not 0 < rate < RATE_ONE or floor > AMOUNT_MAX:
            return None
        if not 1 <= leverage <= last_leverage or rate * leverage > RATE_ONE:
            return None
        if index:
            step = floor * (rate - last_rate)
            if step % RATE_ONE:
                return None
            amount += step // RATE_ONE
        rows.append((floor, rate, amount, leverage))
        last_floor, last_rate, last_leverage = floor, rate, leverage
    return tuple(rows)


def notional_atoms(quantity_atoms: int, price_atoms: int) -> int:
    """Return |quantity| x price, rounded up."""
    return -(-abs(quantity_atoms) * price_atoms // ATOMS)


def value_atoms(quantity_atoms: int, price_atoms: int) -> int:
    """Return quantity x price, signed, rounded down."""
    return quantity_atoms * price_atoms // ATOMS


def exposure_atoms(position_atoms: int, bid_atoms: int, ask_atoms: int) -> int:
    """
    Return the notional that initial margin is taken on: position and orders of its worse side.

    ``position_atoms`` is the signed value at the mark; source: Binance, "How to calculate the
    margin requirement".
    """
    # max and abs, spelled out: every fill comes by here several times.
    with_bids, with_asks = position_atoms + bid_atoms, position_atoms - ask_atoms
    if with_bids < 0:
        with_bids = -with_bids
    if with_asks < 0:
        with_asks = -with_asks
    return with_bids if with_bids >= with_asks else with_asks


def initial_margin(exposure: int, leverage: int) -> int:
    """Return exposure / leverage, rounded up."""
    return -(-exposure // leverage)


def open_loss(side_sign: int, quantity_atoms: int, quote_atoms: int, mark_atoms: int) -> int:
    """
    Return what a trade of a quantity for a quote amount loses at the mark at once, never negative.

    ``side_sign`` is 1 for a buy; source: Binance, "How to calculate cost required to open".
    """
    value = quantity_atoms * mark_atoms
    if side_sign > 0:
        return max(0, quote_atoms - floor_div(value, ATOMS))
    return max(0, ceil_div(value, ATOMS) - quote_atoms)


def liquidation_price(
    *,
    brackets: Brackets,
    quantity_atoms: int,
    cost_atoms: int,
    wallet_atoms: int,
    others_maintenance_atoms: int = 0,
    others_profit_atoms: int = 0,
) -> int:
    """
    Return the mark at which balance equals maintenance, 0 when there is none above zero.

    ``wallet_atoms`` is the cross or the isolated wallet; the others are the account's other
    cross positions (0 when isolated). Of all brackets the price nearest to safety counts,
    since maintenance is convex. Rounded away from safety: up for a long, down for a short.
    Source: Binance, "How to calculate liquidation price" (one-way mode).
    """
    if not quantity_atoms:
        return 0
    free = wallet_atoms - others_maintenance_atoms + others_profit_atoms - cost_atoms
    size = abs(quantity_atoms)
    prices = []
    for rate, amount in zip(brackets.rates_e8, brackets.amounts_atoms, strict=True):
        # free + q P = |q| P rate - amount
        numerator = (free + amount) * ATOMS * RATE_ONE
        if quantity_atoms > 0:
            prices.append(ceil_div(-numerator, size * (RATE_ONE - rate)))
        else:
            prices.append(floor_div(numerator, size * (RATE_ONE + rate)))
    return max(0, max(prices) if quantity_atoms > 0 else min(prices))


def guard_prices(
    *, brackets: Brackets, quantity_atoms: int, mark_atoms: int, slack_atoms: int
) -> tuple[int, int]:
    """
    Return the lowest and highest mark at which the position has lost less than its slack.

    Losing counts the growth of its maintenance margin too. Between the two, both included, the
    account is surely above maintenance as far as this position goes. The side that cannot
    lose is unbounded (0 or ``PRICE_UNBOUNDED``). Rounded inward.
    """
    size = abs(quantity_atoms)
    if not size:
        return 0, PRICE_UNBOUNDED
    value = value_atoms(quantity_atoms, mark_atoms)
    # Three atoms for the roundings of value and maintenance, here and at the guard.
    budget = brackets.maintenance_atoms(-(-size * mark_atoms // ATOMS)) + slack_atoms - 3
    worst = 0
    if quantity_atoms > 0:
        for rate, amount in zip(brackets.rates_e8, brackets.amounts_atoms, strict=True):
            price = (value - budget - amount) * ATOMS * RATE_ONE // (size * (RATE_ONE - rate))
            worst = max(worst, price)
        return worst + 1, PRICE_UNBOUNDED
    best = AMOUNT_MAX
    for rate, amount in zip(brackets.rates_e8, brackets.amounts_atoms, strict=True):
        price = (budget + amount - value) * ATOMS * RATE_ONE // (size * (RATE_ONE + rate))
        best = min(best, price)
    return 0, best - 1
