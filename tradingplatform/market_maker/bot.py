"""The market maker: keeps quotes in every market until it is told to stop."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog

from tradingclient import (
    RateLimitedError,
    RestClient,
    StatusUnknownError,
    TradingError,
    UnavailableError,
)
from tradingclient.calls import OrderFields
from tradingclient.models import BatchResult
from tradingplatform.market_maker.quotes import (
    ZERO,
    MarketRules,
    Quote,
    Style,
    around,
    changes,
    imbalance,
    mirrored,
    order_of,
    taker_order,
)

log = structlog.get_logger(__name__)

# Markets come and go by an operator's hand; balances drift slowly.
REFRESH_EVERY_TURNS = 30
BACKOFF_MAX_S = 10.0
TAKER_SLIPPAGE = Decimal("0.002")
# In live markets a demo trade comes about this often in each market.
TAKER_MEAN_S = 4.0

# A recorded book as it is played now, or None: symbol to bids, asks and the last trades.
Recorded = Callable[[str], Mapping[str, Any] | None]


@dataclass(slots=True)
class _Memory:
    """What the bot knows between turns."""

    rules: list[MarketRules] = field(default_factory=list)
    held: dict[str, Decimal] = field(default_factory=dict)
    first_held: dict[str, Decimal] = field(default_factory=dict)
    last_trade: dict[str, int] = field(default_factory=dict)
    reference: dict[str, Decimal] = field(default_factory=dict)


class MarketMaker:
    """
    Quotes around the index price, or mirrors the recorded book while a recording plays.

    An ordinary client of the public API. ``taker``, when given, is a second user who trades
    against the quotes so that charts move: the recorded trades, or small random ones.
    """

    def __init__(
        self,
        *,
        maker: RestClient,
        taker: RestClient | None,
        recorded: Recorded,
        style: Style,
        interval_s: float,
        chance: random.Random,
    ) -> None:
        """Open no connection yet."""
        self._maker = maker
        self._taker = taker
        self._recorded = recorded
        self._style = style
        self._interval_s = interval_s
        self._chance = chance
        self._memory = _Memory()
        self._turns = 0

    def run(self, stop: threading.Event) -> None:
        """Quote until ``stop`` is set, then cancel every quote."""
        backoff_s = 0.5
        while not stop.is_set():
            wait_s = self._interval_s
            try:
                self.turn()
                backoff_s = 0.5
            except (UnavailableError, RateLimitedError, StatusUnknownError) as error:
                # The next turn compares with the orders there are, so a lost answer needs no care.
                wait_s = max(backoff_s, error.retry_after or 0.0)
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                log.warning("waiting for the platform", reason=str(error), seconds=wait_s)
            except TradingError as error:
                wait_s = backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                log.warning("refused", code=error.code, status=error.status)
            stop.wait(wait_s)
        self._leave()

    def turn(self) -> None:
        """Bring the quotes of every market in line once."""
        if self._turns % REFRESH_EVERY_TURNS == 0:
            self._refresh()
        self._turns += 1
        orders = self._maker.open_orders()
        cancel: list[str] = []
        place: list[OrderFields] = []
        recordings = {rules.symbol: self._recorded(rules.symbol) for rules in self._memory.rules}
        for rules in self._memory.rules:
            own = [order for order in orders if order.symbol == rules.symbol]
            change = changes(own, self._wanted(rules, recordings[rules.symbol]))
            cancel += change.cancel
            place += [order_of(rules, quote) for quote in change.place]
        # First the new ones, so that the book is never empty; a quote of ours that stands in
        # the way expires by self-trade prevention.
        if place:
            self._report(self._maker.place_orders(place))
        if cancel:
            self._maker.cancel_orders(cancel)
        if self._taker is not None:
            self._take(self._taker, recordings)

    def _refresh(self) -> None:
        self._memory.rules = [
            MarketRules.of(market) for market in self._maker.markets() if market.status == "trading"
        ]
        for balance in self._maker.balances():
            if balance.wallet == "spot":
                self._memory.held[balance.currency] = balance.total
                self._memory.first_held.setdefault(balance.currency, balance.total)

    def _wanted(self, rules: MarketRules, recorded: Mapping[str, Any] | None) -> list[Quote]:
        """Return the quotes a market should show; none without a price."""
        if recorded is not None:
            quotes = mirrored(
                rules,
                bids=recorded["bids"],
                asks=recorded["asks"],
                levels=self._style.levels,
            )
            if quotes:
                self._memory.reference[rules.symbol] = quotes[0].price
            return quotes
        ticker = self._maker.ticker(rules.symbol)
        price = ticker.index_price
        if price is None or ticker.index_state == "halted":
            self._memory.reference.pop(rules.symbol, None)
            return []
        self._memory.reference[rules.symbol] = price
        leaning = ZERO
        if rules.kind == "spot":
            leaning = imbalance(
                held=self._memory.held.get(rules.base, ZERO),
                target=self._memory.first_held.get(rules.base, ZERO),
            )
        style = self._style
        if rules.quote not in {"USDT", "USD", "USDC"}:
            style = _in_quote(style, rules, self._memory.reference)
        return around(rules, style, price=price, leaning=leaning)

    def _take(self, taker: RestClient, recordings: Mapping[str, Mapping[str, Any] | None]) -> None:
        orders = []
        for rules in self._memory.rules:
            reference = self._memory.reference.get(rules.symbol)
            if reference is None:
                continue
            for side, quantity in self._taken(rules, recordings[rules.symbol], reference):
                order = taker_order(
                    rules,
                    side=side,
                    quantity=quantity,
                    reference=reference,
                    slippage=TAKER_SLIPPAGE,
                )
                if order is not None:
                    orders.append(order)
        if orders:
            self._report(taker.place_orders(orders))

    def _taken(
        self, rules: MarketRules, recorded: Mapping[str, Any] | None, reference: Decimal
    ) -> list[tuple[str, Decimal]]:
        """Return what the taker trades in this turn: sides and quantities."""
        if recorded is not None:
            last = self._memory.last_trade.get(rules.symbol, 0)
            sums: dict[str, Decimal] = {}
            for trade in recorded["trades"]:
                if trade["number"] > last:
                    sums[trade["side"]] = sums.get(trade["side"], ZERO) + Decimal(trade["quantity"])
                    self._memory.last_trade[rules.symbol] = trade["number"]
            return list(sums.items())
        if self._chance.random() > self._interval_s / TAKER_MEAN_S:
            return []
        side = self._chance.choice(("buy", "sell"))
        notional = self._style.notional * Decimal(str(round(self._chance.uniform(0.02, 0.6), 4)))
        notional = max(notional, rules.notional_min * 2)
        if rules.quote not in {"USDT", "USD", "USDC"}:
            notional = rules.notional_min * 20
        return [(side, notional / reference)]

    def _report(self, results: list[BatchResult]) -> None:
        """Log refusals by their code; one line for each code."""
        codes: dict[str, int] = {}
        for result in results:
            if result.error is not None:
                codes[result.error.code] = codes.get(result.error.code, 0) + 1
        for code, count in codes.items():
            log.info("orders refused", code=code, count=count)

    def _leave(self) -> None:
        try:
            self._maker.cancel_all()
            log.info("quotes cancelled")
        except TradingError as error:
            log.warning("quotes stay", reason=str(error))


def _in_quote(style: Style, rules: MarketRules, references: Mapping[str, Decimal]) -> Style:
    """Return the style with its size converted into a market's own quote currency."""
    rate = references.get(f"{rules.quote}-USDT")
    notional = style.notional / rate if rate else rules.notional_min * 20
    return Style(
        levels=style.levels,
        half_spread=style.half_spread,
        step=style.step,
        notional=notional,
        growth=style.growth,
        skew=style.skew,
    )
