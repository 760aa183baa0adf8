"""The shipped recordings as a feed: index prices of one source named ``replay``, and depth."""

from fractions import Fraction

import msgspec
from django.conf import settings

from exchange.core.units import format_atoms
from markets.enums import PriceState, SourceStatus
from markets.feeds.engine import IndexView, SourceView
from markets.feeds.mode import FeedModeError, replay_directory
from markets.feeds.replay import Recording, RecordingError, Replay, recording_load
from markets.seed import MARKETS

REPLAY_SOURCE = "replay"
RECORDED_SYMBOLS = ("BTC-USDT", "ETH-USDT")
CROSSES = {"ETH-BTC": ("ETH-USDT", "BTC-USDT")}
REPLAY_NOTE = (
    "Recorded Binance spot prices of 8 August 2024, played in a loop whose seam is scaled away:"
    " not live prices."
)


def recordings_load() -> list[Recording]:
    """
    Read the shipped recordings.

    Raises:
        FeedModeError: if one is missing or damaged.
    """
    try:
        return [
            recording_load(replay_directory() / f"{symbol}.jsonl.gz") for symbol in RECORDED_SYMBOLS
        ]
    except RecordingError as error:
        raise FeedModeError(f"cannot replay prices: {error}; restore data/replay") from error


def replay_from_settings(started_ms: int) -> Replay:
    """
    Return the shipped recordings, played since a time at ``REPLAY_SPEED``.

    Raises:
        FeedModeError: if a recording cannot be used.
    """
    return Replay(
        recordings_load(),
        started_ms=started_ms,
        speed=Fraction(settings.REPLAY_SPEED_E8, 10**8),
        ticks_atoms={market.symbol: market.tick_atoms for market in MARKETS},
        crosses=CROSSES,
    )


class ReplayFeed:
    """The replay in the form the feeding loop needs."""

    def __init__(self, replay: Replay) -> None:
        """Play this."""
        self.replay = replay

    def views(self, now_ms: int) -> list[IndexView]:
        """Return every recorded market's price now."""
        return [
            IndexView(
                symbol=symbol,
                price_atoms=price,
                state=PriceState.REPLAY,
                sources=(
                    SourceView(
                        source=REPLAY_SOURCE,
                        status=SourceStatus.OK,
                        reason="",
                        price_atoms=price,
                        age_ms=0,
                        divergence_e8=0,
                    ),
                ),
            )
            for symbol in self.replay.symbols
            for price in (self.replay.price_atoms(symbol, now_ms),)
        ]

    def depth_json(self, symbol: str, now_ms: int, *, trades_ms: int = 1_000) -> bytes:
        """Return depth and the trades of the last ``trades_ms`` as ``replay_depth_key`` holds."""
        depth = self.replay.depth(symbol, now_ms)
        return msgspec.json.encode(
            {
                "symbol": symbol,
                "time": now_ms,
                "bids": [[format_atoms(p, 0), format_atoms(q, 0)] for p, q in depth.bids],
                "asks": [[format_atoms(p, 0), format_atoms(q, 0)] for p, q in depth.asks],
                "trades": [
                    {
                        "number": trade.number,
                        "price": format_atoms(trade.price_atoms, 0),
                        "quantity": format_atoms(trade.quantity_atoms, 0),
                        "side": trade.taker_side.name.lower(),
                    }
                    for trade in self.replay.trades(
                        symbol, after_ms=now_ms - trades_ms, now_ms=now_ms
                    )
                ],
            }
        )
