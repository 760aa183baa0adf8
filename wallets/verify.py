"""
Does the money add up?

Reads every balance and every ledger entry once, in the order in which they were written,
and compares them with each other and with what open orders need. Python integers only:
no database sums money here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from exchange.core.enums import LedgerKind, SystemAccount, WalletKind
from wallets.models import Balance, LedgerEntry

# Rows fetched at once.
CHUNK_ROWS = 5_000

# Differences told in full per asset; the rest is only counted.
PROBLEMS_SHOWN_MAX = 20

# (account, wallet, asset)
WalletKey = tuple[int, int, int]
# (account, asset) of a spot wallet -> what its open orders need, in atoms.
Needs = Mapping[tuple[int, int], int]


@dataclass(slots=True)
class AssetReport:
    """
    What was found about one asset.

    ``sum_atoms`` over all balances must be 0; ``issued_atoms`` is what users and the exchange
    own, the contra of ``external``.
    """

    asset_id: int
    balances: int = 0
    entries: int = 0
    sum_atoms: int = 0
    issued_atoms: int = 0
    held_atoms: int = 0
    problems_found: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems_found

    def blame(self, text: str) -> None:
        """Note a difference."""
        self.problems_found += 1
        if len(self.problems) < PROBLEMS_SHOWN_MAX:
            self.problems.append(text)


def verify_ledger(*, asset_ids: Iterable[int], needs: Needs) -> list[AssetReport]:
    """
    Return a report per asset; call it inside one read snapshot (``common.db.read_snapshot``).

    Checked: all balances of an asset sum to zero; every entry's balance follows from the one
    before in its wallet, and its link from the one before in its account; the entries of one
    trade or transfer sum to zero; what they end at is what the balance says; no user's
    balance is negative; each wallet holds what its open orders need.
    """
    return _Verification(asset_ids, needs).run()


class _Verification:
    """One pass over ledger and balances."""

    def __init__(self, asset_ids: Iterable[int], needs: Needs) -> None:
        self.reports = {asset_id: AssetReport(asset_id) for asset_id in sorted(asset_ids)}
        self.needs = dict(needs)
        self.running: dict[WalletKey, int] = {}
        self.heads: dict[int, int] = {}
        self.group: tuple[int, int] | None = None
        self.group_sums: dict[int, int] = {}

    def run(self) -> list[AssetReport]:
        for row in _entries():
            self._entry(*row)
        self._end_group()
        for balance in _balances():
            self._balance(*balance)
        self._what_is_left()
        for report in self.reports.values():
            if report.sum_atoms:
                report.blame(f"all balances sum to {report.sum_atoms} atoms, expected 0")
        return list(self.reports.values())

    def _report(self, asset_id: int) -> AssetReport:
        report = self.reports.get(asset_id)
        if report is None:
            report = self.reports[asset_id] = AssetReport(asset_id)
            report.blame("there is no such asset")
        return report

    def _entry(
        self,
        entry_id: int,
        previous_id: int,
        account_id: int,
        kind: int,
        reference_id: int,
        wallet: int,
        asset_id: int,
        amount_atoms: int,
        balance_atoms: int,
        quote_asset_id: int,
        quote_amount_atoms: int,
        quote_balance_atoms: int,
        fee_atoms: int,
    ) -> None:
        if self.heads.get(account_id, 0) != previous_id:
            self._report(asset_id).blame(f"entry {entry_id} does not follow {previous_id}")
        self.heads[account_id] = entry_id
        if (kind, reference_id) != self.group:
            self._end_group()
            self.group = (kind, reference_id)
        key = (account_id, wallet, asset_id)
        self._post(entry_id, key, amount_atoms, balance_atoms)
        if quote_asset_id:
            quote_key = (account_id, wallet, quote_asset_id)
            self._post(entry_id, quote_key, quote_amount_atoms, quote_balance_atoms)
        if kind == LedgerKind.TRADE:
            # The fee account has no entries of its own: each trade's entry carries its fee.
            fees = (SystemAccount.FEES.value, WalletKind.SPOT.value, quote_asset_id)
            self.running[fees] = self.running.get(fees, 0) + fee_atoms
            self.group_sums[quote_asset_id] = self.group_sums.get(quote_asset_id, 0) + fee_atoms

    def _post(self, entry_id: int, key: WalletKey, amount_atoms: int, balance_atoms: int) -> None:
        report = self._report(key[2])
        report.entries += 1
        balance = self.running.get(key, 0) + amount_atoms
        if balance != balance_atoms:
            report.blame(f"entry {entry_id} ends at {balance_atoms} atoms, expected {balance}")
        # Going on from what is written tells one error once, not at every later entry.
        self.running[key] = balance_atoms
        self.group_sums[key[2]] = self.group_sums.get(key[2], 0) + amount_atoms

    def _end_group(self) -> None:
        for asset_id, sum_atoms in self.group_sums.items():
            if sum_atoms and self.group is not None:
                name = LedgerKind(self.group[0]).name.lower()
                self._report(asset_id).blame(
                    f"{name} {self.group[1]} sums to {sum_atoms} atoms, expected 0"
                )
        self.group_sums = {}

    def _balance(
        self,
        balance_id: int,
        account_id: int,
        wallet: int,
        asset_id: int,
        total_atoms: int,
        held_atoms: int,
    ) -> None:
        report = self._report(asset_id)
        report.balances += 1
        report.sum_atoms += total_atoms
        report.held_atoms += held_atoms
        where = f"balance {balance_id} of account {account_id}"
        if account_id == SystemAccount.EXTERNAL:
            report.issued_atoms -= total_atoms
        elif not 0 <= held_atoms <= total_atoms:
            report.blame(f"{where} holds {held_atoms} of {total_atoms} atoms")
        expected = self.running.pop((account_id, wallet, asset_id), 0)
        if total_atoms != expected:
            report.blame(f"{where} is {total_atoms} atoms, its ledger ends at {expected}")
        needed = 0
        if wallet == WalletKind.SPOT:
            needed = self.needs.pop((account_id, asset_id), 0)
        if held_atoms != needed:
            report.blame(f"{where} holds {held_atoms} atoms, its open orders need {needed}")

    def _what_is_left(self) -> None:
        for (account_id, _wallet, asset_id), balance_atoms in self.running.items():
            if balance_atoms:
                self._report(asset_id).blame(
                    f"the ledger of account {account_id} ends at {balance_atoms} atoms, "
                    "but there is no balance"
                )
        for (account_id, asset_id), needed in self.needs.items():
            self._report(asset_id).blame(
                f"open orders of account {account_id} need {needed} atoms, but there is no balance"
            )


def _entries() -> Iterator[tuple[int, ...]]:
    return (
        LedgerEntry.objects.order_by("id")
        .values_list(
            "id",
            "previous_id",
            "account_id",
            "kind",
            "reference_id",
            "wallet",
            "asset_id",
            "amount_atoms",
            "balance_atoms",
            "quote_asset_id",
            "quote_amount_atoms",
            "quote_balance_atoms",
            "fee_atoms",
        )
        .iterator(chunk_size=CHUNK_ROWS)
    )


def _balances() -> Iterator[tuple[int, ...]]:
    return (
        Balance.objects.order_by("id")
        .values_list("id", "account_id", "wallet", "asset_id", "total_atoms", "held_atoms")
        .iterator(chunk_size=CHUNK_ROWS)
    )
