"""Unfinished internal work that the state keeps: what is larger than one bounded step."""

from __future__ import annotations

import msgspec

from exchange.core.enums import (
    EndReason,
    Side,
    TriggerType,
)


class CancelAllTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Unfinished cancel-all: orders up to ``through_order_id`` are still to be cancelled.

    ``resting_only`` leaves those alone that wait for a price or for another order.
    """

    account_id: int
    market_id: int
    through_order_id: int
    reason: EndReason
    resting_only: bool = False


class FireTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Conditional orders that a price has fired and that are still to be carried out.

    Those of one market and trigger type with a priority below ``below_priority`` whose
    trigger price lies at or before ``price_atoms`` in the direction of the move, with price
    protection only if ``protected``; and of the trailing stops that follow the price, per
    (side, callback rate, newest activation number, protected), those up to that number.
    """

    number: int
    market_id: int
    trigger_type: TriggerType
    rising: bool
    price_atoms: int
    below_priority: int
    trails: list[tuple[Side, int, int, bool]] = []
    protected: bool = False


class ActivateTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Trailing stops that follow the price since ``price_atoms`` reached their activation.

    Those of one market, trigger type and direction with a priority below ``number``; their
    rows say so up to ``after_order_id``, in order of their numbers. ``number`` is the
    activation number of them all.
    """

    number: int
    market_id: int
    trigger_type: TriggerType
    rising: bool
    price_atoms: int
    after_order_id: int = 0


class ArmTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """A bracket whose entry ended and whose children are still to be armed."""

    entry_id: int
    filled_atoms: int


class LiquidateTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Scopes that one look found below maintenance, worst first, still to be liquidated.

    A scope is (account, market) of an isolated position, or (account, 0) for all that is
    cross. ``number`` is that of the command that found them.
    """

    number: int
    scopes: list[tuple[int, int]]


class DeleverageTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    A bankrupt scope whose position in a market waits for counterparties since ``since_ms``.

    Waiting is no work: it goes on with a ``Deleverage`` command, not with a step.
    """

    market_id: int
    account_id: int
    isolated: bool
    since_ms: int


class FundingTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Funding of one market and time, with rate and mark fixed: payers first, then receivers.

    Slots up to ``after_slot_id`` have had their turn in this pass. ``due_atoms`` is what
    receivers shall get in all, ``pool_atoms`` what payers paid, ``left_atoms`` what of it has
    not been given on.
    """

    market_id: int
    funding_ms: int
    rate_e8: int
    mark_atoms: int
    paying: bool = True
    after_slot_id: int = 0
    due_atoms: int = 0
    pool_atoms: int = 0
    left_atoms: int = 0


class UnwindTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """What the liquidation account of a market inherited, to be offered once in the book."""

    market_id: int


class CancelOpeningTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """Open orders of a market up to a number that end for a reason, reducing ones kept or not."""

    market_id: int
    through_order_id: int
    reason: EndReason
    keep_reducing: bool


class SettleTask(msgspec.Struct, gc=False, tag=True, array_like=True):
    """
    Positions of a market that close at one price: losers first, then winners.

    ``claims_atoms`` is what the winners' profits sum to, ``pool_atoms`` what is there to pay
    them with; both are fixed when the last loser has paid.
    """

    market_id: int
    price_atoms: int
    losers: bool = True
    after_slot_id: int = 0
    claims_atoms: int = 0
    pool_atoms: int = 0


Task = (
    CancelAllTask
    | FireTask
    | ActivateTask
    | ArmTask
    | LiquidateTask
    | DeleverageTask
    | FundingTask
    | UnwindTask
    | CancelOpeningTask
    | SettleTask
)
