"""
Five hours of Bitstamp BTC/USD (2015-05-01) through our book and matching.

The recording gives order events, trades and snapshots of the best twenty levels, each from
a channel of its own. Only creations, cancellations and changes of price are taken from it:
what an order trades with on arrival is planned and applied by us, and the recorded fills,
trades and snapshots are compared with that.

Where they differ, the cause is one of two. Events come a little out of order, a deletion
before the creation or change it follows. And the venue's market buys spend a budget that
the recording does not give: their quantity shrinks whenever they are moved to a worse price,
and their last fill ends about a cent short of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque

from exchange.core.book import OrderBook
from exchange.core.enums import SelfTradeMode
from exchange.core.matching import plan_match
from exchange.core.state import Order
from exchange.core.units import ATOMS
from simulation.recorded.bitstamp_log import (
    LOG,
    Entry,
    Event,
    Levels,
    Snapshot,
    Trade,
    entries,
    resting_before,
    untold_quantities,
)
from simulation.recorded.data import recording

DEPTH = 20
# A snapshot is looked for among our books after so many events before and after its place.
NEAR = 4
# Budgets and fills are in whole cents: so far they may be from quantity times price.
_CENTS_UNSPENT = 2 * ATOMS // 100
_INVARIANTS_EVERY = 250
_TAKER = 1


class BitstampReplay:
    """Our book and matching, fed with orders; ``counts`` says what agreed and what did not."""

    def __init__(self, recorded: list[Entry]) -> None:
        """Seed the book with the orders that rested before the recording began."""
        self.book = OrderBook()
        self.counts: Counter[str] = Counter()
        self._entries = recorded
        self._orders: dict[int, Order] = {}
        self._ended: set[int] = set()
        # What is left of an order after each fill of ours that no event has told of yet.
        self._told: dict[int, deque[int]] = defaultdict(deque)
        self._tape: deque[Trade] = deque()
        self._late: list[Trade] = []
        self._priority = 0
        self._seed()

    def run(self) -> Counter[str]:
        """Replay everything and return the counts."""
        views = Views(self.counts)
        for index, entry in enumerate(self._entries):
            if index % _INVARIANTS_EVERY == 0:
                self.book.check_invariants()
            if isinstance(entry, Trade):
                self._compare_trade(entry)
            elif isinstance(entry, Snapshot):
                views.expect(entry.levels)
            else:
                self._apply(entry)
                views.show((self.book.bids.depth(DEPTH), self.book.asks.depth(DEPTH)))
        views.close()
        self.book.check_invariants()
        self.counts["planned trades that the tape lacks"] += len(self._tape) + len(self._late)
        self.counts["orders left in the book"] += len(self._orders)
        return self.counts

    def _apply(self, event: Event) -> None:
        self.counts[f"orders {event.kind}"] += 1
        if event.order_id in self._ended:
            self.counts[f"orders {event.kind} after their deletion"] += 1
        elif event.kind == "created":
            self._place(self._new_order(event))
        elif event.order_id not in self._orders:
            self.counts[f"orders {event.kind} before their creation"] += 1
            self._ended.add(event.order_id)
        elif event.kind == "changed":
            self._change(event)
        else:
            self._delete(event)

    def _new_order(self, event: Event) -> Order:
        order = Order(
            order_id=event.order_id,
            side=event.side,
            price_atoms=event.price_atoms,
            quantity_atoms=event.remaining_atoms,
            remaining_atoms=event.remaining_atoms,
        )
        self._orders[event.order_id] = order
        return order

    def _place(self, order: Order) -> None:
        """Trade with what an arriving order crosses, and rest what is left."""
        self._priority += 1
        order.priority = self._priority
        opposite = self.book.opposite(order.side)
        plan = plan_match(
            opposite,
            account_id=_TAKER,
            mode=SelfTradeMode.EXPIRE_TAKER,
            limit_atoms=order.price_atoms,
            quantity_atoms=order.remaining_atoms,
            quote_atoms_max=0,
            lot_atoms=1,
            time_ms=0,
        )
        for _, maker, quantity, _ in plan.steps:
            opposite.reduce(maker, quantity)
            order.remaining_atoms -= quantity
            self._told[maker.order_id].append(maker.remaining_atoms)
            self._told[order.order_id].append(order.remaining_atoms)
            self._tape.append(Trade(maker.price_atoms, quantity))
            self.counts["trades planned"] += 1
        if order.remaining_atoms:
            self.book.side(order.side).insert(order)

    def _change(self, event: Event) -> None:
        order = self._orders[event.order_id]
        if event.price_atoms != order.price_atoms:
            self._reprice(order, event)
        else:
            self._compare_fill(order, event)

    def _reprice(self, order: Order, event: Event) -> None:
        """Move an order to its new price, where it may trade."""
        self.counts["orders that changed their price"] += 1
        side = self.book.side(order.side)
        cut = order.remaining_atoms - event.remaining_atoms
        unspent = _worth(order.remaining_atoms, order) - _worth(event.remaining_atoms, event)
        if cut > 0 and abs(unspent) <= _CENTS_UNSPENT:
            self.counts["quantities cut to a budget at a new price"] += 1
            side.reduce(order, cut)
        elif cut:
            self._correct(order, event)
        side.remove(order)
        order.price_atoms = event.price_atoms
        self._place(order)

    def _compare_fill(self, order: Order, event: Event) -> None:
        told = self._told[event.order_id]
        if told and told[0] == event.remaining_atoms:
            told.popleft()
            self.counts["fills as planned"] += 1
        else:
            self.counts["fills not as planned"] += 1
            self._correct(order, event)

    def _correct(self, order: Order, event: Event) -> None:
        """
        Follow the recording where our order has another quantity left.

        One that has more left than we think goes to the back: the book knows no other way.
        """
        if self._told.pop(event.order_id, None):
            self.counts["planned fills that the recording lacks"] += 1
        more = event.remaining_atoms - order.remaining_atoms
        side = self.book.side(order.side)
        if more < 0:
            self.counts["quantities corrected downward"] += 1
            side.reduce(order, -more)
        elif more > 0:
            self.counts["quantities corrected upward"] += 1
            if order.remaining_atoms:
                side.remove(order)
            order.remaining_atoms = event.remaining_atoms
            self._priority += 1
            order.priority = self._priority
            side.insert(order)

    def _delete(self, event: Event) -> None:
        order = self._orders[event.order_id]
        if not event.remaining_atoms:
            self._compare_fill(order, event)
        elif order.remaining_atoms == event.remaining_atoms and not self._told[event.order_id]:
            self.counts["cancellations with the quantity left as ours"] += 1
        elif list(self._told[event.order_id]) == [0]:
            self.counts["orders deleted instead of filled by the last fill planned"] += 1
        else:
            self.counts["cancellations with another quantity left"] += 1
        if order.remaining_atoms:
            self.book.side(order.side).reduce(order, order.remaining_atoms)
        del self._orders[event.order_id]
        self._told.pop(event.order_id, None)
        self._ended.add(event.order_id)

    def _compare_trade(self, trade: Trade) -> None:
        self.counts["trades recorded"] += 1
        if trade in self._tape:
            while (planned := self._tape.popleft()) != trade:
                self._late.append(planned)
            self.counts["trades as planned, in order"] += 1
        elif trade in self._late:
            self._late.remove(trade)
            self.counts["trades as planned, in another order"] += 1
        elif self._tape and self._ends_budget(self._tape[0], trade):
            self._tape.popleft()
            self.counts["trades a cent short of the plan"] += 1
        else:
            self.counts["trades not planned"] += 1

    @staticmethod
    def _ends_budget(planned: Trade, trade: Trade) -> bool:
        """Tell whether a trade is the planned one less what a budget leaves unspent."""
        short = planned.quantity_atoms - trade.quantity_atoms
        return (
            planned.price_atoms == trade.price_atoms and 0 < _worth(short, trade) <= _CENTS_UNSPENT
        )

    def _seed(self) -> None:
        resting = resting_before(self._entries)
        for event in sorted(resting, key=lambda each: each.order_id):
            self._rest(self._new_order(event))
        self.counts["orders seeded"] = len(resting)
        for (side, price), quantity in untold_quantities(self._entries, resting).items():
            self._rest(Order(order_id=0, side=side, price_atoms=price, remaining_atoms=quantity))
            self.counts["levels seeded"] += 1

    def _rest(self, order: Order) -> None:
        self._priority += 1
        order.priority = self._priority
        self.book.side(order.side).insert(order)


class Views:
    """
    Our views of the book around the place of each snapshot.

    The snapshots come from a channel of their own, so one is counted as equal also when our
    book looked like it a few events before or after its place.
    """

    def __init__(self, counts: Counter[str]) -> None:
        """Count into ``counts``."""
        self._counts = counts
        self._past: deque[Levels] = deque(maxlen=NEAR + 1)
        self._waiting: deque[tuple[int, Levels]] = deque()
        self._shown = 0

    def show(self, levels: Levels) -> None:
        """Take our view after an event."""
        self._shown += 1
        self._past.append(levels)
        still: deque[tuple[int, Levels]] = deque()
        for place, snapshot in self._waiting:
            if snapshot == levels:
                self._counts["snapshots equal a few events later"] += 1
            elif self._shown - place == NEAR:
                self._counts["snapshots not equal"] += 1
            else:
                still.append((place, snapshot))
        self._waiting = still

    def expect(self, snapshot: Levels) -> None:
        """Take a snapshot at its place among the events."""
        self._counts["snapshots recorded"] += 1
        if self._past and self._past[-1] == snapshot:
            self._counts["snapshots equal at their place"] += 1
        elif snapshot in self._past:
            self._counts["snapshots equal a few events earlier"] += 1
        else:
            self._waiting.append((self._shown, snapshot))
        if self._past:
            for ours, recorded in zip(self._past[-1], snapshot, strict=True):
                self._counts["levels compared"] += len(recorded)
                self._counts["levels equal at their place"] += sum(
                    our == their for our, their in zip(ours, recorded, strict=False)
                )

    def close(self) -> None:
        """Count the snapshots that never were met."""
        self._counts["snapshots not equal"] += len(self._waiting)
        self._waiting.clear()


def _worth(quantity_atoms: int, at: Order | Event | Trade) -> int:
    """Return the value of a quantity at a price, to the nearest quote atom."""
    return (quantity_atoms * at.price_atoms + ATOMS // 2) // ATOMS


def replay() -> Counter[str]:
    """Replay the recording and return what was counted."""
    return BitstampReplay(entries(recording(LOG))).run()
