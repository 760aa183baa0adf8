"""On which terms assets are withdrawn, and the halt of an asset whose ledger is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError

from accounts import audit
from common.db import atomic
from common.errors import ApiError
from common.tiers import Tier
from wallets.models import WithdrawalTerms
from wallets.render import asset_code
from wallets.withdrawals.types import TermsInfo

PLATFORM = "platform"
_COLUMNS = {
    Tier.TRADER: "daily_trader_atoms",
    Tier.MAKER: "daily_maker_atoms",
    Tier.INTERNAL: "daily_internal_atoms",
}
_CLOSED: dict[str, Any] = {
    "minimum_atoms": 0,
    "fee_atoms": 0,
    **dict.fromkeys(_COLUMNS.values(), 0),
}


def terms_of(asset_id: int) -> TermsInfo:
    """Return the terms of an asset; closed ones where none were ever set."""
    row = WithdrawalTerms.objects.filter(id=asset_id).first()
    return _info(row if row is not None else WithdrawalTerms(id=asset_id, **_CLOSED))


def terms_all() -> dict[int, TermsInfo]:
    """Return the terms of every asset that has some, by asset."""
    return {row.id: _info(row) for row in WithdrawalTerms.objects.order_by("id")}


def terms_set(terms: TermsInfo) -> None:
    """Write an asset's terms, its halt aside; the caller records it in the same transaction."""
    values = {
        "is_open": terms.is_open,
        "minimum_atoms": terms.minimum_atoms,
        "fee_atoms": terms.fee_atoms,
        **{column: terms.daily_atoms[tier] for tier, column in _COLUMNS.items()},
    }
    if not WithdrawalTerms.objects.filter(id=terms.asset_id).update(**values):
        WithdrawalTerms.objects.create(id=terms.asset_id, **values)


def assets_halt(problems: Mapping[int, str]) -> list[int]:
    """
    Halt the withdrawals of assets whose books do not add up; returns those newly halted.

    One audit event for each. An operator lifts a halt once the cause is found.
    """
    halted = []
    for asset_id, because in problems.items():
        with atomic():
            if not _halt(asset_id, because[:200]):
                continue
            audit.record(
                actor=PLATFORM,
                action="asset.halt_withdrawals",
                target=f"asset:{asset_id}",
                after={"because": because[:200]},
            )
        halted.append(asset_id)
    return halted


def asset_release(asset_id: int) -> bool:
    """Lift the halt of an asset; whether there was one. The caller records it."""
    halted = WithdrawalTerms.objects.filter(id=asset_id, halted_because__gt="")
    return bool(halted.update(halted_because=""))


def check_open(terms: TermsInfo) -> None:
    """
    Do nothing if an asset may be withdrawn now.

    Raises:
        ApiError: 422 ``WITHDRAWALS_CLOSED`` or ``WITHDRAWALS_HALTED``.
    """
    check_not_halted(terms)
    if not terms.is_open:
        raise ApiError("WITHDRAWALS_CLOSED", "This currency is not withdrawn here.", 422)


def check_not_halted(terms: TermsInfo) -> None:
    """
    Do nothing unless an asset's withdrawals are halted.

    Raises:
        ApiError: 422 ``WITHDRAWALS_HALTED``.
    """
    if terms.halted_because:
        raise ApiError(
            "WITHDRAWALS_HALTED",
            "Withdrawals of this currency are halted until its books have been checked.",
            422,
        )


def _halt(asset_id: int, because: str) -> bool:
    rows = WithdrawalTerms.objects.filter(id=asset_id)
    if rows.filter(halted_because="").update(halted_because=because):
        return True
    if rows.exists():
        return False
    try:
        with atomic():
            WithdrawalTerms.objects.create(id=asset_id, halted_because=because, **_CLOSED)
    except IntegrityError:
        return False
    return True


def halted_currencies() -> list[str]:
    """Return the codes of all assets whose withdrawals are halted."""
    halted = WithdrawalTerms.objects.filter(halted_because__gt="").order_by("id")
    return [asset_code(asset_id) for asset_id in halted.values_list("id", flat=True)]


def _info(row: WithdrawalTerms) -> TermsInfo:
    return TermsInfo(
        asset_id=row.id,
        is_open=row.is_open,
        minimum_atoms=row.minimum_atoms,
        fee_atoms=row.fee_atoms,
        daily_atoms={tier: getattr(row, column) for tier, column in _COLUMNS.items()},
        halted_because=row.halted_because,
    )
