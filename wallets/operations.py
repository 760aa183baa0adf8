"""What operators do to wallets: pay in and pay out, with a second person above a limit."""

from __future__ import annotations

from functools import partial

from accounts.opening import account_open
from accounts.operation_fields import OperationField, choice, decimal, text
from accounts.operation_targets import ACCOUNT, refuse_own_account
from accounts.operations import Call, Done, Operation
from accounts.operators import operator_submit
from accounts.permissions import Permission
from accounts.switches import check_withdrawals
from common.decimals import parse_atoms
from common.openapi import DECIMAL, IDENTIFIER, TEXT
from exchange.core.commands import Credit, Debit
from exchange.core.enums import WalletKind
from markets.types import AssetInfo
from markets.valuation import value_in_usdt
from wallets.services import asset_of

_WALLETS = (WalletKind.SPOT, WalletKind.MARGIN)

FIELDS: tuple[OperationField, ...] = (
    text("currency", "Code of the currency.", length_max=16, example="USDT"),
    decimal("amount", "How much.", positive=True, example="1000"),
    choice("wallet", "Into or out of which wallet.", _WALLETS),
)


def asset_and_amount(call: Call) -> tuple[AssetInfo, int]:
    """
    Return what a call with ``currency`` and ``amount`` moves, in atoms.

    Raises:
        ApiError: 404 ``ASSET_NOT_FOUND``, or 400 for more decimals than the asset has.
    """
    asset = asset_of(call.values["currency"])
    amount = parse_atoms(call.given["amount"], field="amount", decimals=asset.decimals)
    return asset, amount


def weigh(call: Call) -> int | None:
    """Return what a call moves in atoms of USDT, None if nobody knows what it is worth."""
    asset, amount_atoms = asset_and_amount(call)
    return value_in_usdt(asset.asset_id, amount_atoms)


def _move(command_type: type[Credit] | type[Debit], call: Call) -> Done:
    asset, amount_atoms = asset_and_amount(call)
    wallet: WalletKind = call.values["wallet"]
    # Opened at the first login, unless the exchange was away then.
    account_open(call.target.account_id)
    outcome = operator_submit(
        command_type(
            account_id=call.target.account_id,
            wallet=wallet,
            asset_id=asset.asset_id,
            amount_atoms=amount_atoms,
            reason=call.reason,
            actor=call.signed_by,
            client_transfer_id=call.once_key,
            request_hash=call.once_hash,
        )
    )
    return Done(
        answer={
            "transfer_id": str(outcome.reference_id),
            "account_id": str(call.target.account_id),
            "currency": asset.code,
            "amount": call.given["amount"],
            "wallet": wallet.name.lower(),
        },
        after={"transfer_id": str(outcome.reference_id)},
    )


def _check_debit(call: Call) -> None:
    refuse_own_account(call)
    check_withdrawals(call.target.account_id)


def _operation(
    action: str, title: str, description: str, command_type: type[Credit] | type[Debit]
) -> Operation:
    return Operation(
        name=f"account-{action}",
        title=title,
        description=description,
        target=ACCOUNT,
        permission=Permission.MONEY_MANAGE,
        perform=partial(_move, command_type),
        answer={
            "transfer_id": IDENTIFIER,
            "account_id": IDENTIFIER,
            "currency": {**TEXT, "example": "USDT"},
            "amount": DECIMAL,
            "wallet": {"type": "string", "enum": [kind.name.lower() for kind in _WALLETS]},
        },
        fields=FIELDS,
        refusals={
            404: ("NOT_FOUND", "ASSET_NOT_FOUND", "ACCOUNT_NOT_FOUND"),
            422: (
                "OWN_ACCOUNT",
                "INVALID_AMOUNT",
                "INSUFFICIENT_BALANCE",
                "BALANCE_LIMIT",
                "WITHDRAWALS_FROZEN",
            ),
        },
        step_up=True,
        danger=True,
        check=_check_debit if command_type is Debit else refuse_own_account,
        weigh=weigh,
    )


OPERATIONS = (
    _operation(
        "credit",
        "Credit (deposit)",
        "Pay into a wallet. Above the daily limit of an operator it waits for a second person.",
        Credit,
    ),
    _operation(
        "debit",
        "Debit (withdrawal)",
        "Pay out of a wallet what is available. Above the daily limit of an operator it waits"
        " for a second person.",
        Debit,
    ),
)
