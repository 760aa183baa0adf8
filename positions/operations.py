"""What operators do to positions."""

from __future__ import annotations

from typing import Any

from accounts.operation_targets import ACCOUNT
from accounts.operations import Call, Done, Operation, Target, TargetKind
from accounts.operators import operator_submit
from accounts.permissions import Permission
from common.errors import ApiError, not_found
from common.ids import parse_id
from common.openapi import DECIMAL, IDENTIFIER, TEXT, TEXT_OR_NULL, list_of, object_of
from exchange.core.commands import ClosePosition
from markets.selectors import market_by_id
from orders.services import placed_result
from positions.models import Position
from positions.selectors import open_positions_of

_CLOSED: dict[str, Any] = {
    "position_id": IDENTIFIER,
    "symbol": {**TEXT, "example": "BTC-USDT-PERP"},
    "order_id": {**TEXT_OR_NULL, "description": "Of the order that closes it."},
    "filled": {**DECIMAL, "description": "How much that order closed at once."},
    "refusal": {**TEXT_OR_NULL, "description": "Why it was not closed."},
}


def _find_position(key: str) -> Target:
    row = Position.objects.filter(id=parse_id(key) or 0, is_open=1).first()
    if row is None:
        raise not_found()
    symbol = market_by_id(row.market_id).symbol
    return Target(
        key=key,
        label=f"position {row.position_id} in {symbol} of account {row.account_id}",
        audit_name=f"position:{row.position_id}",
        subject=row,
        account_id=row.account_id,
    )


POSITION = TargetKind(
    name="position",
    collection="positions",
    parameter="slot_id",
    find=_find_position,
    description="Number of the slot that the position is in: the key of its row.",
)


def _close_in(account_id: int, market_id: int, position_id: int) -> dict[str, Any]:
    outcome = operator_submit(ClosePosition(account_id=account_id, market_id=market_id))
    result = placed_result(outcome, account_id=account_id)
    market = market_by_id(market_id)
    return {
        "position_id": str(position_id),
        "symbol": market.symbol,
        "order_id": str(result.order.order_id),
        "filled": market.quantity_text(result.order.filled_atoms),
        "refusal": None,
    }


def _close(call: Call) -> Done:
    row: Position = call.target.subject
    closed = _close_in(row.account_id, row.market_id, row.position_id)
    return Done(answer=closed, after={**closed, "account_id": str(row.account_id)})


def _close_all(call: Call) -> Done:
    account_id = call.target.account_id
    closed = []
    for market_id, position_id in open_positions_of(account_id):
        try:
            closed.append(_close_in(account_id, market_id, position_id))
        except ApiError as error:
            # One market that is halted must not keep the others open.
            if error.status_code >= 500:
                raise
            closed.append(
                {
                    "position_id": str(position_id),
                    "symbol": market_by_id(market_id).symbol,
                    "order_id": None,
                    "filled": "0",
                    "refusal": error.code,
                }
            )
    return Done(
        answer={"account_id": call.target.key, "positions": closed},
        after={"positions": closed},
    )


_REFUSALS = {404: ("NOT_FOUND", "POSITION_NOT_FOUND"), 422: ("MARKET_HALTED", "NO_LIQUIDITY")}

OPERATIONS = (
    Operation(
        name="position-close",
        title="Close at the market",
        description="Close a position with a market order that only reduces it.",
        target=POSITION,
        permission=Permission.TRADING_MANAGE,
        perform=_close,
        answer=_CLOSED,
        refusals=_REFUSALS,
        danger=True,
    ),
    Operation(
        name="account-close-positions",
        title="Close all positions",
        description="Close every open position of an account at the market, each by an order of"
        " its own; one that is refused does not keep the others.",
        target=ACCOUNT,
        permission=Permission.TRADING_MANAGE,
        perform=_close_all,
        answer={"account_id": IDENTIFIER, "positions": list_of(object_of(_CLOSED))},
        refusals={404: ("NOT_FOUND",)},
        danger=True,
    ),
)
