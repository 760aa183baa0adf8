"""
What an order would do on coming in: its match plan, and in a perpetual market its margin.

Nothing changes here; ``executing`` carries a plan out.
"""

from __future__ import annotations

from exchange.core.breaking import price_range
from exchange.core.checks import RESTING
from exchange.core.enums import EndReason, Side, TimeInForce
from exchange.core.judging import Draft, Judge
from exchange.core.ledger import Account
from exchange.core.margin import exposure_atoms, notional_atoms, open_loss, value_atoms
from exchange.core.market import Market, band_price
from exchange.core.matching import FILL, Plan, plan_match
from exchange.core.memory import Memory
from exchange.core.rejects import Code
from exchange.core.state import Order
from exchange.core.units import AMOUNT_MAX, ATOMS, RATE_ONE, ceil_div, floor_div

# Module names of enum members: an attribute of an enum class costs twice as much.
_BUY = Side.BUY
_FOK = TimeInForce.FOK
_NO_REASON = EndReason.NONE
_ANY_PRICE = (0, AMOUNT_MAX)

# Stops after which a limit order's remainder rests.
RESTING_STOPS = (EndReason.NO_LIQUIDITY, EndReason.PRICE_CAP)


def market_cap_atoms(market: Market, order: Order) -> int:
    """
    Return the worst price a market order may trade at, 0 for none.

    The nearest of the market's band against the mark price, the order's own slippage
    against the best opposite price, and the cap that a conditional buy holds at.
    """
    caps = []
    if market.config.market_band_e8 and market.mark_atoms:
        caps.append(band_price(market.mark_atoms, market.config.market_band_e8, order.side))
    terms = order.terms
    if terms is not None:
        if terms.slippage_rate_e8:
            best = market.book.opposite(order.side).best_price()
            if best:
                caps.append(band_price(best, terms.slippage_rate_e8, order.side))
        if terms.cap_atoms:
            caps.append(terms.cap_atoms)
    if not caps:
        return 0
    return min(caps) if order.side is _BUY else max(caps)


def plan_taker(
    market: Market, order: Order, time_ms: int, judge: Judge | None = None
) -> Plan | Code | None:
    """Return the match plan, None when nothing crosses, or why the order is refused."""
    opposite = market.book.asks if order.side is _BUY else market.book.bids
    keys, limit = opposite.keys, order.price_atoms
    if limit and (not keys or keys[-1] < limit * opposite.sign) and order.time_in_force is not _FOK:
        return None
    budget = 0
    if not limit:
        limit = market_cap_atoms(market, order)
        budget = order.quote_quantity_atoms
        if budget and order.side is _BUY:
            # The largest notional that leaves room for its own fee.
            budget = floor_div(budget * RATE_ONE, RATE_ONE + order.taker_rate_e8)
    if not keys or (limit and keys[-1] < limit * opposite.sign):
        return Code.FOK_NOT_FILLABLE if order.time_in_force is _FOK else None
    if order.post_only:
        return Code.POST_ONLY_WOULD_CROSS
    match = plan_match(
        opposite,
        account_id=order.account_id,
        mode=order.self_trade_mode,
        limit_atoms=limit,
        quantity_atoms=0 if order.quote_quantity_atoms else order.remaining_atoms,
        quote_atoms_max=budget,
        lot_atoms=market.config.lot_atoms,
        time_ms=time_ms,
        price_range=price_range(market, time_ms) if market.breaks else _ANY_PRICE,
        judge=judge,
    )
    if order.time_in_force is _FOK and match.filled_atoms < order.remaining_atoms:
        return Code.FOK_NOT_FILLABLE
    if order.quote_quantity_atoms and not match.filled_atoms and match.stop is _NO_REASON:
        return Code.QUANTITY_TOO_SMALL
    return match


