"""Moving money between wallets of users."""

from __future__ import annotations

import hashlib

from accounts.opening import account_open
from accounts.selectors import account_id_by_username
from accounts.switches import check_withdrawals
from common.deadline import deadline_left_ms
from common.decimals import parse_atoms
from common.errors import ApiError, FieldError, raise_for_outcome
from common.request_id import current_request_id
from exchange import gateway
from exchange.core.commands import Transfer
from exchange.core.enums import WalletKind
from exchange.core.events import Outcome
from exchange.core.rejects import MESSAGES, Code, http_status
from markets.selectors import AssetNotFound, asset_by_code
from markets.types import AssetInfo
from wallets.types import TransferResult


def transfer_make(
    *,
    account_id: int,
    currency: str,
    amount: object,
    wallet: WalletKind,
    target_wallet: WalletKind,
    username: str = "",
    client_transfer_id: str = "",
) -> TransferResult:
    """
    Move an available amount to another wallet of the user, or to another user.

    Raises:
        ApiError: ``ASSET_NOT_FOUND`` or ``RECIPIENT_NOT_FOUND`` (404), ``WITHDRAWALS_FROZEN``
            (422), or the exchange's refusal.
        FieldError: if the amount is not a positive decimal in the currency's decimals.
        ExchangeError: if the exchange cannot take or has not answered it.
    """
    asset = asset_of(currency)
    amount_atoms = parse_atoms(amount, field="amount", decimals=asset.decimals)
    if amount_atoms == 0:
        raise FieldError(field="amount", code="OUT_OF_RANGE")
    target_account_id = _account_of(username) if username else account_id
    if target_account_id != account_id:
        check_withdrawals(account_id)
    command = Transfer(
        account_id=account_id,
        wallet=wallet,
        target_account_id=target_account_id,
        target_wallet=target_wallet,
        asset_id=asset.asset_id,
        amount_atoms=amount_atoms,
        client_transfer_id=client_transfer_id,
        request_hash=_request_hash(
            target_account_id, wallet, target_wallet, asset.asset_id, amount_atoms
        ),
    )
    outcome = _submit(command)
    raise_for_outcome(outcome)
    return TransferResult(
        transfer_id=outcome.reference_id,
        asset_id=asset.asset_id,
        amount_atoms=amount_atoms,
        wallet=wallet,
        target_wallet=target_wallet,
        username=username,
        client_transfer_id=client_transfer_id,
        repeated=outcome.repeated,
    )


def asset_of(currency: str) -> AssetInfo:
    """
    Return the asset with a code.

    Raises:
        ApiError: ``ASSET_NOT_FOUND`` (404).
    """
    try:
        return asset_by_code(currency)
    except AssetNotFound as error:
        code = Code.ASSET_NOT_FOUND
        raise ApiError(code.name, MESSAGES[code], http_status(code)) from error


def _account_of(username: str) -> int:
    account_id = account_id_by_username(username)
    if account_id is None:
        raise ApiError("RECIPIENT_NOT_FOUND", "There is no user with this name.", 404)
    return account_id


def _submit(command: Transfer) -> Outcome:
    """Submit; open either account on the exchange where it does not know it."""
    request_id = current_request_id()
    outcome = gateway.submit(command, request_id=request_id, age_max_ms=deadline_left_ms())
    if outcome.code == Code.ACCOUNT_NOT_FOUND:
        account_open(command.account_id)
        account_open(command.target_account_id)
        outcome = gateway.submit(command, request_id=request_id, age_max_ms=deadline_left_ms())
    return outcome


def _request_hash(*parts: int) -> int:
    """Return 63 bits that tell one transfer from another, however it was spelled."""
    text = ",".join(str(int(part)) for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
