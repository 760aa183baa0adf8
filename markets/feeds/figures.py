"""What the feeding process shows on the metrics page: ages, divergences and states."""

from collections.abc import Sequence

from prometheus_client import Gauge

from exchange.core.units import RATE_ONE
from markets.enums import PriceState, SourceStatus
from markets.feeds.engine import IndexView

LAST_TURN = Gauge("feed_last_turn_timestamp_seconds", "When prices were last fed.")
STATE = Gauge("feed_index_state", "Whether an index is in a state.", ["symbol", "state"])
SOURCE_UP = Gauge("feed_source_up", "Whether a source's price counts.", ["symbol", "source"])
AGE = Gauge("feed_source_age_seconds", "Age of a source's price.", ["symbol", "source"])
DIVERGENCE = Gauge(
    "feed_source_divergence_ratio", "Distance of a source from the index.", ["symbol", "source"]
)
# A source that never answered has no age; this says that it is old.
NEVER_S = 86_400.0


def show(views: Sequence[IndexView], *, now_ms: int) -> None:
    """Set every figure to what was just fed."""
    LAST_TURN.set(now_ms / 1_000)
    for view in views:
        for state in PriceState:
            STATE.labels(view.symbol, state.value).set(view.state is state)
        for source in view.sources:
            labels = (view.symbol, source.source)
            SOURCE_UP.labels(*labels).set(source.status is SourceStatus.OK)
            AGE.labels(*labels).set(NEVER_S if source.age_ms is None else source.age_ms / 1_000)
            if source.divergence_e8 is not None:
                DIVERGENCE.labels(*labels).set(source.divergence_e8 / RATE_ONE)
