"""
Shipped minute bars as a chart's past, for an installation that replays prices.

The bars are real but of another time: they are moved so that they end where this
installation began, and scaled so that their last close is the first replayed price. Every
bar is marked ``recorded``. They were made of trades, so they are the past of the trades'
chart; the index's chart begins with the installation. Bars follow each other without holes:
the sources miss a few minutes, and between two files the later one decides the price.
"""

import csv
import io
import zipfile
from decimal import Decimal
from pathlib import Path

from exchange.core.units import ATOMS
from markets.candle_store import has_candles, recorded_minutes_store
from markets.candles import MINUTE_MS, Bar
from markets.enums import CandleSource
from markets.feeds.mode import ChosenFeed, history_directory
from markets.feeds.recorded import CROSSES, replay_from_settings
from markets.feeds.replay import Replay
from markets.seed import MARKETS
from markets.types import round_to_step

# Oldest first.
HISTORY_FILES = {
    "BTC-USDT": (
        "crypto_coinbase_btcusd_20180404_trade.zip",
        "crypto_coinbase_btcusd_20180405_trade.zip",
    ),
    "ETH-USDT": (
        "crypto_coinbase_ethusd_20180404_trade.zip",
        "crypto_coinbase_ethusd_20180405_trade.zip",
    ),
}


def history_fill(chosen: ChosenFeed) -> list[str]:
    """
    Give replayed markets without candles of trades their past; return which got one.

    Raises:
        markets.feeds.mode.FeedModeError: if a recording cannot be used.
        OSError: if a file of bars is missing.
    """
    identities = {market.symbol: market.market_id for market in MARKETS}
    empty = [
        symbol
        for symbol in (*HISTORY_FILES, *CROSSES)
        if not has_candles(identities[symbol], CandleSource.TRADES)
    ]
    if not empty:
        return []
    replay = replay_from_settings(chosen.chosen_ms)
    histories = {symbol: _fitted(symbol, chosen, replay) for symbol in HISTORY_FILES}
    for symbol, (base, quote) in CROSSES.items():
        histories[symbol] = cross_bars(
            histories[base], histories[quote], tick_atoms=_tick_atoms(symbol)
        )
    for symbol in empty:
        recorded_minutes_store(identities[symbol], CandleSource.TRADES, histories[symbol])
    return empty


def read_bars(path: Path) -> list[Bar]:
    """
    Return the bars of one Lean file: ms of day, open, high, low, close, volume.

    Times are left at the milliseconds of their day. Quote volume is volume x close, which
    is as much as minute bars tell.
    """
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode("ascii")
    bars: list[Bar] = []
    for time_ms, opened, high, low, close, volume in csv.reader(io.StringIO(text)):
        volume_atoms = _atoms(volume)
        bars.append(
            Bar(
                open_ms=int(time_ms),
                open_atoms=_atoms(opened),
                high_atoms=_atoms(high),
                low_atoms=_atoms(low),
                close_atoms=_atoms(close),
                volume_atoms=volume_atoms,
                quote_atoms=volume_atoms * _atoms(close) // ATOMS,
                recorded=True,
            )
        )
    return bars


def fit(files: list[list[Bar]], *, end_ms: int, last_atoms: int, tick_atoms: int) -> list[Bar]:
    """
    Return the bars of several files as one past that ends at a time and at a price.

    The last bar ends at the minute of ``end_ms`` and closes at ``last_atoms``; each earlier
    file is scaled to close where the next one opens. Prices are rounded to the tick.
    """
    fitted: list[Bar] = []
    open_ms = end_ms - end_ms % MINUTE_MS
    target = last_atoms
    for bars in reversed(files):
        reference = bars[-1].close_atoms
        for bar in reversed(bars):
            open_ms -= MINUTE_MS
            fitted.append(_scaled(bar, open_ms, target, reference, tick_atoms))
        target = fitted[-1].open_atoms
    fitted.reverse()
    return fitted


def cross_bars(base: list[Bar], quote: list[Bar], *, tick_atoms: int) -> list[Bar]:
    """
    Return the quotient of two pasts, from the times that both have.

    Open and close are quotients; what happened between them is not known, so high and low
    are the higher and the lower of the two.
    """
    quotes = {bar.open_ms: bar for bar in quote}
    bars: list[Bar] = []
    for bar in base:
        other = quotes.get(bar.open_ms)
        if other is None:
            continue
        opened, close = (
            round_to_step(atoms=price * ATOMS // against, step_atoms=tick_atoms)
            for price, against in (
                (bar.open_atoms, other.open_atoms),
                (bar.close_atoms, other.close_atoms),
            )
        )
        bars.append(
            Bar(
                open_ms=bar.open_ms,
                open_atoms=opened,
                high_atoms=max(opened, close),
                low_atoms=min(opened, close),
                close_atoms=close,
                recorded=True,
            )
        )
    return bars


def _fitted(symbol: str, chosen: ChosenFeed, replay: Replay) -> list[Bar]:
    files = [read_bars(history_directory() / name) for name in HISTORY_FILES[symbol]]
    return fit(
        files,
        end_ms=chosen.chosen_ms,
        last_atoms=replay.price_atoms(symbol, chosen.chosen_ms),
        tick_atoms=_tick_atoms(symbol),
    )


def _tick_atoms(symbol: str) -> int:
    return next(market.tick_atoms for market in MARKETS if market.symbol == symbol)


def _scaled(bar: Bar, open_ms: int, target: int, reference: int, tick_atoms: int) -> Bar:
    def price(atoms: int) -> int:
        return round_to_step(atoms=atoms * target // reference, step_atoms=tick_atoms)

    return Bar(
        open_ms=open_ms,
        open_atoms=price(bar.open_atoms),
        high_atoms=price(bar.high_atoms),
        low_atoms=price(bar.low_atoms),
        close_atoms=price(bar.close_atoms),
        volume_atoms=bar.volume_atoms,
        quote_atoms=bar.volume_atoms * price(bar.close_atoms) // ATOMS,
        trade_count=0,
        recorded=True,
    )


def _atoms(text: str) -> int:
    return int(Decimal(text) * ATOMS)
