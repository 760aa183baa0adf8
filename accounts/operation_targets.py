"""Users and accounts as targets of operations."""

from __future__ import annotations

from accounts.models import Account, User
from accounts.operations import Call, Target, TargetKind
from common.errors import ApiError, not_found
from common.ids import parse_id


def _find_user(key: str) -> Target:
    user = User.objects.filter(id=parse_id(key) or 0).select_related("two_factor").first()
    if user is None:
        raise not_found()
    return Target(
        key=key,
        label=f"user {user.username}",
        audit_name=f"user:{user.pk}",
        subject=user,
        account_id=user.account_id,
        staff=user.is_staff,
    )


def _find_account(key: str) -> Target:
    account_id = parse_id(key) or 0
    owner = User.objects.filter(account_id=account_id).first()
    if owner is not None:
        return Target(
            key=key,
            label=f"account {key} of {owner.username}",
            audit_name=f"user:{owner.pk}",
            subject=account_id,
            account_id=account_id,
            staff=owner.is_staff,
        )
    if not Account.objects.filter(id=account_id).exists():
        raise not_found()
    return Target(
        key=key,
        label=f"account {key}",
        audit_name=f"account:{key}",
        subject=account_id,
        account_id=account_id,
    )


USER = TargetKind(
    name="user",
    collection="users",
    parameter="user_id",
    find=_find_user,
    description="Id of the user.",
)
ACCOUNT = TargetKind(
    name="account",
    collection="accounts",
    parameter="account_id",
    find=_find_account,
    description="Id of the account.",
)
EXCHANGE = TargetKind(
    name="exchange",
    collection="exchange",
    parameter="",
    find=lambda _key: Target(key="", label="the whole exchange", audit_name="exchange:all"),
)


def refuse_own_account(call: Call) -> None:
    """
    Do nothing unless an operator would touch what is its own.

    Raises:
        ApiError: 422 ``OWN_ACCOUNT``.
    """
    if call.target.account_id and call.target.account_id == call.actor.account_id:
        raise ApiError("OWN_ACCOUNT", "Nobody does that to an account of their own.", 422)
