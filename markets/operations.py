"""What operators do to markets."""

from __future__ import annotations

from functools import partial

from accounts.operations import Call, Done, Operation, Target, TargetKind
from accounts.operators import operator_submit
from accounts.permissions import Permission
from common import redis as redis_clients
from common.errors import raise_for_code
from common.openapi import TEXT, names
from exchange.core.commands import SetMarketStatus
from exchange.core.enums import MarketStatus
from exchange.core.rejects import Code
from markets import selectors
from markets.feeds import keys
from markets.types import MarketInfo

_STATUS_NAMES = {status: status.name.lower() for status in MarketStatus}


def market_target(key: str) -> Target:
    """
    Return the market with a symbol, in any accepted spelling.

    Raises:
        ApiError: ``MARKET_NOT_FOUND`` (404).
    """
    # An operator must not decide on what the market was a second ago.
    selectors.cache_clear()
    try:
        market = selectors.market_by_symbol(key)
    except selectors.MarketNotFound:
        raise_for_code(Code.MARKET_NOT_FOUND)
    return Target(
        key=market.symbol,
        label=f"market {market.symbol}",
        audit_name=f"market:{market.symbol}",
        subject=market,
    )


MARKET = TargetKind(
    name="market",
    collection="markets",
    parameter="symbol",
    find=market_target,
    description="Symbol of the market.",
)


def _find_asset(key: str) -> Target:
    selectors.cache_clear()
    try:
        asset = selectors.asset_by_code(key)
    except selectors.AssetNotFound:
        raise_for_code(Code.ASSET_NOT_FOUND)
    return Target(
        key=asset.code,
        label=f"asset {asset.code}",
        audit_name=f"asset:{asset.asset_id}",
        subject=asset,
    )


ASSET = TargetKind(
    name="asset",
    collection="assets",
    parameter="currency",
    find=_find_asset,
    description="Code of the asset.",
)


def _set_status(status: MarketStatus, call: Call) -> Done:
    market: MarketInfo = call.target.subject
    # The feed opens again only what it halted itself, so its note of that is removed: from
    # here on the operator's decision holds.
    redis_clients.client().srem(keys.halted_key(), market.market_id)
    operator_submit(
        SetMarketStatus(
            market_id=market.market_id,
            status=status,
            reason=call.reason,
            actor=call.signed_by,
        )
    )
    selectors.cache_clear()
    return Done(
        answer={"symbol": market.symbol, "status": _STATUS_NAMES[status]},
        before={"status": _STATUS_NAMES[market.status]},
        after={"status": _STATUS_NAMES[status]},
    )


def _status_operation(
    action: str, title: str, description: str, status: MarketStatus, *, danger: bool = False
) -> Operation:
    def applies(target: Target) -> bool:
        market: MarketInfo = target.subject
        return market.status is not status and market.status is not MarketStatus.SETTLED

    return Operation(
        name=f"market-{action}",
        title=title,
        description=description,
        target=MARKET,
        permission=Permission.MARKETS_MANAGE,
        perform=partial(_set_status, status),
        answer={"symbol": {**TEXT, "example": "BTC-USDT"}, "status": names(_STATUS_NAMES)},
        refusals={404: ("MARKET_NOT_FOUND",), 422: ("MARKET_SETTLED",)},
        danger=danger,
        applies=applies,
    )


OPERATIONS = (
    _status_operation(
        "halt",
        "Halt trading",
        "No order is taken and none can be cancelled until the market is opened again.",
        MarketStatus.HALTED,
        danger=True,
    ),
    _status_operation(
        "cancel-only",
        "Cancel only",
        "Orders can be cancelled; none is taken.",
        MarketStatus.CANCEL_ONLY,
    ),
    _status_operation(
        "post-only",
        "Post only",
        "Only orders that rest in the book are taken.",
        MarketStatus.POST_ONLY,
    ),
    _status_operation(
        "resume",
        "Open for trading",
        "Every order is taken again; this also ends what a circuit breaker began.",
        MarketStatus.TRADING,
    ),
)
