"""
Positions of the naive exchange: what they are worth, and what fills do to them.

Written from the rules (DOMAIN 2) and from docstrings, with plain sums over all positions and
orders of an account each time; nothing is kept that can be counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor

from exchange.core import commands as c
from exchange.core.enums import PriceQuality, Side, WalletKind
from simulation.naive import NaiveExchange
from simulation.naive_book import ATOMS, NaiveOrder, rounded_up, value_of

# (account, market) of an isolated position, (account, 0) for all that is cross.
Scope = tuple[int, int]


@dataclass
class NaivePosition:
    """
    One slot: settings, and a position while ``quantity`` is not zero.

    ``life`` counts the positions that the slot has had; ``due`` is funding still to be received
    and ``due_life`` what it was earned in.
    """

    account_id: int
    market_id: int
    slot: int
    leverage: int
    isolated: bool = False
    quantity: int = 0
    cost: int = 0
    wallet: int = 0
    realised: int = 0
    fee: int = 0
    funding: int = 0
    funded: int = 0
    due: int = 0
    due_life: int = 0
    life: int = 0

    def is_reduced_by(self, side: Side) -> bool:
        """Tell whether an order of a side works against the position."""
        return self.quantity < 0 if side is Side.BUY else self.quantity > 0

    def closing_side(self) -> Side:
        """Return the side of an order that closes it."""
        return Side.SELL if self.quantity > 0 else Side.BUY

    def value(self, price: int) -> int:
        """Return quantity x price, signed, rounded down."""
        return floor(Fraction(self.quantity * price, ATOMS))

    def notional(self, price: int) -> int:
        """Return |quantity| x price, rounded up."""
        return ceil(Fraction(abs(self.quantity) * price, ATOMS))

    def profit(self, price: int) -> int:
        """Return the unrealised profit."""
        return self.value(price) - self.cost

    def trade(self, side: Side, quantity: int, quote: int, mark: int) -> int:
        """
        Let a fill change the position; return what the margin wallet gains, fees aside.

        What closes comes first, at its part of the quote; the rest opens the other side.
        """
        if not self.is_reduced_by(side):
            return self._open(side, quantity, quote, mark)
        closed = min(quantity, abs(self.quantity))
        closing_quote = floor(Fraction(quote * closed, quantity))
        gain = self._close(side, closed, closing_quote)
        if quantity > closed:
            gain += self._open(side, quantity - closed, quote - closing_quote, mark)
        return gain

    def _open(self, side: Side, quantity: int, quote: int, mark: int) -> int:
        sign = 1 if side is Side.BUY else -1
        self.quantity += sign * quantity
        self.cost += sign * quote
        if not self.isolated:
            return 0
        moved = ceil(Fraction(quote, self.leverage)) + loss_at_mark(side, quantity, quote, mark)
        self.wallet += moved
        return -moved

    def _close(self, side: Side, quantity: int, quote: int) -> int:
        part = Fraction(quantity, abs(self.quantity))
        cost = ceil(self.cost * part)
        freed = floor(self.wallet * part)
        proceeds = -quote if side is Side.BUY else quote
        self.quantity += quantity if side is Side.BUY else -quantity
        self.cost -= cost
        self.wallet -= freed
        self.realised += proceeds - cost
        return proceeds - cost + freed


def loss_at_mark(side: Side, quantity: int, quote: int, mark: int) -> int:
    """Return what buying or selling a quantity for a quote loses at the mark at once."""
    worth = Fraction(quantity * mark, ATOMS)
    lost = quote - floor(worth) if side is Side.BUY else ceil(worth) - quote
    return max(0, lost)


class NaivePositions(NaiveExchange):
    """What accounts have in perpetual markets, and what stands behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.contracts: dict[int, c.ConfigureContract] = {}
        self.slots: dict[tuple[int, int], NaivePosition] = {}
        self.marks: dict[int, int] = {}
        self.marked_ms: dict[int, int] = {}
        self.quality: dict[int, PriceQuality] = {}
        self.liquidating: set[Scope] = set()

    # -- reading ----------------------------------------------------------------------

    def mark_of(self, market_id: int) -> int:
        """Return the mark price; on spot that is the index."""
        if market_id in self.contracts:
            return self.marks.get(market_id, 0)
        return super().mark_of(market_id)

    def slot(self, account_id: int, market_id: int) -> NaivePosition:
        """Return a slot, opened at first use."""
        key = (account_id, market_id)
        if key not in self.slots:
            self.slots[key] = self.fresh(account_id, market_id, len(self.slots) + 1)
        return self.slots[key]

    def fresh(self, account_id: int, market_id: int, number: int) -> NaivePosition:
        """Return a flat slot with the settings of the market."""
        terms = self.contracts[market_id]
        highest = terms.brackets[0][2]
        leverage = min(terms.leverage_default, highest)
        return NaivePosition(account_id, market_id, number, leverage)

    def own_slots(self, account_id: int, asset_id: int) -> list[NaivePosition]:
        """Return the slots of an account that settle in an asset."""
        return [
            slot
            for slot in self.slots.values()
            if slot.account_id == account_id
            and self.markets[slot.market_id].quote_asset_id == asset_id
        ]

    def margin_wallet(self, account_id: int, asset_id: int) -> int:
        """Return the balance of a margin wallet."""
        return self.totals.get((account_id, WalletKind.MARGIN, asset_id), 0)

    def add_margin(self, account_id: int, asset_id: int, amount: int) -> None:
        """Change a margin wallet."""
        key = (int(account_id), WalletKind.MARGIN, asset_id)
        self.totals[key] = self.totals.get(key, 0) + amount

    def bracket(self, market_id: int, notional: int) -> int:
        """Return the number of the bracket that a notional lies in."""
        floors = [row[0] for row in self.contracts[market_id].brackets]
        return max(index for index, low in enumerate(floors) if low <= notional)

    def maintenance(self, market_id: int, notional: int) -> int:
        """Return the maintenance margin: each bracket's rate on what lies in that bracket."""
        rows = self.contracts[market_id].brackets
        total = Fraction(0)
        for index, (low, rate, _) in enumerate(rows):
            high = rows[index + 1][0] if index + 1 < len(rows) else notional
            if notional > low:
                total += Fraction((min(high, notional) - low) * rate, ATOMS)
        return ceil(total)

    def needed(self, slot: NaivePosition) -> int:
        """Return the maintenance margin of a position at the mark."""
        return self.maintenance(slot.market_id, slot.notional(self.mark_of(slot.market_id)))

    def order_value(self, order: NaiveOrder) -> int:
        """Return what a resting order that may open counts."""
        if order.reduces() or not order.is_in_book():
            return 0
        return value_of(order.price, order.remaining + order.hidden)

    def resting(self, account_id: int, market_id: int) -> dict[int, tuple[Side, int]]:
        """Return side and value of an account's resting orders by number."""
        return {
            order.order_id: (order.side, self.order_value(order))
            for order in self.orders
            if (order.account_id, order.market_id) == (account_id, market_id)
        }

    def exposure(self, slot: NaivePosition, resting: dict[int, tuple[Side, int]]) -> int:
        """Return the notional of a position with the orders of its worse side."""
        held = slot.value(self.marks.get(slot.market_id, 0))
        bids = sum(value for side, value in resting.values() if side is Side.BUY)
        asks = sum(value for side, value in resting.values() if side is Side.SELL)
        return max(abs(held + bids), abs(held - asks))

    def initial(self, slot: NaivePosition, resting: dict[int, tuple[Side, int]]) -> int:
        """Return the initial margin that the margin wallet has to cover."""
        exposure = self.exposure(slot, resting)
        if slot.isolated:
            held = abs(slot.value(self.marks.get(slot.market_id, 0)))
            exposure = max(0, exposure - held)
        return ceil(Fraction(exposure, slot.leverage))

    # -- health -----------------------------------------------------------------------

    def health(self, scope: Scope) -> tuple[int, int]:
        """Return balance and maintenance margin of a scope."""
        account_id, market_id = scope
        if market_id:
            slot = self.slots[scope]
            return slot.wallet + slot.profit(self.mark_of(market_id)), self.needed(slot)
        slots = self.open_slots(scope)
        # All perpetual markets of the simulation settle in one asset.
        asset_id = self.markets[slots[0].market_id].quote_asset_id if slots else 0
        balance = self.margin_wallet(account_id, asset_id)
        balance += sum(slot.profit(self.mark_of(slot.market_id)) for slot in slots)
        return balance, sum(self.needed(slot) for slot in slots)

    def open_slots(self, scope: Scope) -> list[NaivePosition]:
        """Return the open positions of a scope, the largest maintenance first."""
        account_id, market_id = scope
        found = [
            slot
            for slot in self.slots.values()
            if slot.account_id == account_id
            and slot.quantity
            and (slot.market_id == market_id if market_id else not slot.isolated)
        ]
        return sorted(found, key=lambda slot: (-self.needed(slot), slot.slot))

    def scope_of(self, slot: NaivePosition) -> Scope:
        """Return what backs a position."""
        return slot.account_id, slot.market_id if slot.isolated else 0

    def is_liquidating(self, account_id: int, market_id: int) -> bool:
        """Tell whether what backs an account's position in a market is being liquidated."""
        return bool(self.liquidating & {(account_id, 0), (account_id, market_id)})

    def owed(self, slot: NaivePosition) -> tuple[int, int]:
        """Return what touching a position will take from its isolated and its margin wallet."""
        raise NotImplementedError


