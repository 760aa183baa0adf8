"""What users do: ask for a withdrawal, and take that back."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError

from accounts import audit
from accounts.credential_age import check_credentials_old_enough
from accounts.switches import check_withdrawals
from common.db import atomic
from common.errors import ApiError, FieldError, not_found
from common.tiers import Tier
from exchange.core.rejects import Code
from exchange.core.units import format_atoms
from exchange.errors import ExchangeBusy, ExchangeUnavailable, StatusUnknown
from markets.types import AssetInfo
from wallets.enums import SHOWN, WAITING, WithdrawalState
from wallets.models import Withdrawal
from wallets.withdrawals import money
from wallets.withdrawals.addresses import check_usable
from wallets.withdrawals.changes import now_ms, settle, state_move, wrong_state
from wallets.withdrawals.selectors import info_of
from wallets.withdrawals.terms import check_open, terms_of
from wallets.withdrawals.types import Payee, TermsInfo, WithdrawalInfo

WINDOW_MS = 24 * 3_600_000
# Rows of one account's day that are added up; whoever has more has to wait.
WINDOW_ROWS_MAX = 1_000
# What one account may have waiting for operators.
WAITING_MAX = 50
_COUNTED = (WithdrawalState.OPENING, *WAITING, WithdrawalState.SENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A withdrawal that was asked for, now or (``repeated``) before under the same client id."""

    withdrawal: WithdrawalInfo
    repeated: bool


def withdrawal_request(
    *,
    account_id: int,
    actor: audit.Actor,
    tier: Tier,
    asset: AssetInfo,
    amount_atoms: int,
    payee: Payee,
    client_id: str,
) -> Asked:
    """
    Ask for an amount to be paid out; it leaves the spot wallet at once, with the fee on top.

    Written down first, then held by the exchange, then shown: a request that is cut off between
    is completed or forgotten by the sweep, never half there. Must not run in a transaction.

    Raises:
        ApiError: 409 ``WITHDRAWAL_ID_CONFLICT``; 422 ``WITHDRAWALS_FROZEN``,
            ``WITHDRAWALS_CLOSED``, ``WITHDRAWALS_HALTED``, ``CREDENTIALS_CHANGED``,
            ``ADDRESS_UNKNOWN``, ``ADDRESS_TOO_NEW``, ``WITHDRAWAL_TOO_SMALL``,
            ``WITHDRAWAL_LIMIT``, ``WITHDRAWALS_WAITING``, or what the exchange refuses it with.
        ExchangeError: if the exchange cannot take it, or has not answered: then the same request
            under the same client id tells what became of it.
    """
    first = Withdrawal.objects.filter(account_id=account_id, client_id=client_id).first()
    terms = terms_of(asset.asset_id)
    now = now_ms()
    row = Withdrawal(
        account_id=account_id,
        asset_id=asset.asset_id,
        amount_atoms=amount_atoms,
        fee_atoms=terms.fee_atoms,
        network=payee.network,
        address=payee.address,
        memo=payee.memo,
        client_id=client_id,
        state=WithdrawalState.OPENING,
        created_ms=now,
        changed_ms=now,
    )
    if first is not None:
        return _repeated(first, row)
    _check(row, payee, terms, asset)
    try:
        with atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        first = Withdrawal.objects.filter(account_id=account_id, client_id=client_id).first()
        if first is None:
            # The other request of this id was refused meanwhile and left nothing.
            raise ExchangeBusy from error
        return _repeated(first, row)
    try:
        # Visible to the account's other requests before they are added up: of two at once that
        # only together pass the limit, at least one is refused.
        _check_day(row, terms, tier)
        money.hold(row)
    except (ApiError, ExchangeBusy, ExchangeUnavailable) as error:
        # What never happens leaves nothing; what an operator may yet release from quarantine,
        # or nobody knows of, is for the sweep.
        if getattr(error, "code", "") != Code.QUARANTINED.name:
            Withdrawal.objects.filter(id=row.pk, state=WithdrawalState.OPENING).delete()
        raise
    with atomic():
        state_move(row, WithdrawalState.REQUESTED, actor=actor)
    row.refresh_from_db()
    return Asked(withdrawal=info_of(row), repeated=False)


def withdrawal_cancel(*, account_id: int, actor: audit.Actor, withdrawal_id: int) -> WithdrawalInfo:
    """
    Take a request back that nobody approved yet; its money returns, fee included.

    If the exchange is away the money follows when it is back (``settled_ms`` says when).

    Raises:
        ApiError: 404; 409 ``WITHDRAWAL_STATE`` if it was decided meanwhile.
    """
    row = Withdrawal.objects.filter(
        id=withdrawal_id, account_id=account_id, state__in=SHOWN
    ).first()
    if row is None:
        raise not_found()
    if row.state != WithdrawalState.REQUESTED:
        raise wrong_state(row.state)
    with atomic():
        moved = state_move(row, WithdrawalState.CANCELLED, actor=actor, ended_by=actor.username)
    if not moved:
        row.refresh_from_db()
        raise wrong_state(row.state)
    settle(row)
    return info_of(row)


def _repeated(first: Withdrawal, row: Withdrawal) -> Asked:
    """Answer a request that came before as the first one; another under its id conflicts."""
    same = ("asset_id", "amount_atoms", "network", "address", "memo")
    if any(getattr(first, name) != getattr(row, name) for name in same):
        raise ApiError(
            "WITHDRAWAL_ID_CONFLICT",
            "This client_withdrawal_id was used for a different request.",
            409,
        )
    if first.state == WithdrawalState.OPENING:
        raise StatusUnknown
    return Asked(withdrawal=info_of(first), repeated=True)


def _check(row: Withdrawal, payee: Payee, terms: TermsInfo, asset: AssetInfo) -> None:
    check_withdrawals(row.account_id)
    check_open(terms)
    check_credentials_old_enough(row.account_id, delay_ms=settings.WITHDRAWAL_DELAY_MS)
    if row.amount_atoms <= 0:
        raise FieldError(field="amount", code="OUT_OF_RANGE")
    if row.amount_atoms < terms.minimum_atoms:
        least = format_atoms(terms.minimum_atoms, asset.decimals)
        raise ApiError(
            "WITHDRAWAL_TOO_SMALL", f"The least is {least} {asset.code}, without the fee.", 422
        )
    check_usable(account_id=row.account_id, asset_id=asset.asset_id, payee=payee)
    waiting = Withdrawal.objects.filter(account_id=row.account_id, state__in=WAITING)
    if waiting.count() >= WAITING_MAX:
        raise ApiError(
            "WITHDRAWALS_WAITING", f"{WAITING_MAX} withdrawals of this account wait already.", 422
        )


def _check_day(row: Withdrawal, terms: TermsInfo, tier: Tier) -> None:
    """Refuse what, with all that was asked for within a day, passes the limit of the tier."""
    limit_atoms = terms.daily_atoms[tier]
    if not limit_atoms:
        return
    day = Withdrawal.objects.filter(
        account_id=row.account_id,
        asset_id=row.asset_id,
        state__in=_COUNTED,
        created_ms__gt=row.created_ms - WINDOW_MS,
    )
    amounts = list(day.order_by("-id").values_list("amount_atoms", flat=True)[:WINDOW_ROWS_MAX])
    if len(amounts) == WINDOW_ROWS_MAX or sum(amounts) > limit_atoms:
        raise ApiError(
            "WITHDRAWAL_LIMIT", "That is more than this account may withdraw within a day.", 422
        )
