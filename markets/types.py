"""What other apps may receive from the markets app: frozen, without database access."""

from dataclasses import dataclass

from exchange.core.enums import MarketKind, MarketStatus, StatusCause
from exchange.core.safety import NO_SAFETY, MarketSafety
from exchange.core.units import DECIMALS_MAX, format_atoms


@dataclass(frozen=True, slots=True)
class AssetInfo:
    """An asset; ``decimals`` is what amounts may carry."""

    asset_id: int
    code: str
    name: str
    decimals: int


@dataclass(frozen=True, slots=True)
class MarketInfo:
    """
    A market with what callers need to check and print its numbers.

    ``price_decimals`` and ``quantity_decimals`` follow from tick and lot. Bounds of 0 are
    not enforced.
    """

    market_id: int
    symbol: str
    kind: MarketKind
    base: str
    quote: str
    base_asset_id: int
    quote_asset_id: int
    base_decimals: int
    quote_decimals: int
    tick_atoms: int
    lot_atoms: int
    quantity_min_atoms: int
    quantity_max_atoms: int
    price_min_atoms: int
    price_max_atoms: int
    notional_min_atoms: int
    price_band_e8: int
    market_band_e8: int
    price_decimals: int
    quantity_decimals: int
    status: MarketStatus
    safety: MarketSafety = NO_SAFETY
    status_cause: StatusCause = StatusCause.NONE
    status_until_ms: int = 0

    @property
    def index_symbol(self) -> str:
        """Name of the index that the market goes by: a perpetual has its pair's."""
        return self.symbol.removesuffix("-PERP")

    def price_text(self, atoms: int) -> str:
        """Return a price as text with the market's decimals."""
        return format_atoms(atoms, self.price_decimals)

    def quantity_text(self, atoms: int) -> str:
        """Return a base quantity as text with the market's decimals."""
        return format_atoms(atoms, self.quantity_decimals)


@dataclass(frozen=True, slots=True)
class BookLevels:
    """
    A market's published book, (price, quantity) in atoms, the best price first.

    ``index_atoms`` and ``last_atoms`` are 0 while unknown; ``seq`` is the number of the last
    command the book contains, ``time_ms`` when it was published.
    """

    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    index_atoms: int
    last_atoms: int
    seq: int
    time_ms: int


def decimals_of_step(step_atoms: int) -> int:
    """
    Return how many decimals a multiple of a step can have.

    Raises:
        ValueError: if the step is not positive.
    """
    if step_atoms < 1:
        raise ValueError(f"expected a positive step, was {step_atoms}")
    decimals = DECIMALS_MAX
    while decimals and step_atoms % 10 == 0:
        step_atoms //= 10
        decimals -= 1
    return decimals


def round_to_step(*, atoms: int, step_atoms: int) -> int:
    """Return atoms rounded to the nearest multiple of a step (half up), at least one step."""
    return max(step_atoms, (atoms + step_atoms // 2) // step_atoms * step_atoms)
