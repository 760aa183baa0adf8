"""What a perpetual market has beside its book: terms, prices, positions, guards; and insurance."""

from __future__ import annotations

from exchange.core.enums import PriceQuality
from exchange.core.events import ContractConfigured, InsuranceChanged, PricesChanged
from exchange.core.margin import Brackets
from exchange.core.state import Position, Wallet
from exchange.core.units import RATE_ONE, check

# A mark older than this is stale: nothing that opens is taken.
MARK_AGE_MAX_MS = 10_000

# The mark may leave the index by at most this share of 1 / highest leverage.
MARK_CLAMP_SHARE_E8 = 25_000_000

# Where a contract sets no cap of its own: this share of the first maintenance rate.
FUNDING_CAP_SHARE_E8 = 75_000_000


class Contract:
    """
    The perpetual side of a market.

    ``positions`` is in order of slot ids, flat ones included. The running sums are over all
    positions: quantities sum to zero, ``cost_atoms`` to what the clearing account lacks, and
    ``long_atoms`` is the open interest. ``lows`` and ``highs`` are heaps of (guard price, slot
    id), the lows negated; an entry counts only while it is its position's guard.
    """

    __slots__ = (
        "basis",
        "brackets",
        "clearing",
        "config",
        "cost_atoms",
        "flow_atoms",
        "flow_second",
        "funding_rate_e8",
        "halted_for_price",
        "highs",
        "last_trade_ms",
        "long_atoms",
        "lows",
        "mark_atoms",
        "mark_ms",
        "next_funding_ms",
        "positions",
        "predicted_rate_e8",
        "premium_count",
        "premium_sum_e8",
        "quality",
        "quantity_atoms",
        "sampled_ms",
        "unhealthy_since_ms",
    )

    def __init__(self, config: ContractConfigured) -> None:
        """Begin without a price and without positions."""
        self.configure(config)
        self.positions: list[Position] = []
        # The wallet between the positions, known once it exists: every fill posts to it.
        self.clearing: Wallet | None = None
        self.quantity_atoms = 0
        self.cost_atoms = 0
        self.long_atoms = 0
        self.lows: list[tuple[int, int]] = []
        self.highs: list[tuple[int, int]] = []
        self.mark_atoms = 0
        self.mark_ms = 0
        self.quality = PriceQuality.MISSING
        self.unhealthy_since_ms = 0
        self.basis: list[tuple[int, int]] = []
        self.sampled_ms = 0
        self.premium_sum_e8 = 0
        self.premium_count = 0
        self.predicted_rate_e8 = 0
        self.funding_rate_e8 = 0
        self.next_funding_ms = 0
        self.last_trade_ms = 0
        self.halted_for_price = False
        # What liquidations sold or bought in the book in a second.
        self.flow_second = 0
        self.flow_atoms = 0

    def configure(self, config: ContractConfigured) -> None:
        """Take over new terms."""
        self.config = config
        self.brackets = Brackets(config.brackets)

    @property
    def leverage_max(self) -> int:
        """The highest leverage of the market, that of its first bracket."""
        return self.brackets.leverages[0]

    @property
    def funding_cap_e8(self) -> int:
        """The largest funding rate either way, per interval."""
        own = self.config.funding_cap_e8
        return own or self.brackets.rates_e8[0] * FUNDING_CAP_SHARE_E8 // RATE_ONE

    def is_mark_fresh(self, time_ms: int) -> bool:
        """Tell whether there is a mark that is young enough to open positions at."""
        return self.mark_atoms > 0 and time_ms - self.mark_ms <= MARK_AGE_MAX_MS

    def add_quantity(self, before_atoms: int, after_atoms: int, cost_change_atoms: int) -> None:
        """Keep the sums when a position changed."""
        self.quantity_atoms += after_atoms - before_atoms
        self.cost_atoms += cost_change_atoms
        self.long_atoms += max(after_atoms, 0) - max(before_atoms, 0)

    def prices(self, market_id: int, index_atoms: int) -> PricesChanged:
        """Return all prices as they now are."""
        return PricesChanged(
            market_id,
            self.mark_atoms,
            index_atoms,
            self.mark_ms,
            self.quality,
            self.unhealthy_since_ms,
            tuple(self.basis),
            self.sampled_ms,
            self.premium_sum_e8,
            self.premium_count,
            self.predicted_rate_e8,
            self.funding_rate_e8,
            self.next_funding_ms,
            self.last_trade_ms,
            self.long_atoms,
            self.halted_for_price,
            self.flow_second,
            self.flow_atoms,
        )

    def take_prices(self, prices: PricesChanged) -> None:
        """Take over stored prices; the open interest follows from the positions."""
        self.mark_atoms = prices.mark_atoms
        self.mark_ms = prices.time_ms
        self.quality = prices.quality
        self.unhealthy_since_ms = prices.unhealthy_since_ms
        self.basis = list(prices.basis)
        self.sampled_ms = prices.sampled_ms
        self.premium_sum_e8 = prices.premium_sum_e8
        self.premium_count = prices.premium_count
        self.predicted_rate_e8 = prices.predicted_rate_e8
        self.funding_rate_e8 = prices.funding_rate_e8
        self.next_funding_ms = prices.next_funding_ms
        self.last_trade_ms = prices.last_trade_ms
        self.halted_for_price = prices.halted_for_price
        self.flow_second = prices.flow_second
        self.flow_atoms = prices.flow_atoms

    def check_sums(self, clearing_atoms: int) -> None:
        """
        Stop the writer unless positions and clearing account balance out.

        Raises:
            InvariantError: if quantities do not sum to zero, or costs and clearing do not.
        """
        check(self.quantity_atoms == 0, f"quantities sum to {self.quantity_atoms}")
        check(
            self.cost_atoms + clearing_atoms == 0,
            f"costs of {self.cost_atoms} and clearing of {clearing_atoms} do not balance",
        )


class Insurance:
    """An insurance group: its terms and its fund's running high; the balance is a wallet."""

    __slots__ = ("config", "group_id", "market_ids")

    def __init__(self, config: InsuranceChanged) -> None:
        """Begin without markets."""
        self.group_id = config.group_id
        self.config = config
        self.market_ids: list[int] = []
