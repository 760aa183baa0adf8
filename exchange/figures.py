"""
What the writer does, for the metrics page.

Counted with plain integers, since it is touched for every command, and turned into samples
when somebody collects. No label carries an account or an order. Every series exists from the
start, so that an alert sees a first incident as a rise from nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import REGISTRY, Collector

from exchange.batch import OpenBatch
from exchange.core.enums import MarketStatus, PriceQuality, TradeKind
from exchange.core.events import DeleveragingNeeded, LiquidationStepped, TradeExecuted
from exchange.core.rejects import Code
from exchange.core.summary import Summary
from exchange.core.units import ATOMS
from exchange.wire import StatusMessage, now_ms

BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
ACKNOWLEDGE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# The first digits of a command's id are the milliseconds at which its gateway made it.
_MILLISECOND_DIGITS = 12
# A clock that is off by more says nothing about waiting.
AGE_MAX_MS = 60_000
PHASES = ("loading", "trading", "cancel_only", "post_only", "stalled", "standby")


class Distribution:
    """A histogram of plain integers."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Begin with nothing below each bound."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def family(self, name: str, documentation: str) -> HistogramMetricFamily:
        """Return it as Prometheus reads it: cumulative."""
        buckets, reached = [], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            reached += count
            buckets.append((bound, float(reached)))
        family = HistogramMetricFamily(name, documentation)
        family.add_metric([], buckets, self.total)
        return family


class ExchangeFigures(Collector):
    """Figures of one process of the exchange, leader or standby."""

    def __init__(self) -> None:
        """Begin at nothing, standing by."""
        self.batches = Distribution(BATCH_SIZES)
        self.commits = Distribution(COMMIT_SECONDS)
        self.acknowledged = Distribution(ACKNOWLEDGE_SECONDS)
        self.rows = 0
        self.failed_commits = 0
        # By type and result of a command.
        self.commands: Counter[tuple[str, Code]] = Counter({("PlaceOrder", Code.OK): 0})
        self.trades = 0
        self.liquidations: Counter[TradeKind] = Counter()
        self.deleveraging_needed = 0
        self.status: StatusMessage | None = None
        self.summary: Summary | None = None

    def committed(self, batch: OpenBatch, *, rows: int, commit_s: float) -> None:
        """Count what one commit made durable."""
        self.batches.observe(len(batch.envelopes))
        self.commits.observe(commit_s)
        self.rows += rows
        self.commands.update(
            (type(envelope.command).__name__, result.code)
            for envelope, result in zip(batch.envelopes, batch.results, strict=True)
        )
        self.commands.update(("refused", unapplied.code) for unapplied in batch.unapplied)
        kinds = Counter(map(type, batch.events))
        self.trades += kinds[TradeExecuted]
        self.deleveraging_needed += kinds[DeleveragingNeeded]
        if kinds[LiquidationStepped]:
            self.liquidations.update(
                event.kind for event in batch.events if isinstance(event, LiquidationStepped)
            )

    def answered(self, command_ids: Iterable[str]) -> None:
        """Count how long commands took from their gateway to the answer's sending."""
        now = now_ms()
        for command_id in command_ids:
            try:
                age_ms = now - int(command_id[:_MILLISECOND_DIGITS], 16)
            except ValueError:
                continue  # An id of somebody else's making.
            if 0 <= age_ms <= AGE_MAX_MS:
                self.acknowledged.observe(age_ms / 1_000)

    def beat(self, status: StatusMessage, summary: Summary) -> None:
        """Keep what the leader says of itself."""
        self.status = status
        self.summary = summary

    def collect(self) -> Iterator[Metric]:
        """Return the present figures."""
        yield self.batches.family("exchange_batch_commands", "Commands of a committed batch.")
        yield self.commits.family("exchange_commit_seconds", "How long commits took.")
        yield self.acknowledged.family(
            "exchange_acknowledge_seconds", "From a command's sending to its answer's."
        )
        commands = CounterMetricFamily(
            "exchange_commands", "Commands by type and result.", labels=["type", "result"]
        )
        for (name, code), count in tuple(self.commands.items()):
            commands.add_metric([name, Code(code).name], count)
        yield commands
        liquidations = CounterMetricFamily(
            "exchange_liquidations", "Steps of the liquidation ladder.", labels=["kind"]
        )
        for kind in TradeKind:
            liquidations.add_metric([kind.name.lower()], self.liquidations[kind])
        yield liquidations
        for total, documentation, value in (
            ("exchange_rows", "Rows written by commits.", self.rows),
            ("exchange_trades", "Trades.", self.trades),
            ("exchange_failed_commits", "Commits that failed.", self.failed_commits),
            (
                "exchange_deleveraging_needed",
                "Bankrupt positions that no fund could carry.",
                self.deleveraging_needed,
            ),
        ):
            counter = CounterMetricFamily(total, documentation)
            counter.add_metric([], value)
            yield counter
        yield from self._of_leader()
        if self.summary is not None:
            yield from _of_state(self.summary)

    def _of_leader(self) -> Iterator[Metric]:
        status = self.status
        leads = status is not None and status.leader
        yield _gauge("exchange_leader", "Whether this process leads.", float(leads))
        phases = GaugeMetricFamily("exchange_phase", "What the exchange takes.", labels=["phase"])
        current = status.phase if status is not None else "standby"
        for phase in PHASES:
            phases.add_metric([phase], float(phase == current))
        yield phases
        if status is None:
            return
        for name, documentation, value in (
            ("exchange_epoch", "Number of the leadership.", status.epoch),
            ("exchange_stream_epoch", "Number of Redis' lanes.", status.stream_epoch),
            ("exchange_command_number", "Number of the last command.", status.command_number),
            ("exchange_client_ids_waiting", "Unmerged client ids.", status.client_ids_waiting),
            (
                "exchange_heartbeat_timestamp_seconds",
                "When the leader last said that it lives.",
                status.heartbeat_ms / 1_000,
            ),
        ):
            yield _gauge(name, documentation, float(value))
        lag = GaugeMetricFamily("exchange_lag_commands", "Commands waiting.", labels=["lane"])
        lag.add_metric(["orders"], status.orders_lag)
        lag.add_metric(["system"], status.system_lag)
        yield lag


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)


