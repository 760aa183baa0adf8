"""Channel names: every accepted spelling and every refusal."""

import pytest

from common.ws import topics

MARKETS = {"BTC-USDT": 1, "BTC/USDT": 1, "BTCUSDT": 1, "BTC/USDT:USDT": 2}


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("price:BTC/USDT", "price:1"),
        ("ticker:BTC-USDT", "ticker:1"),
        ("trade:BTCUSDT", "trade:1"),
        ("trades:BTCUSDT", "trade:1"),
        ("book:BTC/USDT:USDT", "book:2"),
        ("book:BTC-USDT:1000", "book:1"),
        ("orderbook:BTC-USDT:100", "book:1:100"),
        ("book:BTC/USDT:USDT:20", "book:2:20"),
        ("statistics:BTC-USDT", "ticker:1"),
        ("stats:BTC-USDT", "ticker:1"),
        ("kline:BTC/USDT:1m", "kline:1:1m"),
        ("kline:BTC/USDT:USDT:4h", "kline:2:4h"),
        ("mark:BTC/USDT:USDT", "mark:2"),
        ("mark_price:BTC/USDT:USDT", "mark:2"),
        ("funding:BTC/USDT:USDT", "funding:2"),
        ("liquidations:BTC/USDT:USDT", "liquidations:2"),
        ("liquidation:BTC/USDT:USDT", "liquidations:2"),
    ],
)
def test_resolves_public_spellings_to_one_topic(text: str, topic: str) -> None:
    channel = topics.parse_channel(text, MARKETS.__getitem__)

    assert channel.topic == topic
    assert channel.text == text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("orders", "orders"),
        ("wallet", "balances"),
        ("order:update", "orders"),
        ("fill:update", "fills"),
        ("balance:update", "balances"),
        ("wallet:update", "balances"),
    ],
)
def test_resolves_private_channels(text: str, kind: str) -> None:
    channel = topics.parse_channel(text, MARKETS.__getitem__)

    assert (channel.kind, channel.market_id) == (kind, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "book",
        "book:",
        "nothing:BTC-USDT",
        "kline:BTC-USDT",
        "kline:BTC-USDT:2m",
        "kline::1m",
        "orders:1",
        "orders:update",
        "order",
        "book::20",
        "ticker:",
        "BOOK:BTC-USDT",
    ],
)
def test_refuses_what_names_no_channel(text: str) -> None:
    with pytest.raises(topics.UnknownChannelError):
        topics.parse_channel(text, MARKETS.__getitem__)


def test_lets_an_unknown_symbol_through_as_lookup_error() -> None:
    for text in ("book:NO-SUCH", "book:BTC-USDT:50", "ticker:BTC-USDT:20"):
        with pytest.raises(LookupError):
            topics.parse_channel(text, MARKETS.__getitem__)
