"""
Forgotten passwords and the proof of e-mail addresses.

Asking for a mail answers the same, in the same time, whoever is asked for: whether there is
such a user is found out by the worker that sends it. Mail goes to verified addresses only.
"""

from typing import Any

import structlog
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts import audit
from accounts.credential_age import credentials_changed
from accounts.mailing import mail_enqueue, mail_send
from accounts.models import User
from accounts.passwords import password_check_strength, password_hash
from accounts.selectors import user_by_id, user_by_login
from accounts.services import field_error, sessions_revoke_all, target_of
from accounts.throttle import LoginAttempt, take_mail_request
from common.db import atomic
from common.errors import ApiError, FieldError
from common.ids import parse_id

log = structlog.get_logger(__name__)

VERIFICATION_LIFETIME_S = 86_400
_VERIFICATION_SALT = "accounts.email-verification"


class _ResetTokens(PasswordResetTokenGenerator):
    """Tokens that end with the password, the address and the sessions they were made under."""

    key_salt = "accounts.password-reset"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        return f"{user.pk}:{user.password}:{user.session_epoch}:{user.verified_email}:{timestamp}"


_tokens = _ResetTokens()


def password_reset_request(*, login: str, ip: str) -> None:
    """
    Have a mail sent to whoever has this name or verified address; says nothing about either.

    Raises:
        ApiError: 429 ``TOO_MANY_ATTEMPTS`` by address, 503 without Redis.
    """
    take_mail_request(ip)
    _enqueue("mail_password_reset", login=login)


def verification_request(*, user: User, ip: str) -> None:
    """
    Have a mail sent to the address that a user gave, to prove that it is the user's.

    Raises:
        ApiError: 429 ``TOO_MANY_ATTEMPTS`` by address, 503 without Redis.
    """
    take_mail_request(ip)
    _enqueue("mail_verification", user_id=user.pk)


def _enqueue(name: str, **arguments: Any) -> None:
    if not mail_enqueue(name, **arguments):
        raise ApiError("SERVICE_UNAVAILABLE", "Mail cannot be sent just now.", 503)


def password_reset_mail(login: str) -> bool:
    """Send the mail if somebody has this login and a verified address; returns whether sent."""
    user = user_by_login(login)
    if user is None or not user.is_active or not user.verified_email:
        return False
    token = f"{user.pk}.{_tokens.make_token(user)}"
    return mail_send(
        user,
        address=user.verified_email,
        subject="Your new password",
        lines=[
            "Somebody, hopefully you, asked for a new password. Within an hour, send",
            "",
            '    POST /api/auth/password/reset/confirm  {"token": ..., "new_password": ...}',
            "",
            "with this token, which works once:",
            "",
            f"    {token}",
            "",
            "It ends every session. If it was not you, do nothing: nothing has changed.",
        ],
    )


def verification_mail(user_id: int) -> bool:
    """Send the mail unless the user's address is verified already; returns whether sent."""
    user = user_by_id(user_id)
    if user is None or not user.is_active or user.email == user.verified_email:
        return False
    token = signing.dumps({"user": str(user.pk), "email": user.email}, salt=_VERIFICATION_SALT)
    return mail_send(
        user,
        address=user.email,
        subject="Is this your address?",
        lines=[
            f"{user.username} gave this address as its own. If that is you, send within a day",
            "",
            '    POST /api/auth/email/verify  {"token": ...}',
            "",
            "with this token:",
            "",
            f"    {token}",
            "",
            "If not, do nothing.",
        ],
    )


def password_reset_confirm(*, token: str, new_password: str, ip: str) -> None:
    """
    Set a new password against the token of a mail; every session ends, API keys stay.

    Of parallel uses of one token exactly one counts. A second factor is still asked for at
    the next login.

    Raises:
        ApiError: 400 ``RESET_TOKEN_INVALID``, 503 ``LOGIN_BUSY``.
        FieldError: for a password that is too weak.
    """
    user = _user_of_reset(token)
    before = user.password
    try:
        password_check_strength(new_password, user)
    except ValidationError as error:
        raise field_error("new_password", error) from error
    hashed = password_hash(new_password)
    with atomic():
        # The token rests on the old password: whoever comes second finds another one.
        if not User.objects.filter(id=user.pk, password=before).update(password=hashed):
            raise _reset_invalid()
        audit.record(actor=user, action="user.password_reset", target=target_of(user.pk), ip=ip)
        credentials_changed(user.pk)
        sessions_revoke_all(user_id=user.pk, reason="password_reset")
    if not user.has_second_factor:
        LoginAttempt.of(user, login=user.username, ip=ip).forget_failures()


def email_verify(*, token: str, ip: str) -> None:
    """
    Take a mail's token as proof that its address is its user's: from now on it logs in too.

    Raises:
        ApiError: 400 ``VERIFICATION_INVALID``.
        FieldError: ``EMAIL_TAKEN`` if another user has proved the same address before.
    """
    invalid = ApiError("VERIFICATION_INVALID", "The token is not valid any more.", 400)
    try:
        value: Any = signing.loads(token, salt=_VERIFICATION_SALT, max_age=VERIFICATION_LIFETIME_S)
    except signing.BadSignature as error:
        raise invalid from error
    user = user_by_id(int(value["user"]))
    if user is None or not user.is_active or user.email != value["email"]:
        raise invalid
    try:
        with atomic():
            # Only while the address is still the one that was written to.
            same = User.objects.filter(id=user.pk, email=value["email"])
            if not same.update(verified_email=value["email"]):
                raise invalid
            audit.record(actor=user, action="user.email_verify", target=target_of(user.pk), ip=ip)
    except IntegrityError as error:
        raise FieldError(field="token", code="EMAIL_TAKEN") from error


def _reset_invalid() -> ApiError:
    return ApiError("RESET_TOKEN_INVALID", "The token is wrong, used or too old.", 400)


def _user_of_reset(token: str) -> User:
    number, _, secret = token.partition(".")
    user_id = parse_id(number)
    user = user_by_id(user_id) if user_id is not None else None
    if user is None or not user.is_active or not _tokens.check_token(user, secret):
        raise _reset_invalid()
    return user