def plan_order(
    memory: Memory, account: Account, market: Market, order: Order
) -> Plan | Code | None:
    """
    Return the match plan of an order, None when nothing crosses, or why it is refused.

    In a perpetual market both sides of each match must afford it, and the order with what
    rests of it. Funds of a spot order are the caller's to check.
    """
    if not order.margined:
        return plan_taker(market, order, memory.time_ms)
    judge = Judge(memory, market)
    planned = plan_taker(market, order, memory.time_ms, judge)
    if isinstance(planned, Code):
        return planned
    code = _check_margin(Draft(memory, account, market), order, planned)
    return code or planned


def plan_waiting(memory: Memory, account: Account, market: Market, order: Order) -> Code:
    """Check the margin of an order that comes to rest without meeting anything."""
    return _check_margin(Draft(memory, account, market), order, None)


def _check_margin(draft: Draft, order: Order, match: Plan | None) -> Code:
    """Check that an account affords a plan: its fills, and what then rests of the order."""
    rest = _resting_atoms(order, match)
    # Asked for only where something depends on it: most takers are filled at once.
    asked = rest or draft.contract.config.open_interest_max_atoms
    before = _exposure(draft) if asked else 0
    held = draft.position.quantity_atoms
    if order.held_atoms:
        draft.uncount(order, order.held_atoms)
    opens = False
    for kind, _, quantity, notional in match.steps if match is not None else ():
        if kind == FILL:
            opens |= draft.fill(order, quantity, notional, order.taker_rate_e8)
    if rest and not (order.terms is not None and order.terms.reduce_only):
        value = order.price_atoms * rest // ATOMS
        draft.count_order(order.side, value)
        opens |= _exposure(draft) > before
        if opens:
            # What it would lose at the mark, and the fee if it takes.
            mark = draft.contract.mark_atoms
            sign = 1 if order.side is _BUY else -1
            reserve = open_loss(sign, rest, value, mark)
            draft.total_atoms -= reserve + max(0, ceil_div(value * order.taker_rate_e8, RATE_ONE))
    if opens:
        code = _check_limits(draft, before, held)
        if code:
            return code
        return Code.OK if draft.available() >= 0 else Code.INSUFFICIENT_MARGIN
    if match is not None and match.filled_atoms:
        return Code.OK if draft.is_sound() else Code.BEYOND_BANKRUPTCY_PRICE
    return Code.OK


def _exposure(draft: Draft) -> int:
    position = draft.position
    held = value_atoms(position.quantity_atoms, draft.contract.mark_atoms)
    return exposure_atoms(held, position.bid_atoms, position.ask_atoms)


def _resting_atoms(order: Order, match: Plan | None) -> int:
    if order.time_in_force not in RESTING or not order.price_atoms:
        return 0
    if match is None:
        return order.open_atoms
    return match.unfilled_atoms if match.stop in RESTING_STOPS else 0


def _check_limits(draft: Draft, before_atoms: int, held_atoms: int) -> Code:
    """
    Check position limit, leverage and open interest of what an opening plan leads to.

    ``before_atoms`` is the exposure, ``held_atoms`` the position there was without it. The open
    interest grows at most by what the plan's fills open, whatever waits on the other side.
    """
    contract = draft.contract
    config = contract.config
    exposure = _exposure(draft)
    if config.position_notional_max_atoms and exposure > config.position_notional_max_atoms:
        return Code.POSITION_LIMIT
    if draft.position.leverage > contract.brackets.leverage_max(exposure):
        return Code.LEVERAGE_TOO_HIGH
    cap = config.open_interest_max_atoms
    if not cap:
        return Code.OK
    mark = contract.mark_atoms
    quantity = draft.position.quantity_atoms
    opened = quantity if quantity * held_atoms < 0 else max(0, abs(quantity) - abs(held_atoms))
    filled = notional_atoms(contract.long_atoms + abs(opened), mark)
    promised = notional_atoms(contract.long_atoms, mark) + max(0, exposure - before_atoms)
    return Code.OPEN_INTEREST_CAP if max(filled, promised) > cap else Code.OK
