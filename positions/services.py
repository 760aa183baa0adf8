"""Closing, adjusting and setting up positions: submit a command, answer with what it left."""

from __future__ import annotations

from collections.abc import Sequence

from accounts.opening import account_open
from common.errors import ApiError, raise_for_code, raise_for_outcome
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import (
    AdjustMargin,
    ClosePosition,
    SetLeverage,
    SetMarginMode,
    SetPositionExits,
)
from exchange.core.enums import MarginMode
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from orders.services import failure_of, placed_result
from orders.types import OrderFailure, OrderResult
from positions import selectors
from positions.standing import standing_of
from positions.types import MarketSetting, PositionView

_Command = AdjustMargin | ClosePosition | SetLeverage | SetMarginMode | SetPositionExits


def position_close(*, command: ClosePosition) -> OrderResult:
    """
    Close a position, or part of it, and return the order that does with its fills.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    (outcome,) = _submit([command])
    return placed_result(outcome, account_id=command.account_id)


def positions_close(
    *, account_id: int, market_id: int | None = None
) -> list[tuple[int, int, OrderResult | OrderFailure]]:
    """
    Close all open positions at the market; each has its own result: market, number, order.

    Raises:
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    opened = selectors.open_positions_of(account_id, market_id)
    if not opened:
        return []
    commands = [ClosePosition(account_id=account_id, market_id=market) for market, _ in opened]
    results: list[tuple[int, int, OrderResult | OrderFailure]] = []
    for (market, position_id), outcome in zip(opened, _submit(commands), strict=True):
        result: OrderResult | OrderFailure
        try:
            result = placed_result(outcome, account_id=account_id)
        except ApiError as error:
            result = failure_of(error)
        results.append((market, position_id, result))
    return results


def margin_adjust(*, command: AdjustMargin) -> PositionView:
    """
    Move margin into or out of an isolated position and return it as it then is.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    return _changed(command)


def exits_set(*, command: SetPositionExits) -> PositionView:
    """
    Set take-profit and stop-loss of a position and return it as it then is.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    return _changed(command)


def setting_change(
    *, account_id: int, market_id: int, leverage: int = 0, mode: MarginMode | None = None
) -> MarketSetting:
    """
    Set margin mode and leverage of an account in a market; what is left out stays.

    The mode is changed first, since the rule for leverages is the mode's. It changes only while
    nothing is open, and then only a leverage above the market's is refused, which is checked
    before: a refusal changes neither.

    Raises:
        ApiError: the exchange's refusal.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    commands: list[_Command] = []
    if mode is not None:
        current = selectors.setting_of(account_id, market_id)
        if current is not None and leverage > current.leverage_max:
            raise_for_code(Code.INVALID_LEVERAGE)
        # Setting all of it at once is setting what differs.
        if not leverage or current is None or current.mode is not mode:
            commands.append(SetMarginMode(account_id, market_id, mode))
    if leverage:
        commands.append(SetLeverage(account_id, market_id, leverage))
    for command in commands:
        (outcome,) = _submit([command])
        raise_for_outcome(outcome)
    setting = selectors.setting_of(account_id, market_id)
    if setting is None:
        raise_for_code(Code.NOT_A_PERPETUAL)
    return setting


def _changed(command: AdjustMargin | SetPositionExits) -> PositionView:
    (outcome,) = _submit([command])
    raise_for_outcome(outcome)
    standing = standing_of(command.account_id)
    slot = standing.position(command.market_id)
    if slot is None or not slot.quantity_atoms:
        # It was closed in the moment between.
        raise_for_code(Code.POSITION_NOT_FOUND)
    return standing.view(slot)


def _submit(commands: Sequence[_Command]) -> list[Outcome]:
    """Submit commands of one account; open it on the exchange where that does not know it."""
    request_id = current_request_id()
    outcomes = list(gateway.submit_many(commands, request_id=request_id))
    if outcomes[0].code == Code.ACCOUNT_NOT_FOUND:
        account_open(commands[0].account_id)
        outcomes = list(gateway.submit_many(commands, request_id=request_id))
    return outcomes
