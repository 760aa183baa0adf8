"""Traders who withdraw, and what the books say of it."""

from __future__ import annotations

import json
from typing import Any

from common.tiers import Tier
from exchange.core.enums import SystemAccount
from exchange.core.units import ATOMS
from tests.support.exchange import USDT, ExchangeHarness
from tests.support.staff import Staff
from tests.support.trading import Trader
from wallets.models import Withdrawal, WithdrawalAddress, WithdrawalTerms
from wallets.withdrawals.terms import terms_set
from wallets.withdrawals.types import TermsInfo

ADDRESS = "0xfeedface00000000000000000000000000000001"


def open_terms(*, minimum: int = 10, fee: int = 1, daily: int = 0) -> None:
    """Let USDT be withdrawn, in whole units; a daily limit of 0 is none."""
    terms_set(
        TermsInfo(
            asset_id=USDT,
            is_open=True,
            minimum_atoms=minimum * ATOMS,
            fee_atoms=fee * ATOMS,
            daily_atoms=dict.fromkeys((Tier.TRADER, Tier.MAKER, Tier.INTERNAL), daily * ATOMS),
        )
    )
    assert WithdrawalTerms.objects.filter(id=USDT, is_open=True).exists()


def add_address(trader: Trader, *, usable: bool = True, **fields: Any) -> dict[str, Any]:
    """Write an address into a trader's book, by default one that is old enough."""
    body = {"currency": "USDT", "address": ADDRESS, "label": "cold store", **fields}
    answer = trader.api.post("/api/wallet/addresses", body)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    if usable:
        WithdrawalAddress.objects.filter(id=int(found["id"])).update(usable_ms=0)
    return found


def withdraw(trader: Trader, /, code: str = "", **fields: Any) -> Any:
    """Ask for 100 USDT unless fields say otherwise; a field of None is left out."""
    body = {
        "currency": "USDT",
        "amount": "100",
        "address": ADDRESS,
        "client_withdrawal_id": "w-1",
        **fields,
    }
    sent = {name: value for name, value in body.items() if value is not None}
    headers = {"X-2FA-Code": code} if code else {}
    return trader.api.post("/api/wallet/withdrawals", sent, headers)


def requested(trader: Trader, /, **fields: Any) -> dict[str, Any]:
    """Ask for a withdrawal that must be accepted and return it."""
    answer = withdraw(trader, **fields)
    assert answer.status_code == 201, answer.content
    found: dict[str, Any] = answer.json()
    return found


def operate(staff: Staff, withdrawal: dict[str, Any], action: str, /, **fields: Any) -> Any:
    """Carry out an operation on a withdrawal over REST."""
    body = {"reason": "drill", **fields}
    return staff.api.post(f"/api/admin/withdrawals/{withdrawal['id']}/{action}", body)


def spot_of(harness: ExchangeHarness, account_id: int) -> int:
    """Return the USDT of a spot wallet in atoms, 0 without one."""
    found = [
        wallet.total_atoms
        for wallet in harness.exchange.image().wallets
        if (wallet.account_id, wallet.asset_id, wallet.kind.name) == (account_id, USDT, "SPOT")
    ]
    return found[0] if found else 0


def books(harness: ExchangeHarness, trader: Trader) -> tuple[str, str, str]:
    """Return whole USDT of the trader's spot wallet, of pending withdrawals and of fees."""
    accounts = (trader.account_id, SystemAccount.WITHDRAWALS, SystemAccount.FEES)
    return tuple(f"{spot_of(harness, int(account)) / ATOMS:g}" for account in accounts)  # type: ignore[return-value]


def states() -> list[str]:
    """Return the states of all withdrawals, oldest first."""
    return list(Withdrawal.objects.order_by("id").values_list("state", flat=True))


def after_of(event: Any) -> dict[str, Any]:
    """Return what an audit event says is so now."""
    found: dict[str, Any] = json.loads(event.after or "{}")
    return found
