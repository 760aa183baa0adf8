"""
What an order would do, found by placing it on a scratch exchange.

The scratch exchange is the real engine over the published book (one order per level), the
account's committed balances, fees and own orders of the market. Nothing is submitted, so the
answer is as old as the book it names and knows no icebergs' reserves of others.
"""

from __future__ import annotations

import time

from django.conf import settings
from django.utils.module_loading import import_string
from msgspec import structs

from accounts.selectors import account_by_id, fee_tier_by_number
from common.errors import raise_for_code
from exchange.core.commands import VERSION, Envelope, PlaceOrder
from exchange.core.engine import Exchange
from exchange.core.enums import (
    AccountStatus,
    Lane,
    MarketKind,
    OrderStatus,
    SelfTradeMode,
    Side,
    WalletKind,
)
from exchange.core.events import (
    AccountConfigured,
    AssetConfigured,
    FeeTierConfigured,
    IndexPriceChanged,
    MarketConfigured,
    OrderChanged,
    TradeExecuted,
)
from exchange.core.ledger import hold_of
from exchange.core.matching import STEPS_MAX
from exchange.core.memory import PRIORITY_SHIFT
from exchange.core.rejects import Code
from exchange.core.state import Image, Order, Sequences, Wallet
from markets.live_bytes import book_levels
from markets.selectors import asset_by_id, market_by_id
from markets.types import BookLevels, MarketInfo
from orders.own_orders import own_orders
from orders.types import MarginPreview, OrderPreview
from wallets.selectors import balances_of

# Who everybody else is on the scratch exchange; made ids are far above.
_OTHERS_ID = 3

# A taker meets no more levels than it may meet makers; far fewer than are published.
LEVELS_MAX = STEPS_MAX + 1

_MARKET_FIELDS = MarketConfigured.__struct_fields__
_IN_BOOK = (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED)


def order_preview(*, command: PlaceOrder, now_ms: int | None = None) -> OrderPreview:
    """
    Return what placing the order would do now; its client id plays no part.

    Orders of the account at a price are taken to stand behind the others there.

    Raises:
        ApiError: ``MARKET_DATA_UNAVAILABLE`` (503) while no book is published,
            ``ACCOUNT_NOT_FOUND`` (422) before the account is opened on the exchange.
    """
    now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    market = market_by_id(command.market_id)
    levels = book_levels(market)
    image = _image(command, market, levels, now_ms)
    perpetual = market.kind is MarketKind.PERPETUAL
    if perpetual:
        import_string(settings.PREVIEW_IMAGE)(
            image, account_id=command.account_id, others_id=_OTHERS_ID, market_id=market.market_id
        )
    exchange = Exchange.load(image)
    before = _margin(exchange, command) if perpetual else None
    number = exchange.sequences.command + 1
    anonymous = structs.replace(command, client_order_id="", request_hash=0)
    outcome = exchange.apply(Envelope(VERSION, number, now_ms, "", Lane.ORDERS, anonymous))
    order: OrderChanged | None = None
    worst_atoms = 0
    for event in outcome.events:
        if isinstance(event, OrderChanged) and event.order_id == outcome.reference_id:
            order = event
        elif isinstance(event, TradeExecuted):
            worst_atoms = event.price_atoms
    return OrderPreview(
        order=order if outcome.code is Code.OK else None,
        refusal=outcome.code,
        worst_price_atoms=worst_atoms,
        book_seq=levels.seq,
        book_time_ms=levels.time_ms,
        margin_before=before,
        margin=_margin(exchange, command) if perpetual and outcome.code is Code.OK else None,
    )


def _margin(exchange: Exchange, command: PlaceOrder) -> MarginPreview:
    """Return how the account stands now, as the app that knows positions computes it."""
    found: MarginPreview = import_string(settings.PREVIEW_MARGIN)(
        exchange.image(), account_id=command.account_id, market_id=command.market_id
    )
    return found


