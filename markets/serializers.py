"""Query parameters and the documented shapes of market answers."""

import re
from typing import Any

from rest_framework import serializers

from common.query import QuerySerializer
from common.ws.topics import BOOK_DEPTH_MAX, RECENT_TRADES_MAX
from markets.enums import INTERVAL_NAMES

DEPTH_DEFAULT = 100
TRADES_DEFAULT = 50
KLINES_DEFAULT = 500
KLINES_MAX = 1_000

_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}")


class WholeNumberField(serializers.IntegerField):
    """A plain ASCII number; Python's int also takes spaces, signs and other scripts' digits."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        if not isinstance(data, str) or _WHOLE.fullmatch(data) is None:
            self.fail("invalid")
        return int(data)


class DepthQuery(QuerySerializer):
    """Parameters of an order book."""

    depth = WholeNumberField(
        required=False,
        default=DEPTH_DEFAULT,
        min_value=1,
        max_value=BOOK_DEPTH_MAX,
        help_text=f"Levels of each side, at most {BOOK_DEPTH_MAX}.",
    )


class TradesQuery(QuerySerializer):
    """Parameters of recent trades."""

    limit = WholeNumberField(
        required=False,
        default=TRADES_DEFAULT,
        min_value=1,
        max_value=RECENT_TRADES_MAX,
        help_text=f"Trades, newest first, at most {RECENT_TRADES_MAX}.",
    )


class KlinesQuery(QuerySerializer):
    """Parameters of candles; times are opening times in milliseconds."""

    interval = serializers.ChoiceField(
        required=False, default="1m", choices=list(INTERVAL_NAMES), help_text="Length of a candle."
    )
    source = serializers.ChoiceField(  # type: ignore[assignment]
        required=False,
        default="trades",
        choices=["trades", "index", "mark"],
        help_text="What candles are made of: trades here, the index price, or a perpetual's mark.",
    )
    start = WholeNumberField(
        required=False, help_text="First opening time (ms); without it the latest candles."
    )
    end = WholeNumberField(required=False, help_text="Last opening time (ms); now by default.")
    limit = WholeNumberField(
        required=False,
        default=KLINES_DEFAULT,
        min_value=1,
        max_value=KLINES_MAX,
        help_text=f"Candles, at most {KLINES_MAX}.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a range that ends before it begins."""
        if "start" in attrs and "end" in attrs and attrs["start"] > attrs["end"]:
            raise serializers.ValidationError({"end": ["before start"]}, code="invalid")
        return attrs


class CircuitBreakerSerializer(serializers.Serializer):
    """When a market stops by itself, and its way back."""

    band = serializers.CharField(
        help_text="Largest distance of a trade from the price of a window ago, as a rate."
    )
    window_ms = serializers.IntegerField()
    halt_ms = serializers.IntegerField(help_text="First it is halted this long,")
    cancel_only_ms = serializers.IntegerField(help_text="then takes only cancels,")
    post_only_ms = serializers.IntegerField(help_text="then only post-only orders.")


class ContractSerializer(serializers.Serializer):
    """Terms of a perpetual market; rates as fractions, amounts in the quote currency."""

    funding_interval_ms = serializers.IntegerField()
    interest_rate = serializers.CharField(help_text="Per 8 hours.")
    funding_cap = serializers.CharField(help_text="Largest funding rate of an interval.")
    impact_notional = serializers.CharField(help_text="What impact prices are averaged over.")
    liquidation_fee = serializers.CharField(
        help_text="At most a quarter of the bracket's maintenance rate is taken."
    )
    max_leverage = serializers.IntegerField(help_text="Of the first bracket: GET /api/risk/tiers.")
    default_leverage = serializers.IntegerField()
    max_position_value = serializers.CharField(allow_null=True)
    max_open_interest_value = serializers.CharField(allow_null=True)
    insurance_group = serializers.CharField()
    settlement_price = serializers.CharField(allow_null=True)


class MarketSerializer(serializers.Serializer):
    """A market and its rules; prices and sizes are decimal strings."""

    id = serializers.CharField()
    symbol = serializers.CharField()
    kind = serializers.ChoiceField(choices=["spot", "perpetual"])
    base = serializers.CharField()
    quote = serializers.CharField()
    status = serializers.ChoiceField(
        choices=["trading", "post_only", "cancel_only", "halted", "settled"]
    )
    status_reason = serializers.ChoiceField(
        choices=["operator", "circuit_breaker", "no_price", "fault"],
        allow_null=True,
        help_text="Why it does not trade.",
    )
    status_until = serializers.IntegerField(
        allow_null=True, help_text="When the circuit breaker's phase ends (ms)."
    )
    tick_size = serializers.CharField(help_text="Prices are multiples of this.")
    lot_size = serializers.CharField(help_text="Quantities are multiples of this.")
    price_decimals = serializers.IntegerField()
    quantity_decimals = serializers.IntegerField()
    min_quantity = serializers.CharField()
    max_quantity = serializers.CharField(allow_null=True)
    min_price = serializers.CharField(allow_null=True)
    max_price = serializers.CharField(allow_null=True)
    min_notional = serializers.CharField(allow_null=True)
    price_band = serializers.CharField(
        allow_null=True, help_text="Largest distance of a limit price from the index, as a rate."
    )
    market_band = serializers.CharField(
        allow_null=True, help_text="Where a market order stops, as a rate from the index."
    )
    circuit_breaker = CircuitBreakerSerializer(allow_null=True)
    trigger_protect = serializers.CharField(
        allow_null=True,
        help_text="How far last and mark price may part for price-protected orders to fire.",
    )
    contract = ContractSerializer(allow_null=True, help_text="Of perpetual markets.")