class Trial:
    """An account's margin wallet, one position and its orders there, to try fills out on."""

    def __init__(self, exchange: NaivePositions, account_id: int, market_id: int) -> None:
        self.exchange = exchange
        self.asset_id = exchange.markets[market_id].quote_asset_id
        known = exchange.slots.get((account_id, market_id))
        self.slot = replace(known) if known else exchange.fresh(account_id, market_id, 0)
        self.wallet = exchange.margin_wallet(account_id, self.asset_id)
        self.orders = exchange.resting(account_id, market_id)
        self.fees: dict[int, tuple[int, int]] = {}
        if known:
            from_isolated, from_wallet = exchange.owed(known)
            self.slot.wallet -= from_isolated
            self.wallet -= from_wallet

    def copy(self) -> Trial:
        """Return another to go on with."""
        other = Trial(self.exchange, self.slot.account_id, self.slot.market_id)
        other.slot, other.wallet = replace(self.slot), self.wallet
        other.orders, other.fees = dict(self.orders), dict(self.fees)
        return other

    def mark(self) -> int:
        """Return the mark price."""
        return self.exchange.marks.get(self.slot.market_id, 0)

    def exposure(self) -> int:
        """Return the notional that initial margin is taken on."""
        return self.exchange.exposure(self.slot, self.orders)

    def fill(self, order: NaiveOrder, quantity: int, price: int, rate: int) -> bool:
        """Let an order trade, with its fee; tell whether that opens."""
        notional = value_of(price, quantity)
        fee_e8, charged = self.fees.get(order.order_id, (order.fee_e8, order.fee))
        fee_e8 += notional * rate
        self.fees[order.order_id] = (fee_e8, rounded_up(fee_e8))
        before = self.slot.quantity
        self.wallet += self.slot.trade(order.side, quantity, notional, self.mark())
        self.wallet -= rounded_up(fee_e8) - charged
        after = self.slot.quantity
        return abs(after) > abs(before) or before * after < 0

    def available(self) -> int:
        """Return what is free to open positions with; isolated ones are not fed by profit."""
        profit, margin = 0, 0
        slots = self.exchange.own_slots(self.slot.account_id, self.asset_id)
        for slot in slots:
            if slot.market_id != self.slot.market_id:
                orders = self.exchange.resting(slot.account_id, slot.market_id)
                margin += self.exchange.initial(slot, orders)
                profit += 0 if slot.isolated else slot.profit(self.exchange.mark_of(slot.market_id))
        margin += self.exchange.initial(self.slot, self.orders)
        profit += 0 if self.slot.isolated else self.slot.profit(self.mark())
        return self.wallet - margin + (min(0, profit) if self.slot.isolated else profit)

    def is_sound(self) -> bool:
        """Tell whether all that the wallet and this position back is above maintenance."""
        exchange, own = self.exchange, self.slot
        balance = own.wallet + own.profit(self.mark())
        if own.isolated and own.quantity and balance <= exchange.needed(own):
            return False
        cross = [
            slot
            for slot in exchange.own_slots(own.account_id, self.asset_id)
            if slot.market_id != own.market_id and slot.quantity and not slot.isolated
        ]
        if own.quantity and not own.isolated:
            cross.append(own)
        needed = sum(exchange.needed(slot) for slot in cross)
        balance = self.wallet + sum(s.profit(exchange.mark_of(s.market_id)) for s in cross)
        return balance > needed if needed else balance >= 0


