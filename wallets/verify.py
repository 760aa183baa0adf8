"""
Does the money add up?

Reads every balance and every ledger entry once, in the order in which they were written,
and compares them with each other and with what open orders need. Python integers only:
no database sums money here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from exchange.core.enums import (
    LedgerKind,
    SystemAccount,
    WalletKind,
    clearing_account,
    insurance_account,
    is_system_account,
    liquidation_account,
)
from exchange.findings import Findings
from wallets.models import Balance, LedgerEntry
from wallets.withdrawals.reconciling import pending_problems

# Rows fetched at once.
CHUNK_ROWS = 5_000

# (account, wallet, asset)
WalletKey = tuple[int, int, int]
# (account, asset) of a spot wallet -> what its open orders need, in atoms.
Needs = Mapping[tuple[int, int], int]

# Entries whose contra is an account that keeps a balance but no entries of its own.
_ONE_SIDED = frozenset(
    {LedgerKind.FUNDING, LedgerKind.TAKEOVER, LedgerKind.DELEVERAGING, LedgerKind.SETTLEMENT}
)


@dataclass(slots=True)
class Standing:
    """
    What the open positions say about margin wallets; by (account, asset).

    ``isolated`` are the sums of isolated wallets, ``crossed`` the margin wallets that an open
    cross position backs, so that they may be negative; ``clearing`` are the balances that the
    costs of all positions leave to clearing accounts. ``problems`` are the assets and texts of
    what the positions themselves have wrong.
    """

    isolated: dict[tuple[int, int], int] = field(default_factory=dict)
    crossed: set[tuple[int, int]] = field(default_factory=set)
    clearing: dict[tuple[int, int], int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class AssetReport(Findings):
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


def verify_ledger(
    *, asset_ids: Iterable[int], needs: Needs, standing: Standing
) -> list[AssetReport]:
    """
    Return a report per asset; call it inside one read snapshot (``common.db.read_snapshot``).

    Checked: all balances of an asset, isolated wallets included, sum to zero; every entry's
    balance follows from the one before in its wallet, and its link from the one before in its
    account; the entries of one trade or transfer sum to zero, unless an account without
    entries is the contra; what they end at is what the balance says; each wallet holds what
    its open orders need, a margin wallet nothing; no balance is negative but that of
    ``external``, of clearing accounts and of margin wallets behind open cross positions;
    clearing accounts hold what the costs of positions leave them; pending withdrawals are what
    their rows say.
    """
    return _Verification(asset_ids, needs, standing).run()


def account_name(account_id: int) -> str:
    """Return how a report calls an account; those of the exchange have names."""
    if not is_system_account(account_id):
        return f"account {account_id}"
    for name, first in (
        ("insurance", insurance_account(0)),
        ("liquidation", liquidation_account(0)),
        ("clearing", clearing_account(0)),
    ):
        if account_id >= first:
            return f"account {name}:{account_id - first}"
    return f"account {SystemAccount(account_id).name.lower()}"


def _keeps_entries(account_id: int) -> bool:
    """Tell whether an account's entries say all that happens to it."""
    between = clearing_account(0) <= account_id < insurance_account(0)
    return not between and account_id != SystemAccount.FUNDING


