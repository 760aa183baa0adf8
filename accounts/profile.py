"""What users change of themselves."""

from django.core.exceptions import ValidationError

from accounts import audit
from accounts.credential_age import credentials_changed
from accounts.models import User
from accounts.names import normalise_email
from accounts.passwords import password_check_strength, password_hash, password_require
from accounts.services import field_error, session_open, sessions_revoke_all, target_of
from accounts.types import Caller, TokenPair
from common.db import atomic


def user_update(
    *,
    user: User,
    current_password: str,
    new_password: str | None,
    email: str | None,
    caller: Caller,
) -> TokenPair | None:
    """
    Change password or e-mail address, against the present password.

    A new password ends every session and returns the tokens of a new one, else None. A new
    address is unverified.

    Raises:
        ApiError: 400 ``VALIDATION_ERROR``, 401 ``INVALID_CREDENTIALS``, 429 or 503.
    """
    password_require(user=user, password=current_password, ip=caller.ip)
    changed: list[str] = []
    if email is not None:
        try:
            user.email = normalise_email(email)
        except ValidationError as error:
            raise field_error("email", error) from error
        if user.email != user.verified_email:
            user.verified_email = ""
        changed += ["email", "verified_email"]
    if new_password is not None:
        try:
            password_check_strength(new_password, user)
        except ValidationError as error:
            raise field_error("new_password", error) from error
        user.password = password_hash(new_password)
        changed.append("password")
    with atomic():
        user.save(update_fields=changed)
        audit.record(
            actor=user,
            action="user.profile_change",
            target=target_of(user.pk),
            after={"changed": sorted(set(changed) - {"verified_email"})},
            ip=caller.ip,
        )
        if new_password is None:
            return None
        credentials_changed(user.pk)
        sessions_revoke_all(user_id=user.pk, reason="password_changed")
        return session_open(user=user, caller=caller)
