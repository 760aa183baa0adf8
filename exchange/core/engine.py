"""
The exchange: a pure, deterministic function from a command to its outcome.

It reads no clock, chance or environment and does no I/O; what it needs to know arrives in
the envelope. Each command has a planner, which changes nothing and may refuse, and a
carrier, which cannot fail: there is nothing to undo, and a bug while planning is a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exchange.core import (
    adjusting,
    amending,
    auditing,
    cancelling,
    configuring,
    contracting,
    deleveraging,
    firing,
    imaging,
    linking,
    placing,
    protecting,
    settling,
    switches,
    transferring,
    withdrawing,
)
from exchange.core.commands import (
    VERSION,
    AdjustMargin,
    AmendOrder,
    CancelAllAfter,
    CancelAllOrders,
    CancelOrder,
    CheckLiquidation,
    ClientIdFinding,
    ClosePosition,
    Command,
    ConfigureAccount,
    ConfigureAsset,
    ConfigureContract,
    ConfigureFeeTier,
    ConfigureInsurance,
    ConfigureMarket,
    ConfigureProtection,
    ContinueTask,
    Credit,
    Debit,
    Deleverage,
    Envelope,
    MoveInsurance,
    MoveWithdrawal,
    PlaceLinkedOrders,
    PlaceOrder,
    ResetProtection,
    SetLeverage,
    SetMarginMode,
    SetMarketStatus,
    SetPositionExits,
    SettleMarket,
    StartLeadership,
    Transfer,
    UpdateIndexPrices,
)
from exchange.core.events import AnyEvent, BalanceChanged, Outcome
from exchange.core.guards import refresh_when_many
from exchange.core.memory import Memory, position_event
from exchange.core.rejects import Code
from exchange.core.state import Changes, Image, Sequences
from exchange.core.summary import Summary, take_summary
from exchange.core.tasks import FireTask, Task
from exchange.core.units import check

# A planner returns a plan or a refusal; each pair agrees on the type of its plan.
Planner = Callable[[Memory, Any], Any]
Carrier = Callable[[Memory, Any], Outcome]

HANDLERS: dict[type[Command], tuple[Planner, Carrier]] = {
    PlaceOrder: (placing.plan_place, placing.place),
    CancelOrder: (cancelling.plan_cancel, cancelling.cancel),
    CancelAllOrders: (cancelling.plan_cancel_all, cancelling.cancel_all),
    CancelAllAfter: (switches.plan_cancel_all_after, switches.cancel_all_after),
    ConfigureProtection: (protecting.plan_protection, protecting.configure_protection),
    ResetProtection: (protecting.plan_reset, protecting.reset),
    ContinueTask: (firing.plan_continue, firing.continue_task),
    PlaceLinkedOrders: (linking.plan_linked, linking.place_linked),
    AmendOrder: (amending.plan_amend, amending.amend),
    Transfer: (transferring.plan_transfer, transferring.move),
    Credit: (transferring.plan_credit, transferring.move),
    Debit: (transferring.plan_debit, transferring.move),
    MoveWithdrawal: (withdrawing.plan_withdrawal, withdrawing.move_withdrawal),
    ConfigureAsset: (configuring.plan_asset, configuring.configure_asset),
    ConfigureMarket: (configuring.plan_market, configuring.configure_market),
    SetMarketStatus: (configuring.plan_market_status, configuring.configure_market),
    ConfigureFeeTier: (configuring.plan_fee_tier, configuring.configure_fee_tier),
    ConfigureAccount: (configuring.plan_account, configuring.configure_account),
    UpdateIndexPrices: (configuring.plan_index_prices, configuring.update_index_prices),
    StartLeadership: (configuring.plan_leadership, configuring.start_leadership),
    ConfigureContract: (contracting.plan_contract, contracting.configure_contract),
    ConfigureInsurance: (contracting.plan_insurance, contracting.configure_insurance),
    MoveInsurance: (contracting.plan_move_insurance, contracting.move_insurance),
    SetLeverage: (adjusting.plan_leverage, adjusting.set_up),
    SetMarginMode: (adjusting.plan_margin_mode, adjusting.set_up),
    AdjustMargin: (adjusting.plan_adjust, adjusting.adjust),
    ClosePosition: (adjusting.plan_close, placing.place),
    SetPositionExits: (adjusting.plan_exits, adjusting.set_exits),
    CheckLiquidation: (deleveraging.plan_check, deleveraging.check),
    Deleverage: (deleveraging.plan_deleverage, deleveraging.deleverage),
    SettleMarket: (settling.plan_settle, settling.settle),
}


class Exchange:
    """The state of the exchange and the one way to change it."""

    __slots__ = ("_memory",)

    def __init__(self) -> None:
        """Start empty: no assets, no markets, no accounts but the exchange's own."""
        self._memory = Memory()

    @classmethod
    def load(cls, image: Image) -> Exchange:
        """
        Return an exchange with the state of an image, which it takes over.

        Raises:
            InvariantError: if the image contradicts itself.
        """
        exchange = cls()
        exchange._memory = imaging.restore(image)
        return exchange

    def apply(self, envelope: Envelope) -> Outcome:
        """
        Carry out one command and return its outcome.

        A refusal changes nothing but the command number and the time. Numbers must be
        consecutive and time must not fall.

        Raises:
            InvariantError: if the state is not what it must be; the writer must stop.
            Exception: a bug while carrying out; the state must be thrown away.
        """
        memory = self._memory
        sequences = memory.sequences
        if envelope.number != sequences.command + 1 or envelope.time_ms < memory.time_ms:
            check(False, f"command {envelope.number} does not follow {sequences.command}")
        sequences.command = envelope.number
        memory.time_ms = envelope.time_ms
        memory.priority_index = 0
        if envelope.version != VERSION:
            return Outcome(Code.UNSUPPORTED_VERSION, 0, ())
        command = envelope.command
        if envelope.finding is not None:
            return _answer_repeated(command, envelope.finding)
        planner, carrier = HANDLERS[type(command)]
        try:
            plan = planner(memory, command)
        except Exception as error:
            # Planning changes nothing, so whatever went wrong there refuses this command only.
            detail = f"{type(error).__name__}: {error}"
            return Outcome(Code.PLANNING_FAILED, 0, (), False, detail)
        if type(plan) is Code:
            return Outcome(plan, 0, ())
        outcome = carrier(memory, plan)
        if memory.dirty:
            refresh_when_many(memory)
        return outcome

    def drain(self) -> tuple[Changes, list[AnyEvent]]:
        """
        End a batch: return what the store must write, and the coalesced events.

        Balances come first, then positions, prices of perpetual markets and levels, each
        absolute and once.
        """
        memory = self._memory
        changes = memory.take_changes()
        events: list[AnyEvent] = [
            BalanceChanged(
                wallet.account_id,
                wallet.kind,
                wallet.asset_id,
                wallet.total_atoms,
                wallet.held_atoms,
            )
            for wallet in changes.wallets.values()
        ]
        events.extend(position_event(position) for position in changes.positions.values())
        events.extend(changes.prices.values())
        events.extend(memory.take_level_changes())
        return changes, events

    @property
    def sequences(self) -> Sequences:
        """The numbers given out so far."""
        return self._memory.sequences

    @property
    def has_task(self) -> bool:
        """Whether internal work waits for a ``ContinueTask``."""
        return bool(self._memory.tasks)

    def is_due(self, time_ms: int) -> bool:
        """Tell whether the time of something is over, which also needs a ``ContinueTask``."""
        return firing.is_due(self._memory, time_ms)

    @property
    def last_prices(self) -> dict[int, int]:
        """The last trade price of each market that has traded, in quote atoms."""
        markets = self._memory.markets
        return {key: market.last_atoms for key, market in markets.items() if market.last_atoms}

    @property
    def time_ms(self) -> int:
        """Time of the last command."""
        return self._memory.time_ms

    @property
    def epoch(self) -> int:
        """Epoch of the last leader that announced itself."""
        return self._memory.epoch

    @property
    def cancel_only_until_ms(self) -> int:
        """Until when only cancels are taken after a pause."""
        return self._memory.cancel_only_until_ms

    @property
    def post_only_until_ms(self) -> int:
        """Until when only post-only orders are taken after a pause."""
        return self._memory.post_only_until_ms

    @property
    def tasks(self) -> list[Task]:
        """Unfinished internal work in order, then what waits for counterparties."""
        return [*self._memory.tasks, *self._memory.waiting]

    def fired_ids(self, task: FireTask) -> list[int]:
        """Return the orders whose turn a task has not reached, in the order of their turns."""
        return [order.order_id for order in self._memory.fired[task.number]]

    def margin_atoms(self, account_id: int, asset_id: int) -> int:
        """Return the balance of a margin wallet, 0 when there is none."""
        account = self._memory.ledger.accounts.get(account_id)
        wallet = account.margin.get(asset_id) if account is not None else None
        return wallet.total_atoms if wallet is not None else 0

    def market_of_order(self, order_id: int) -> int:
        """Return the market of a resting order, 0 when there is no such order."""
        order = self._memory.orders.get(order_id)
        return order.market_id if order is not None else 0

    @property
    def market_ids(self) -> list[int]:
        """The markets that exist, in order of creation."""
        return list(self._memory.markets)

    def book_levels(
        self, market_id: int, depth: int = 0
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return bids and asks as (price, quantity), best first; depth 0 is the whole book."""
        book = self._memory.markets[market_id].book
        return book.bids.depth(depth), book.asks.depth(depth)

    def image(self) -> Image:
        """Return the state as objects that are still owned by this exchange."""
        return imaging.take_image(self._memory)

    def summary(self) -> Summary:
        """Return what operators watch, in a few numbers; O(markets)."""
        return take_summary(self._memory)

    def state_hash(self) -> str:
        """Return SHA-256 of the whole persisted state."""
        return imaging.state_hash(self._memory)

    def check_all(self) -> None:
        """Check every invariant in full."""
        auditing.check_all(self._memory)


def _answer_repeated(command: Command, finding: ClientIdFinding) -> Outcome:
    """Answer a command whose client id was used before: the first result, or a conflict."""
    if finding.request_hash == getattr(command, "request_hash", None):
        return Outcome(Code.OK, finding.reference_id, (), True)
    if isinstance(command, PlaceOrder | PlaceLinkedOrders | ClosePosition):
        return Outcome(Code.CLIENT_ORDER_ID_CONFLICT, 0, ())
    return Outcome(Code.TRANSFER_ID_CONFLICT, 0, ())
