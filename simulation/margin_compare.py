"""Drives engine and naive exchange side by side over commands of perpetual markets."""

from __future__ import annotations

from collections import Counter
from typing import Any

from exchange.core import commands as c
from exchange.core import events as e
from exchange.core.enums import (
    MarginMode,
    SystemAccount,
    WalletKind,
    clearing_account,
    insurance_account,
)
from exchange.core.tasks import (
    CancelOpeningTask,
    FireTask,
    FundingTask,
    LiquidateTask,
    SettleTask,
    UnwindTask,
)
from simulation.commands import TimedCommand
from simulation.compare import Comparison
from simulation.margin_commands import PositionSource
from simulation.mirrors import Disagreement, LedgerMirror, equal, equal_maps
from simulation.naive_settling import NaivePerpetuals

STATES_EVERY = 500


class MarginComparison(Comparison):
    """One engine and one naive exchange with perpetual markets under the same commands."""

    def __init__(self) -> None:
        super().__init__()
        self.naive: NaivePerpetuals = NaivePerpetuals()

    def _apply(self, envelope: c.Envelope) -> e.Outcome:
        outcome = super()._apply(envelope)
        for event in outcome.events:
            if isinstance(event, e.LiquidationStepped):
                self.counts[f"liquidation {event.kind.name}"] += 1
            elif isinstance(event, e.DeleveragingNeeded | e.FundingPaid):
                self.counts[type(event).__name__] += 1
        return outcome

    def _turns_ahead(self) -> list[tuple[str, int]]:
        turns: list[tuple[str, int]] = []
        for task in self.engine.tasks:
            if isinstance(task, FireTask):
                turns += [("fire", order_id) for order_id in self.engine.fired_ids(task)]
            elif isinstance(task, LiquidateTask):
                turns += [("liquidate", self.naive.name(scope)) for scope in task.scopes]
            elif isinstance(task, FundingTask):
                turns += [("pay", task.market_id)] if task.paying else []
                turns.append(("receive", task.market_id))
            elif isinstance(task, SettleTask):
                turns += [("losers", task.market_id)] if task.losers else []
                turns.append(("winners", task.market_id))
            elif isinstance(task, UnwindTask):
                turns.append(("unwind", task.market_id))
            elif isinstance(task, CancelOpeningTask):
                turns.append(("end", task.market_id))
        return turns

    def _compare_safeguards(self) -> None:
        super()._compare_safeguards()
        seen = {slot: _facts(position) for slot, position in self.mirror.positions.items()}
        naive = {
            slot.slot: (
                slot.account_id,
                slot.market_id,
                slot.isolated,
                slot.leverage,
                slot.quantity,
                slot.cost,
                slot.wallet,
                slot.realised,
                slot.fee,
                slot.funding,
            )
            for slot in self.naive.slots.values()
        }
        equal_maps("positions", seen, naive)
        self._compare_prices()

    def _compare_prices(self) -> None:
        """Compare marks, qualities and rates as events told them last, and funding's history."""
        mirror = self.mirror
        for told in mirror.prices:
            self.counts[f"marks {told.quality.name}"] += 1
        # Of several in one command the last says how prices are now.
        last = {told.market_id: told for told in mirror.prices}
        told_prices = {
            market_id: (
                told.mark_atoms,
                told.quality,
                told.predicted_rate_e8,
                told.funding_rate_e8,
                told.next_funding_ms,
                told.halted_for_price,
            )
            for market_id, told in last.items()
        }
        own = {market_id: self.naive.prices[market_id] for market_id in last}
        own_prices = {
            market_id: (
                price.mark,
                price.quality,
                price.predicted,
                price.rate,
                price.next_ms,
                price.halted,
            )
            for market_id, price in own.items()
        }
        equal_maps("prices", told_prices, own_prices)
        fundings = [
            (told.market_id, told.funding_ms, told.rate_e8, told.mark_atoms, told.skipped)
            for told in mirror.fundings
        ]
        noted = self.naive.noted if mirror.fundings else []
        equal(
            "history of funding",
            fundings,
            [(one.market_id, one.time_ms, one.rate, one.mark, one.skipped) for one in noted],
        )
        mirror.prices, mirror.fundings = [], []

    def compare_states(self) -> None:
        """
        Compare hashes of live, loaded and replayed state, the ledger, and all full checks.

        Raises:
            Disagreement: if anything differs.
        """
        super().compare_states()
        equal("who is liquidating", self._liquidating(), self.naive.liquidating)

    def _liquidating(self) -> set[tuple[int, int]]:
        scopes = {
            scope
            for task in self.engine.tasks
            if isinstance(task, LiquidateTask)
            for scope in task.scopes
        }
        return scopes | {
            self.naive.scope_of(self.naive.slots[account, market])
            for market, account in self.naive.bankrupt
        }

    def _compare_ledger(self) -> None:
        """Compare with the sums of entries; accounts in between have balances alone."""

        def has_entries(account_id: int) -> bool:
            between = clearing_account(0) <= account_id < insurance_account(0)
            return not between and account_id != SystemAccount.FUNDING

        balances = {k: v for k, v in self.mirror.balances.items() if has_entries(k[0])}
        for position in self.mirror.positions.values():
            if position.isolated_atoms:
                asset_id = self.naive.quote(position.market_id)
                key = (position.account_id, int(WalletKind.ISOLATED), asset_id)
                known = balances.get(key, (0, 0))[0]
                balances[key] = (known + position.isolated_atoms, 0)
        entries = LedgerMirror(
            Counter({k: v for k, v in self.ledger.sums.items() if has_entries(k[0])})
        )
        entries.compare(balances)


def _facts(position: e.PositionChanged) -> tuple[Any, ...]:
    return (
        position.account_id,
        position.market_id,
        position.mode is MarginMode.ISOLATED,
        position.leverage,
        position.quantity_atoms,
        position.cost_atoms,
        position.isolated_atoms,
        position.realised_atoms,
        position.fee_atoms,
        position.funding_atoms,
    )


def run(seed: int, count: int, *, states_every: int = STATES_EVERY) -> Counter[str]:
    """
    Compare engine and naive exchange over ``count`` random commands.

    Raises:
        Disagreement: at the first difference, naming seed, command and difference.
    """
    return run_commands(PositionSource(seed).take(count), seed=seed, states_every=states_every)


def run_commands(
    commands: list[TimedCommand], *, seed: int = 0, states_every: int = STATES_EVERY
) -> Counter[str]:
    """
    Compare engine and naive exchange over given commands.

    Raises:
        Disagreement: at the first difference, naming seed, command and difference.
    """
    comparison = MarginComparison()
    for index, timed in enumerate(commands):
        try:
            comparison.step(timed)
            if (index + 1) % states_every == 0:
                comparison.compare_states()
        except Exception as error:
            text = f"seed {seed}, command {index}: {timed.command!r}: {error!r}"
            raise Disagreement(text, index) from error
    comparison.compare_states()
    return comparison.counts