def _of_state(summary: Summary) -> Iterator[Metric]:
    yield _gauge("exchange_open_orders", "Open orders.", summary.open_orders)
    yield _gauge("exchange_positions", "Open positions.", summary.positions)
    yield _gauge("exchange_tasks", "Internal work under way.", summary.tasks)
    yield _gauge(
        "exchange_waiting_for_counterparties",
        "Bankrupt positions that wait to be deleveraged.",
        summary.waiting_for_counterparties,
    )
    halted = GaugeMetricFamily(
        "exchange_market_halted", "Whether a market is halted.", labels=["market"]
    )
    interest = GaugeMetricFamily(
        "exchange_open_interest", "Open interest in base units.", labels=["market"]
    )
    age = GaugeMetricFamily(
        "exchange_mark_age_seconds", "Age of the mark price.", labels=["market"]
    )
    quality = GaugeMetricFamily(
        "exchange_price_quality", "Whether prices are of a quality.", labels=["market", "quality"]
    )
    drift = GaugeMetricFamily(
        "exchange_position_drift_atoms",
        "By how much positions and their clearing account miss zero.",
        labels=["market"],
    )
    now = now_ms()
    for market in summary.markets:
        halted.add_metric([market.symbol], float(market.status is MarketStatus.HALTED))
        if market.quality is None:
            continue
        interest.add_metric([market.symbol], market.open_interest_atoms / ATOMS)
        drift.add_metric([market.symbol], market.drift_atoms)
        if market.mark_ms:
            age.add_metric([market.symbol], max(0, now - market.mark_ms) / 1_000)
        for kind in PriceQuality:
            quality.add_metric([market.symbol, kind.name.lower()], float(market.quality is kind))
    funds = GaugeMetricFamily(
        "exchange_insurance_fund", "Insurance funds in units.", labels=["group", "asset_id"]
    )
    for (group_id, asset_id), atoms in summary.insurance_atoms.items():
        funds.add_metric([str(group_id), str(asset_id)], atoms / ATOMS)
    yield from (halted, interest, age, quality, drift, funds)


FIGURES = ExchangeFigures()


def show() -> None:
    """Let this process publish them; once, in a process of the exchange."""
    REGISTRY.register(FIGURES)