def _image(command: PlaceOrder, market: MarketInfo, levels: BookLevels, now_ms: int) -> Image:
    """Return the state in which the order is placed."""
    account = account_by_id(command.account_id)
    tier = fee_tier_by_number(account.fee_tier) if account else None
    if account is None or tier is None:
        raise_for_code(Code.ACCOUNT_NOT_FOUND)
    own = own_orders(command.account_id, [command.market_id])
    others = _others(command, market, levels, own)
    configured = AccountConfigured(
        account_id=command.account_id,
        status=AccountStatus(account.status),
        fee_tier=account.fee_tier,
        open_orders_max=account.open_orders_max,
        self_trade_mode=SelfTradeMode(account.self_trade_mode),
    )
    everybody_else = AccountConfigured(
        _OTHERS_ID, AccountStatus.ACTIVE, account.fee_tier, 1, SelfTradeMode.EXPIRE_TAKER
    )
    assets = [asset_by_id(number) for number in (market.base_asset_id, market.quote_asset_id)]
    index = IndexPriceChanged(market.market_id, levels.index_atoms, now_ms)
    last_id = max((order.order_id for order in own + others), default=0)
    wallets = _wallets(command.account_id, market, own) + _holding(_OTHERS_ID, market, others, {})
    for number, wallet in enumerate(wallets, start=1):
        wallet.wallet_id = number
    return Image(
        sequences=Sequences(
            command=max(levels.seq, *(order.priority >> PRIORITY_SHIFT for order in own), 0),
            order=last_id,
            wallet=len(wallets),
        ),
        assets=[
            AssetConfigured(asset.asset_id, asset.code, asset.name, asset.decimals)
            for asset in assets
        ],
        markets=[
            MarketConfigured(
                *(getattr(market, name) for name in MarketConfigured.__struct_fields__)
            )
        ],
        fee_tiers=[FeeTierConfigured(account.fee_tier, tier.maker_rate_e8, tier.taker_rate_e8)],
        accounts=[everybody_else, configured],
        wallets=wallets,
        orders=own + others,
        index_prices=[index] if levels.index_atoms else [],
        last_prices={market.market_id: levels.last_atoms} if levels.last_atoms else {},
        time_ms=now_ms,
    )


def _others(
    command: PlaceOrder, market: MarketInfo, levels: BookLevels, own: list[Order]
) -> list[Order]:
    """Return what everybody else offers: per level, what is not the account's own."""
    side = Side.SELL if command.side is Side.BUY else Side.BUY
    mine: dict[int, int] = {}
    for order in own:
        if order.side is side and order.status in _IN_BOOK:
            price = order.price_atoms
            mine[price] = mine.get(price, 0) + order.remaining_atoms
    first_id = max((order.order_id for order in own), default=0) + 1
    offered = levels.asks if side is Side.SELL else levels.bids
    orders = []
    for number, (price, quantity) in enumerate(offered[:LEVELS_MAX]):
        left = quantity - mine.get(price, 0)
        if left > 0:
            orders.append(
                Order(
                    order_id=first_id + number,
                    account_id=_OTHERS_ID,
                    market_id=market.market_id,
                    side=side,
                    price_atoms=price,
                    quantity_atoms=left,
                    remaining_atoms=left,
                    # Before all that was placed by a real command.
                    priority=number + 1,
                )
            )
    return orders


def _wallets(account_id: int, market: MarketInfo, own: list[Order]) -> list[Wallet]:
    """Return the account's wallets with what is available, and what its orders here hold."""
    available = {
        balance.asset_id: balance.total_atoms - balance.held_atoms
        for balance in balances_of(account_id)
        if balance.wallet is WalletKind.SPOT
    }
    return _holding(account_id, market, own, available)


def _holding(
    account_id: int, market: MarketInfo, orders: list[Order], available: dict[int, int]
) -> list[Wallet]:
    """Return wallets that hold exactly what the orders need, beside what is available."""
    held = {market.base_asset_id: 0, market.quote_asset_id: 0}
    for order in orders:
        is_buy = order.side is Side.BUY
        held[market.quote_asset_id if is_buy else market.base_asset_id] += hold_of(order)
    return [
        Wallet(
            account_id=account_id,
            kind=WalletKind.SPOT,
            asset_id=asset_id,
            total_atoms=held_atoms + available.get(asset_id, 0),
            held_atoms=held_atoms,
        )
        for asset_id, held_atoms in held.items()
    ]
