"""
The trial balance: every balance of an asset, those of the exchange itself included, sums to zero.

It is counted once a minute by a task and kept in Redis, so that looking at it costs nothing
whatever the number of accounts. Python integers only: no database sums money here.
"""

from __future__ import annotations

import msgspec
import redis

from common import redis as redis_clients
from common.db import read_snapshot
from exchange.core.enums import SystemAccount, WalletKind, is_system_account
from markets.selectors import assets_all, cache_clear
from orders.selectors import holds_needed
from positions.ledger_standing import standing_all
from wallets.selectors import balance_rows
from wallets.verify import account_name, verify_ledger

# Problems of an asset that are kept.
PROBLEMS_KEPT_MAX = 20


class AssetTrial(msgspec.Struct, frozen=True):
    """
    One asset, in atoms: what users own by wallet, what accounts of the exchange have, the sum.

    ``exchange`` is by account name. ``held_atoms`` is the part of users' spot wallets that
    open orders hold.
    """

    asset_id: int
    spot_atoms: int
    margin_atoms: int
    isolated_atoms: int
    held_atoms: int
    exchange: dict[str, int]

    @property
    def users_atoms(self) -> int:
        """What users own."""
        return self.spot_atoms + self.margin_atoms + self.isolated_atoms

    @property
    def external_atoms(self) -> int:
        """The contra of all that ever came in, negative."""
        return self.exchange.get(EXTERNAL_NAME, 0)

    @property
    def sum_atoms(self) -> int:
        """What must be zero."""
        return self.users_atoms + sum(self.exchange.values())


class TrialBalance(msgspec.Struct, frozen=True):
    """All assets as of one committed moment, how many balances there were and how long it took."""

    time_ms: int
    duration_ms: int
    balances: int
    assets: list[AssetTrial]

    @property
    def is_zero(self) -> bool:
        """Whether every asset sums to zero."""
        return not any(asset.sum_atoms for asset in self.assets)


class LedgerCheck(msgspec.Struct, frozen=True):
    """The last check of every ledger entry against every balance; problems by asset."""

    time_ms: int
    duration_ms: int
    balances: int
    entries: int
    problems: dict[int, list[str]]


EXTERNAL_NAME = account_name(SystemAccount.EXTERNAL).removeprefix("account ")


def trial_balance(*, time_ms: int, duration_ms: int = 0) -> TrialBalance:
    """Return the trial balance of one committed moment; reads every balance."""
    sums: dict[int, dict[str, int]] = {}
    exchange: dict[int, dict[str, int]] = {}
    count = 0
    with read_snapshot():
        cache_clear()
        for asset in assets_all():
            sums[asset.asset_id], exchange[asset.asset_id] = {}, {}
        isolated = standing_all().isolated
        for account_id, wallet, asset_id, total_atoms, held_atoms in balance_rows():
            count += 1
            if is_system_account(account_id):
                name = account_name(account_id).removeprefix("account ")
                own = exchange.setdefault(asset_id, {})
                own[name] = own.get(name, 0) + total_atoms
                continue
            _add(sums, asset_id, WalletKind(wallet).name, total_atoms)
            _add(sums, asset_id, "HELD", held_atoms)
    for (account_id, asset_id), total_atoms in isolated.items():
        if is_system_account(account_id):
            own = exchange.setdefault(asset_id, {})
            name = f"{account_name(account_id).removeprefix('account ')} isolated"
            own[name] = own.get(name, 0) + total_atoms
        else:
            _add(sums, asset_id, WalletKind.ISOLATED.name, total_atoms)
    assets = [
        AssetTrial(
            asset_id=asset_id,
            spot_atoms=found.get(WalletKind.SPOT.name, 0),
            margin_atoms=found.get(WalletKind.MARGIN.name, 0),
            isolated_atoms=found.get(WalletKind.ISOLATED.name, 0),
            held_atoms=found.get("HELD", 0),
            exchange=exchange.get(asset_id, {}),
        )
        for asset_id, found in sorted(sums.items())
    ]
    return TrialBalance(time_ms, duration_ms, count, assets)


def _add(sums: dict[int, dict[str, int]], asset_id: int, name: str, atoms: int) -> None:
    own = sums.setdefault(asset_id, {})
    own[name] = own.get(name, 0) + atoms


def ledger_check(*, time_ms: int) -> LedgerCheck:
    """Check every ledger entry and balance against each other in one snapshot."""
    with read_snapshot():
        cache_clear()
        assets = [asset.asset_id for asset in assets_all()]
        reports = verify_ledger(asset_ids=assets, needs=holds_needed(), standing=standing_all())
    return LedgerCheck(
        time_ms=time_ms,
        duration_ms=0,
        balances=sum(report.balances for report in reports),
        entries=sum(report.entries for report in reports),
        problems={
            report.asset_id: report.problems[:PROBLEMS_KEPT_MAX]
            for report in reports
            if not report.ok
        },
    )


def _trial_key() -> str:
    return redis_clients.key("trial-balance")


def _check_key() -> str:
    return redis_clients.key("ledger-check")


def keep_trial(client: redis.Redis, trial: TrialBalance) -> None:
    """Keep a trial balance for operators to look at."""
    client.set(_trial_key(), msgspec.json.encode(trial))


def kept_trial(client: redis.Redis) -> TrialBalance | None:
    """Return the last trial balance, None before the first."""
    raw = client.get(_trial_key())
    return None if raw is None else msgspec.json.decode(raw, type=TrialBalance)


def keep_check(client: redis.Redis, check: LedgerCheck) -> None:
    """Keep the result of a check for operators to look at."""
    client.set(_check_key(), msgspec.json.encode(check))


def kept_check(client: redis.Redis) -> LedgerCheck | None:
    """Return the result of the last check, None before the first."""
    raw = client.get(_check_key())
    return None if raw is None else msgspec.json.decode(raw, type=LedgerCheck)
