"""What operators do to withdrawals, and to the terms on which assets are withdrawn."""

from __future__ import annotations

from functools import partial
from typing import Any

from accounts.operation_fields import decimal, flag, text
from accounts.operation_targets import refuse_own_account
from accounts.operations import Call, Done, Operation, Target, TargetKind, call_tell
from accounts.permissions import Permission
from accounts.switches import check_withdrawals
from accounts.user_operations import nothing_to_change
from common.db import atomic
from common.errors import FieldError, not_found
from common.ids import parse_id
from common.openapi import BOOLEAN, DECIMAL, IDENTIFIER, TEXT, TEXT_OR_NULL
from common.tiers import Tier
from exchange.core.units import ATOMS, format_atoms
from markets.operations import ASSET
from markets.types import AssetInfo
from markets.valuation import value_in_usdt
from wallets.enums import EDGES, SHOWN, WithdrawalState
from wallets.withdrawals.deciding import (
    check_may_become,
    withdrawal_approve,
    withdrawal_mark_sent,
    withdrawal_reject,
)
from wallets.withdrawals.render import render_for_operators
from wallets.withdrawals.selectors import withdrawal_of
from wallets.withdrawals.terms import asset_release, check_not_halted, terms_of, terms_set
from wallets.withdrawals.types import TermsInfo, WithdrawalInfo

_STATE = WithdrawalState
TRANSACTION_ID_LENGTH_MAX = 128
_DAILY = {f"daily_limit_{tier.value}": tier for tier in (Tier.TRADER, Tier.MAKER, Tier.INTERNAL)}
_STATUS = {"type": "string", "enum": [state.value for state in SHOWN]}
_ANSWER: dict[str, Any] = {
    "id": IDENTIFIER,
    "account_id": IDENTIFIER,
    "currency": {**TEXT, "example": "USDT"},
    "amount": DECIMAL,
    "fee": DECIMAL,
    "status": _STATUS,
    "transaction_id": TEXT_OR_NULL,
}
_TERMS_ANSWER: dict[str, Any] = {
    "currency": {**TEXT, "example": "USDT"},
    "open": BOOLEAN,
    "minimum": DECIMAL,
    "fee": DECIMAL,
    **{name: {**DECIMAL, "description": "Of 24 hours; 0: no limit."} for name in _DAILY},
    "halted_because": TEXT_OR_NULL,
}


def _find(key: str) -> Target:
    number = parse_id(key)
    if number is None:
        raise not_found()
    info = withdrawal_of(number)
    shown = render_for_operators(info)
    return Target(
        key=key,
        label=f"withdrawal of {shown['amount']} {shown['currency']} to {info.address[:80]}",
        audit_name=f"withdrawal:{key}",
        subject=info,
        account_id=info.account_id,
    )


WITHDRAWAL = TargetKind(
    name="withdrawal",
    collection="withdrawals",
    parameter="withdrawal_id",
    find=_find,
    description="Id of the withdrawal.",
)


def _info(call: Call) -> WithdrawalInfo:
    info: WithdrawalInfo = call.target.subject
    return info


def _done(info: WithdrawalInfo) -> Done:
    shown = render_for_operators(info)
    return Done(answer={name: shown[name] for name in _ANSWER})


def _notes(call: Call) -> dict[str, Any]:
    return {**call.notes, "result": "OK"}


def _check_approve(call: Call) -> None:
    info = _info(call)
    refuse_own_account(call)
    # Who repeats a request is answered as the first time, also where that approved it; and what
    # this very request approved before it was cut off is done.
    repeats = call.client_request_id if not call.request_id else info.approval_id == call.request_id
    if not repeats:
        check_may_become(info.state, _STATE.APPROVED)
    check_withdrawals(info.account_id)
    check_not_halted(terms_of(info.asset_id))


def _weigh(call: Call) -> int | None:
    info = _info(call)
    return value_in_usdt(info.asset_id, info.amount_atoms + info.fee_atoms)


def _approve(call: Call) -> Done:
    return _done(
        withdrawal_approve(
            withdrawal_id=_info(call).withdrawal_id,
            actor=call.actor,
            signed_by=call.signed_by,
            reason=call.reason,
            approval_id=call.request_id,
            notes=_notes(call),
        )
    )


def _check_edge(target: WithdrawalState, call: Call) -> None:
    refuse_own_account(call)
    check_may_become(_info(call).state, target)


def _reject(call: Call) -> Done:
    return _done(
        withdrawal_reject(
            withdrawal_id=_info(call).withdrawal_id,
            actor=call.actor,
            reason=call.reason,
            notes=_notes(call),
        )
    )


def _mark_sent(call: Call) -> Done:
    return _done(
        withdrawal_mark_sent(
            withdrawal_id=_info(call).withdrawal_id,
            actor=call.actor,
            transaction_id=call.values["transaction_id"],
            reason=call.reason,
            notes=_notes(call),
        )
    )


def _may_become(target_state: WithdrawalState, target: Target) -> bool:
    info: WithdrawalInfo = target.subject
    return target_state in EDGES[info.state]