class _Verification:
    """One pass over ledger and balances."""

    def __init__(self, asset_ids: Iterable[int], needs: Needs, standing: Standing) -> None:
        self.reports = {asset_id: AssetReport(asset_id) for asset_id in sorted(asset_ids)}
        self.needs = dict(needs)
        self.isolated = dict(standing.isolated)
        self.clearing = dict(standing.clearing)
        self.crossed = standing.crossed
        for asset_id, text in standing.problems:
            self._report(asset_id).blame(text)
        self.running: dict[WalletKey, int] = {}
        self.heads: dict[int, int] = {}
        self.group: tuple[int, int] | None = None
        self.group_sums: dict[int, int] = {}
        self.group_is_whole = True

    def run(self) -> list[AssetReport]:
        for row in _entries():
            self._entry(*row)
        self._end_group()
        for balance in _balances():
            self._balance(*balance)
        self._isolated_wallets()
        self._what_is_left()
        for asset_id, text in pending_problems():
            self._report(asset_id).blame(text)
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
            # What an insurance fund gets from a liquidation account has one entry, what an
            # operator pays into it has two.
            self.group_is_whole = kind not in _ONE_SIDED and kind != LedgerKind.INSURANCE
        if kind == LedgerKind.TRADE and wallet != WalletKind.SPOT:
            self.group_is_whole = False
        if kind == LedgerKind.INSURANCE and account_id == SystemAccount.EXTERNAL:
            self.group_is_whole = True
        key = (account_id, wallet, asset_id)
        self._post(entry_id, key, amount_atoms, balance_atoms)
        if quote_asset_id:
            quote_key = (account_id, wallet, quote_asset_id)
            self._post(entry_id, quote_key, quote_amount_atoms, quote_balance_atoms)
        if kind == LedgerKind.TRADE:
            # The fee account has no entries of its own: each trade's entry carries its fee.
            paid_in = quote_asset_id or asset_id
            fees = (SystemAccount.FEES.value, WalletKind.SPOT.value, paid_in)
            self.running[fees] = self.running.get(fees, 0) + fee_atoms
            self.group_sums[paid_in] = self.group_sums.get(paid_in, 0) + fee_atoms

    def _post(self, entry_id: int, key: WalletKey, amount_atoms: int, balance_atoms: int) -> None:
        report = self._report(key[2])
        report.entries += 1
        balance = self.running.get(key, 0) + amount_atoms
        if key[1] == WalletKind.ISOLATED:
            # An account's isolated wallets share a key; together they are what positions hold.
            self.running[key] = balance
        else:
            if balance != balance_atoms and _keeps_entries(key[0]):
                report.blame(f"entry {entry_id} ends at {balance_atoms} atoms, expected {balance}")
            # Going on from what is written tells one error once, not at every later entry.
            self.running[key] = balance_atoms
        self.group_sums[key[2]] = self.group_sums.get(key[2], 0) + amount_atoms

    def _end_group(self) -> None:
        for asset_id, sum_atoms in self.group_sums.items():
            if sum_atoms and self.group is not None and self.group_is_whole:
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
        where = f"balance {balance_id} of {account_name(account_id)}"
        if account_id == SystemAccount.EXTERNAL:
            report.issued_atoms -= total_atoms
        elif wallet == WalletKind.MARGIN:
            if total_atoms < 0 and not self._may_be_negative(account_id, asset_id):
                report.blame(f"{where} is overdrawn at {total_atoms} atoms")
        elif not 0 <= held_atoms <= total_atoms:
            report.blame(f"{where} holds {held_atoms} of {total_atoms} atoms")
        self._clearing(account_id, asset_id, total_atoms, where)
        expected = self.running.pop((account_id, wallet, asset_id), 0)
        if total_atoms != expected and _keeps_entries(account_id):
            report.blame(f"{where} is {total_atoms} atoms, its ledger ends at {expected}")
        needed = 0
        if wallet == WalletKind.SPOT:
            needed = self.needs.pop((account_id, asset_id), 0)
        if held_atoms != needed:
            report.blame(f"{where} holds {held_atoms} atoms, its open orders need {needed}")

    def _may_be_negative(self, account_id: int, asset_id: int) -> bool:
        # A liquidation account is, for as long as its fund cannot cover what it lost.
        between = clearing_account(0) <= account_id < insurance_account(0)
        return between or (account_id, asset_id) in self.crossed

    def _clearing(self, account_id: int, asset_id: int, total_atoms: int, where: str) -> None:
        if not clearing_account(0) <= account_id < liquidation_account(0):
            return
        expected = self.clearing.pop((account_id, asset_id), 0)
        if total_atoms != expected:
            self._report(asset_id).blame(
                f"{where} is {total_atoms} atoms, positions leave it {expected}"
            )

    def _isolated_wallets(self) -> None:
        for (account_id, asset_id), total_atoms in self.isolated.items():
            report = self._report(asset_id)
            report.sum_atoms += total_atoms
            ends_at = self.running.pop((account_id, WalletKind.ISOLATED.value, asset_id), 0)
            if total_atoms != ends_at:
                report.blame(
                    f"isolated positions of {account_name(account_id)} hold {total_atoms} "
                    f"atoms, their ledger ends at {ends_at}"
                )

    def _what_is_left(self) -> None:
        for (account_id, asset_id), expected in self.clearing.items():
            if expected:
                self._report(asset_id).blame(
                    f"positions leave {expected} atoms to {account_name(account_id)}, "
                    "but there is no balance"
                )
        for (account_id, _wallet, asset_id), balance_atoms in self.running.items():
            if balance_atoms and _keeps_entries(account_id):
                self._report(asset_id).blame(
                    f"the ledger of {account_name(account_id)} ends at {balance_atoms} atoms, "
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