class MarketListSerializer(serializers.Serializer):
    """All markets."""

    items = MarketSerializer(many=True)


class TickerSerializer(serializers.Serializer):
    """Figures of the last 24 hours and the state of the index price."""

    symbol = serializers.CharField()
    epoch = serializers.IntegerField()
    seq = serializers.IntegerField()
    time = serializers.IntegerField()
    last = serializers.CharField(allow_null=True)
    open = serializers.CharField(allow_null=True)
    high = serializers.CharField(allow_null=True)
    low = serializers.CharField(allow_null=True)
    volume = serializers.CharField()
    quote_volume = serializers.CharField()
    change = serializers.CharField(allow_null=True)
    change_percent = serializers.CharField(allow_null=True)
    trade_count = serializers.IntegerField()
    bid = serializers.CharField(allow_null=True)
    ask = serializers.CharField(allow_null=True)
    index_price = serializers.CharField(allow_null=True)
    index_state = serializers.ChoiceField(
        choices=["live", "replay", "degraded", "halted"],
        help_text="replay: recorded prices; degraded: one source; halted: none.",
    )
    index_source = serializers.ChoiceField(choices=["live", "replay"], allow_null=True)
    index_time = serializers.IntegerField(allow_null=True)
    mark_price = serializers.CharField(
        required=False, allow_null=True, help_text="This and what follows: of perpetuals alone."
    )
    open_interest = serializers.CharField(
        required=False, allow_null=True, help_text="All long positions together, in base units."
    )
    open_interest_value = serializers.CharField(
        required=False, allow_null=True, help_text="The same at the mark price."
    )
    funding_rate = serializers.CharField(
        required=False, allow_null=True, help_text="The last rate; positive: longs paid."
    )
    predicted_rate = serializers.CharField(
        required=False, allow_null=True, help_text="What the running interval's rate would be now."
    )
    next_funding_time = serializers.IntegerField(required=False, allow_null=True)
    stale = serializers.BooleanField(required=False, help_text="The exchange is not running.")
    as_of = serializers.IntegerField(required=False, help_text="When the figures were current.")


class OrderBookSerializer(serializers.Serializer):
    """Price levels, best first, as [price, quantity]."""

    symbol = serializers.CharField()
    epoch = serializers.IntegerField()
    seq = serializers.IntegerField(help_text="Number of the last command it contains.")
    time = serializers.IntegerField()
    bids = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    asks = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    stale = serializers.BooleanField(required=False)
    as_of = serializers.IntegerField(required=False)


class TradeSerializer(serializers.Serializer):
    """One trade; ``side`` is the taker's."""

    id = serializers.CharField()
    price = serializers.CharField()
    quantity = serializers.CharField()
    side = serializers.ChoiceField(choices=["buy", "sell"])
    time = serializers.IntegerField()


class TradeListSerializer(serializers.Serializer):
    """Recent trades, newest first."""

    symbol = serializers.CharField()
    epoch = serializers.IntegerField()
    seq = serializers.IntegerField()
    time = serializers.IntegerField()
    trades = TradeSerializer(many=True)
    stale = serializers.BooleanField(required=False)
    as_of = serializers.IntegerField(required=False)


class KlineSerializer(serializers.Serializer):
    """One candle; ``close_time`` is when the next one opens."""

    open_time = serializers.IntegerField()
    close_time = serializers.IntegerField()
    open = serializers.CharField()
    high = serializers.CharField()
    low = serializers.CharField()
    close = serializers.CharField()
    volume = serializers.CharField()
    quote_volume = serializers.CharField()
    trade_count = serializers.IntegerField()
    closed = serializers.BooleanField()
    recorded = serializers.BooleanField(help_text="Shipped history that nobody traded here.")


class KlineListSerializer(serializers.Serializer):
    """Candles without holes, oldest first."""

    symbol = serializers.CharField()
    interval = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    klines = KlineSerializer(many=True)
    stale = serializers.BooleanField(required=False, help_text="The exchange is not running.")
    as_of = serializers.IntegerField(required=False, help_text="When it was last alive.")


class TimeSerializer(serializers.Serializer):
    """The server's clock."""

    time = serializers.IntegerField(help_text="Milliseconds UTC.")


class AssetSerializer(serializers.Serializer):
    """An asset."""

    code = serializers.CharField()
    name = serializers.CharField()
    decimals = serializers.IntegerField()


class FeedSerializer(serializers.Serializer):
    """Where index prices come from."""

    mode = serializers.ChoiceField(choices=["live", "replay"], allow_null=True)
    note = serializers.CharField(allow_blank=True)


class ExchangeInfoSerializer(serializers.Serializer):
    """What a client needs to know before it trades."""

    time = serializers.IntegerField()
    feed = FeedSerializer()
    intervals = serializers.ListField(child=serializers.CharField())
    assets = AssetSerializer(many=True)
    markets = MarketSerializer(many=True)