class MakerJudge:
    """Judges the makers of one taker, and remembers what they gave."""

    def __init__(self, exchange: NaivePositions) -> None:
        self.exchange = exchange
        self.trials: dict[int, Trial] = {}

    def trial(self, maker: NaiveOrder) -> Trial:
        """Return the trial of a maker's account, made at first use."""
        if maker.account_id not in self.trials:
            trial = Trial(self.exchange, maker.account_id, maker.market_id)
            self.trials[maker.account_id] = trial
        return self.trials[maker.account_id]

    def offered(self, maker: NaiveOrder, shown: int) -> int:
        """Return what a maker may give: one that only reduces, up to its position."""
        if not maker.reduces():
            return shown
        slot = self.trial(maker).slot
        return min(shown, abs(slot.quantity)) if slot.is_reduced_by(maker.side) else 0

    def affords(self, maker: NaiveOrder, quantity: int) -> bool:
        """Let a maker trade if its account stays sound, and covers what opens."""
        trial = self.trial(maker).copy()
        if not maker.reduces():
            side, value = trial.orders[maker.order_id]
            trial.orders[maker.order_id] = (side, value - value_of(maker.price, quantity))
        opens = trial.fill(maker, quantity, maker.price, maker.maker_rate)
        if trial.is_sound() and (not opens or trial.available() >= 0):
            self.trials[maker.account_id] = trial
            return True
        self.trial(maker).orders.pop(maker.order_id, None)
        return False
