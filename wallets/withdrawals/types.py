"""What withdrawals are outside their rows."""

from __future__ import annotations

from dataclasses import dataclass

from common.tiers import Tier
from wallets.enums import WithdrawalState


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawalInfo:
    """One withdrawal; amounts in atoms of its asset, times in UTC milliseconds (0: not yet)."""

    withdrawal_id: int
    account_id: int
    asset_id: int
    amount_atoms: int
    fee_atoms: int
    network: str
    address: str
    memo: str
    client_id: str
    state: WithdrawalState
    created_ms: int
    changed_ms: int
    settled_ms: int
    approval_id: int
    approved_by: str
    ended_by: str
    reason: str
    transaction_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsInfo:
    """On which terms an asset is withdrawn; ``daily_atoms`` is by limit tier, 0 is no limit."""

    asset_id: int
    is_open: bool = False
    minimum_atoms: int = 0
    fee_atoms: int = 0
    daily_atoms: dict[Tier, int]
    halted_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payee:
    """Where a withdrawal goes: network and memo are "" where there is none."""

    network: str
    address: str
    memo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressInfo:
    """An address of an account's book, usable from ``usable_ms`` on (UTC milliseconds)."""

    address_id: int
    account_id: int
    asset_id: int
    label: str
    payee: Payee
    created_ms: int
    usable_ms: int
