"""How old a user's password and second factor are: what was just changed lets no money out."""

from __future__ import annotations

from django.utils import timezone

from accounts.models import User
from common.errors import ApiError


def credentials_changed(user_id: int) -> None:
    """Note that password or second factor changed now; in the transaction of the change."""
    User.objects.filter(id=user_id).update(credentials_changed_ms=_now_ms())


def check_credentials_old_enough(account_id: int, *, delay_ms: int) -> None:
    """
    Do nothing unless the credentials of an account's user changed within the delay.

    Raises:
        ApiError: 422 ``CREDENTIALS_CHANGED``.
    """
    owner = User.objects.filter(account_id=account_id)
    changed_ms = owner.values_list("credentials_changed_ms", flat=True).first() or 0
    if changed_ms > _now_ms() - delay_ms:
        raise ApiError(
            "CREDENTIALS_CHANGED",
            "Password or second factor changed lately; withdrawals wait for that long.",
            422,
        )


def _now_ms() -> int:
    return int(timezone.now().timestamp() * 1000)
