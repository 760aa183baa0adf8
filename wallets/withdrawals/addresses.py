"""The address book: where an account may withdraw to, and since when."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import IntegrityError

from accounts import audit
from accounts.notices import account_tell
from common.back_office import shown_time
from common.db import atomic
from common.errors import ApiError, not_found
from markets.selectors import asset_by_id
from wallets.models import WithdrawalAddress
from wallets.withdrawals.changes import now_ms
from wallets.withdrawals.types import AddressInfo, Payee

ADDRESSES_MAX = 100


def address_add(
    *,
    account_id: int,
    actor: audit.Actor,
    asset_id: int,
    label: str,
    payee: Payee,
    delay_ms: int | None = None,
) -> AddressInfo:
    """
    Write an address into an account's book, usable after the delay; its user is told.

    The delay is ``settings.WITHDRAWAL_DELAY_MS`` unless given.

    Raises:
        ApiError: 409 ``ADDRESS_EXISTS``, 422 ``ADDRESS_LIMIT``.
    """
    if WithdrawalAddress.objects.filter(account_id=account_id).count() >= ADDRESSES_MAX:
        raise ApiError("ADDRESS_LIMIT", f"An account keeps {ADDRESSES_MAX} addresses.", 422)
    now = now_ms()
    row = WithdrawalAddress(
        account_id=account_id,
        asset_id=asset_id,
        label=label,
        created_ms=now,
        usable_ms=now + (settings.WITHDRAWAL_DELAY_MS if delay_ms is None else delay_ms),
        **_columns(payee),
    )
    code = asset_by_id(asset_id).code
    try:
        with atomic():
            row.save(force_insert=True)
            _record(row, actor, "withdrawal_address.add")
            account_tell(
                account_id=account_id,
                subject="New withdrawal address",
                text=f"A new address for {code} was added: {label}. It can be used from"
                f" {_time(row.usable_ms)} on. If that was not you, delete it and change your"
                " password.",
            )
    except IntegrityError as error:
        raise ApiError("ADDRESS_EXISTS", "This address is in the book already.", 409) from error
    return _info(row)


def address_remove(*, account_id: int, actor: audit.Actor, address_id: int) -> None:
    """
    Take an address out of an account's book; withdrawals to it that were asked for go on.

    Raises:
        ApiError: 404 if there is none.
    """
    with atomic():
        row = WithdrawalAddress.objects.filter(id=address_id, account_id=account_id).first()
        if row is None or not WithdrawalAddress.objects.filter(id=row.pk).delete()[0]:
            raise not_found()
        _record(row, actor, "withdrawal_address.remove")


def addresses_page(
    account_id: int, *, limit: int, below_id: int | None = None
) -> list[AddressInfo]:
    """Return one more than ``limit`` addresses of an account if there are, the newest first."""
    rows = WithdrawalAddress.objects.filter(account_id=account_id).order_by("-id")
    if below_id is not None:
        rows = rows.filter(id__lt=below_id)
    return [_info(row) for row in rows[: limit + 1]]


def check_usable(*, account_id: int, asset_id: int, payee: Payee) -> None:
    """
    Do nothing if an account may withdraw to an address now.

    Raises:
        ApiError: 422 ``ADDRESS_UNKNOWN`` or ``ADDRESS_TOO_NEW``.
    """
    row = WithdrawalAddress.objects.filter(
        account_id=account_id, asset_id=asset_id, **_columns(payee)
    ).first()
    if row is None:
        raise ApiError("ADDRESS_UNKNOWN", "Add this address to the address book first.", 422)
    if row.usable_ms > now_ms():
        raise ApiError(
            "ADDRESS_TOO_NEW", f"This address can be used from {_time(row.usable_ms)} on.", 422
        )


def _columns(payee: Payee) -> dict[str, Any]:
    return {"network": payee.network, "address": payee.address, "memo": payee.memo}


def _record(row: WithdrawalAddress, actor: audit.Actor, action: str) -> None:
    audit.record(
        actor=actor,
        action=action,
        target=f"account:{row.account_id}",
        after={
            "address_id": str(row.pk),
            "currency": asset_by_id(row.asset_id).code,
            "label": row.label,
            "network": row.network,
            "address": row.address,
            "memo": row.memo,
        },
    )


def _time(time_ms: int) -> str:
    return f"{shown_time(time_ms):%Y-%m-%d %H:%M} UTC"


def _info(row: WithdrawalAddress) -> AddressInfo:
    return AddressInfo(
        address_id=row.pk,
        account_id=row.account_id,
        asset_id=row.asset_id,
        label=row.label,
        payee=Payee(network=row.network, address=row.address, memo=row.memo),
        created_ms=row.created_ms,
        usable_ms=row.usable_ms,
    )