def _operation(
    action: str, title: str, description: str, target_state: WithdrawalState, **more: Any
) -> Operation:
    more.setdefault("check", partial(_check_edge, target_state))
    return Operation(
        name=f"withdrawal-{action}",
        title=title,
        description=description,
        target=WITHDRAWAL,
        permission=Permission.MONEY_MANAGE,
        answer=_ANSWER,
        step_up=True,
        danger=True,
        audits_itself=True,
        applies=partial(_may_become, target_state),
        **more,
    )


def _asset(target: Target) -> AssetInfo:
    asset: AssetInfo = target.subject
    return asset


def render_terms(terms: TermsInfo, asset: AssetInfo) -> dict[str, Any]:
    """Return an asset's terms as operators see them."""
    return {
        "currency": asset.code,
        "open": terms.is_open,
        "minimum": format_atoms(terms.minimum_atoms, asset.decimals),
        "fee": format_atoms(terms.fee_atoms, asset.decimals),
        **{
            name: format_atoms(terms.daily_atoms[tier], asset.decimals)
            for name, tier in _DAILY.items()
        },
        "halted_because": terms.halted_because or None,
    }


def _set_terms(call: Call) -> Done:
    asset = _asset(call.target)
    unit = ATOMS // 10**asset.decimals
    for name in ("minimum", "fee", *_DAILY):
        if call.values[name] % unit:
            raise FieldError(field=name, code="TOO_MANY_DECIMALS")
    before = terms_of(asset.asset_id)
    with atomic():
        terms_set(
            TermsInfo(
                asset_id=asset.asset_id,
                is_open=call.values["open"],
                minimum_atoms=call.values["minimum"],
                fee_atoms=call.values["fee"],
                daily_atoms={tier: call.values[name] for name, tier in _DAILY.items()},
            )
        )
        answer = render_terms(terms_of(asset.asset_id), asset)
        call_tell(call, "OK", before=render_terms(before, asset), after=answer)
    return Done(answer=answer)


def _initial_terms(target: Target) -> dict[str, Any]:
    asset = _asset(target)
    shown = render_terms(terms_of(asset.asset_id), asset)
    return {name: shown[name] for name in ("open", "minimum", "fee", *_DAILY)}


def _release(call: Call) -> Done:
    asset = _asset(call.target)
    with atomic():
        before = terms_of(asset.asset_id)
        if not asset_release(asset.asset_id):
            raise nothing_to_change()
        call_tell(call, "OK", before={"halted_because": before.halted_because})
    return Done(answer=render_terms(terms_of(asset.asset_id), asset))


OPERATIONS = (
    _operation(
        "approve",
        "Approve",
        "Agree to pay it out. Above the daily limit of an operator it waits for a second person.",
        _STATE.APPROVED,
        perform=_approve,
        check=_check_approve,
        weigh=_weigh,
        refusals={
            404: ("NOT_FOUND",),
            409: ("WITHDRAWAL_STATE",),
            422: ("OWN_ACCOUNT", "WITHDRAWALS_FROZEN", "WITHDRAWALS_HALTED"),
        },
    ),
    _operation(
        "reject",
        "Reject",
        "Nothing is paid out and the money returns, fee included; the user reads the reason."
        " Never reject what has been sent.",
        _STATE.REJECTED,
        perform=_reject,
        refusals={404: ("NOT_FOUND",), 409: ("WITHDRAWAL_STATE",), 422: ("OWN_ACCOUNT",)},
    ),
    _operation(
        "sent",
        "Mark as sent",
        "It was paid out: the amount leaves the books, the fee is earned. This cannot be undone.",
        _STATE.SENT,
        perform=_mark_sent,
        fields=(
            text(
                "transaction_id",
                "Of the payment, as its network knows it.",
                length_max=TRANSACTION_ID_LENGTH_MAX,
                example="0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060",
            ),
        ),
        refusals={404: ("NOT_FOUND",), 409: ("WITHDRAWAL_STATE",), 422: ("OWN_ACCOUNT",)},
    ),
    Operation(
        name="asset-withdrawal-terms",
        title="Terms of withdrawals",
        description="Whether users may withdraw it, from which amount on, at which fee, and how"
        " much within 24 hours. What was asked for before keeps its fee.",
        target=ASSET,
        permission=Permission.MONEY_MANAGE,
        perform=_set_terms,
        answer=_TERMS_ANSWER,
        fields=(
            flag("open", "Whether users may ask for withdrawals."),
            decimal("minimum", "Least amount, without the fee.", example="10"),
            decimal("fee", "On top of the amount, for each withdrawal.", example="1"),
            *(
                decimal(
                    name,
                    f"Most that an account of the tier {tier.value} asks for within 24 hours;"
                    " 0: no limit.",
                    example="50000",
                )
                for name, tier in _DAILY.items()
            ),
        ),
        refusals={404: ("ASSET_NOT_FOUND",)},
        audits_itself=True,
        initial=_initial_terms,
    ),
    Operation(
        name="asset-release-withdrawals",
        title="Lift the halt of withdrawals",
        description="The books of this asset did not add up. Lift the halt once they do.",
        target=ASSET,
        permission=Permission.MONEY_MANAGE,
        perform=_release,
        answer=_TERMS_ANSWER,
        refusals={404: ("ASSET_NOT_FOUND",), 409: ("NOTHING_TO_CHANGE",)},
        step_up=True,
        danger=True,
        audits_itself=True,
        applies=lambda target: bool(terms_of(_asset(target).asset_id).halted_because),
    ),
)
