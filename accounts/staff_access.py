"""The way back in for a member of staff who is locked out, from a shell alone."""

from __future__ import annotations

import secrets
from typing import Any

from accounts import audit
from accounts.api_keys import api_keys_end
from accounts.models import User
from accounts.passwords import password_hash
from accounts.services import sessions_revoke_all, target_of
from accounts.two_factor import factor_reset
from common.db import atomic

PASSWORD_BYTES = 18
REASON = "staff_access_reset"


def staff_access_reset(*, user: User, actor: str, reason: str) -> str:
    """
    Give a member of staff a new password and return it, shown this once.

    The second factor is removed, every session and API key ends, and a disabled user is
    enabled. One audit event tells all of it.

    Raises:
        ValueError: for a user who is not staff.
    """
    if not user.is_staff:
        raise ValueError(f"expected a member of staff, was {user.username}")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    hashed = password_hash(password)
    with atomic():
        before = {"active": user.is_active, "two_factor": user.has_second_factor}
        with audit.gathered() as told:
            factor_reset(user=user, actor=actor, reason=reason)
            sessions_revoke_all(user_id=user.pk, reason=REASON, actor=actor)
            api_keys_end(user_id=user.pk, reason=REASON, actor=actor)
        User.objects.filter(id=user.pk).update(password=hashed, is_active=True)
        consequences: list[dict[str, Any]] = [
            {"action": event.action, "target": event.target} for event in told
        ]
        audit.record(
            actor=actor,
            action="user.staff_access_reset",
            target=target_of(user.pk),
            before=before,
            after={"active": True, "two_factor": False, "consequences": consequences},
            reason=reason,
        )
    return password
