"""The resting quantities of one market as they are published: levels, snapshot, changes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence

from exchange.core.enums import Side

Level = tuple[int, int]
Text = Callable[[int], str]


class BookSide:
    """
    One side of a book: every level, and which of them have been published.

    It is shown through windows, each the best so many levels. A level that leaves a window
    is published there as 0 and one that enters it as new, so who applies a window's changes
    holds exactly that window.
    """

    def __init__(
        self, *, descending: bool, depths: Sequence[int], price: Text, quantity: Text
    ) -> None:
        """Start empty; ``price`` and ``quantity`` turn atoms into decimal text."""
        self._sign = -1 if descending else 1
        self._depths = tuple(depths)
        self._price = price
        self._quantity = quantity
        # Keys are signed prices, so that the best level is always first.
        self._keys: list[int] = []
        self._texts: dict[int, str] = {}
        self._changed: set[int] = set()
        self._shown: list[set[int]] = [set() for _ in self._depths]

    def replace(self, levels: Iterable[Level]) -> None:
        """Take a whole side: (price, quantity) in atoms."""
        self._texts = {
            self._sign * price: self._fragment(price, quantity) for price, quantity in levels
        }
        self._keys = sorted(self._texts)
        self._changed.clear()
        self._shown = [set(self._keys[:depth]) for depth in self._depths]

    def change(self, price_atoms: int, quantity_atoms: int) -> None:
        """Set the whole quantity at one price; 0 removes the level."""
        key = self._sign * price_atoms
        known = key in self._texts
        self._changed.add(key)
        if quantity_atoms:
            if not known:
                insort(self._keys, key)
            self._texts[key] = self._fragment(price_atoms, quantity_atoms)
        elif known:
            del self._texts[key]
            del self._keys[bisect_left(self._keys, key)]

    def best_atoms(self) -> int | None:
        """Return the best price, None when the side is empty."""
        return self._sign * self._keys[0] if self._keys else None

    def snapshots(self) -> list[str]:
        """Return each window as a JSON array, best first."""
        texts = self._texts
        return [
            "[" + ",".join([texts[key] for key in self._keys[:depth]]) + "]"
            for depth in self._depths
        ]

    def take_changes(self) -> list[str]:
        """Return what changed in each window since the last call as a JSON array; 0 removes."""
        changed, self._changed = self._changed, set()
        return [
            self._window_changes(index, depth, changed) for index, depth in enumerate(self._depths)
        ]

    def _window_changes(self, index: int, depth: int, changed: set[int]) -> str:
        shown = self._shown[index]
        if len(self._keys) > depth or len(shown) >= depth:
            window = set(self._keys[:depth])
            changed = {key for key in changed if key in window} | (window ^ shown)
            shown = self._shown[index] = window
        else:
            for key in changed:
                if key in self._texts:
                    shown.add(key)
                else:
                    shown.discard(key)
        fragments = [
            self._texts[key] if key in shown else self._fragment(self._sign * key, 0)
            for key in sorted(changed)
        ]
        return "[" + ",".join(fragments) + "]"

    def _fragment(self, price_atoms: int, quantity_atoms: int) -> str:
        return f'["{self._price(price_atoms)}","{self._quantity(quantity_atoms)}"]'


class LiveBook:
    """Both sides of one market's book and the command numbers it stands at."""

    def __init__(self, *, depths: Sequence[int], price: Text, quantity: Text) -> None:
        """Start without an image: nothing may be published before one arrives."""
        self.depths = tuple(depths)
        self.bids = BookSide(descending=True, depths=depths, price=price, quantity=quantity)
        self.asks = BookSide(descending=False, depths=depths, price=price, quantity=quantity)
        self.is_known = False
        self.is_dirty = False
        self.seq = 0
        self.first = 0
        # By window: the sequence of its last frame.
        self.published_seqs = [0] * len(self.depths)

    def replace(self, bids: Iterable[Level], asks: Iterable[Level], command: int) -> None:
        """Take a whole book that contains everything up to a command."""
        self.bids.replace(bids)
        self.asks.replace(asks)
        self.seq = command
        self.published_seqs = [command] * len(self.depths)
        self.is_known = True
        self.is_dirty = False

    def change(self, side: Side, price_atoms: int, quantity_atoms: int) -> None:
        """Set the whole quantity at one price of a side; 0 removes the level."""
        (self.bids if side == Side.BUY else self.asks).change(price_atoms, quantity_atoms)

    def changed_by(self, first_command: int, last_command: int) -> None:
        """Note the commands whose changes were just applied."""
        if not self.is_dirty:
            self.first = first_command
            self.is_dirty = True
        self.seq = last_command
