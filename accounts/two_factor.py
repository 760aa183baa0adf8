"""
The second factor: time-based codes (RFC 6238) and recovery codes.

A code counts once: the newest time step that was taken is in the user's row and only ever
rises, by one conditional update. Wrong codes count with wrong passwords, and per user as well,
since whoever guesses codes knows the password.
"""

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass

import pyotp
import structlog
from django.db import IntegrityError
from django.utils import timezone

from accounts import audit, sessions
from accounts.credential_age import credentials_changed
from accounts.models import RecoveryCode, Session, TwoFactor, User
from accounts.passwords import password_require
from accounts.permissions import needs_second_factor
from accounts.services import sessions_end_others, target_of
from accounts.throttle import CodeAttempt, LoginAttempt
from accounts.vault import seal, unseal
from common.db import atomic
from common.errors import ApiError

log = structlog.get_logger(__name__)

ISSUER = "Crypto Exchange"
STEP_S = 30
# A clock may be one step off in either direction.
DRIFT_STEPS = 1
RECOVERY_CODES = 10
PURPOSE = "totp"
_TOTP_CODE = re.compile(r"[0-9]{6}")
# 16 characters of base32 are 80 random bits: beyond guessing, so a plain hash keeps them.
_RECOVERY_CODE = re.compile(r"[A-Z2-7]{16}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What an authenticator needs: the secret in base32, and the same as an otpauth URI."""

    secret: str
    uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorStatus:
    """Whether a second factor is set up, must be, and how many recovery codes are left."""

    enabled: bool
    enforced: bool
    recovery_codes_left: int


def factor_status(user: User) -> FactorStatus:
    """Return the state of a user's second factor."""
    left = RecoveryCode.objects.filter(user=user, used_at__isnull=True).count()
    return FactorStatus(
        enabled=user.has_second_factor,
        enforced=needs_second_factor(user.role),
        recovery_codes_left=left,
    )


def factor_setup(*, user: User, current_password: str, ip: str) -> Enrolment:
    """
    Make a new secret, which counts only once a code of it was shown.

    Raises:
        ApiError: 401 ``INVALID_CREDENTIALS``, 409 ``TWO_FACTOR_ENABLED``, 429 or 503.
    """
    password_require(user=user, password=current_password, ip=ip)
    secret = pyotp.random_base32()
    sealed = seal(secret, purpose=PURPOSE, owner_id=user.pk)
    pending = TwoFactor.objects.filter(user=user, confirmed_at__isnull=True)
    if not pending.update(secret=sealed, created_at=timezone.now()):
        try:
            with atomic():
                TwoFactor.objects.create(user=user, secret=sealed)
        except IntegrityError as error:
            raise _enabled_already() from error
    uri = pyotp.TOTP(secret).provisioning_uri(name=user.username, issuer_name=ISSUER)
    return Enrolment(secret=secret, uri=uri)


def factor_confirm(*, user: User, code: str, session_id: int, ip: str) -> list[str]:
    """
    Let the second factor count from now on; return its recovery codes, shown this once.

    Every other session of the user ends.

    Raises:
        ApiError: 403 ``TWO_FACTOR_INVALID``, 409 ``TWO_FACTOR_ENABLED`` or
            ``TWO_FACTOR_NOT_SET_UP``, 429 or 503.
    """
    factor = TwoFactor.objects.filter(user=user).first()
    if factor is None:
        raise _not_set_up()
    if factor.confirmed_at is not None:
        raise _enabled_already()
    with _guessing(user, ip):
        step = _step_of(factor, _plain(code))
        if step is None:
            raise _invalid()
    with atomic():
        # Of two set-ups at once the secret that was shown last counts.
        pending = TwoFactor.objects.filter(
            user=user, secret=factor.secret, confirmed_at__isnull=True
        )
        if not pending.update(confirmed_at=timezone.now(), last_step=step):
            raise _invalid()
        codes = _recovery_codes_replace(user)
        credentials_changed(user.pk)
        _record(user, "two_factor.enable", ip=ip)
        sessions_end_others(user=user, session_id=session_id, reason="two_factor_changed")
    _forget_sessions(user)
    return codes


def factor_disable(
    *, user: User, current_password: str, code: str, session_id: int, ip: str
) -> None:
    """
    Remove the second factor and its recovery codes. Every other session of the user ends.

    Raises:
        ApiError: 401 ``INVALID_CREDENTIALS``, 403 ``TWO_FACTOR_ENFORCED`` or
            ``TWO_FACTOR_INVALID``, 409 ``TWO_FACTOR_NOT_SET_UP``, 429 or 503.
    """
    if not user.has_second_factor:
        raise _not_set_up()
    if needs_second_factor(user.role):
        raise ApiError("TWO_FACTOR_ENFORCED", "This user must keep a second factor.", 403)
    password_require(user=user, password=current_password, ip=ip)
    code_take(user=user, code=code, ip=ip)
    with atomic():
        _remove(user)
        credentials_changed(user.pk)
        _record(user, "two_factor.disable", ip=ip)
        sessions_end_others(user=user, session_id=session_id, reason="two_factor_changed")
    _forget_sessions(user)


def factor_reset(*, user: User, actor: audit.Actor | str, reason: str) -> bool:
    """
    Remove a lost second factor on an operator's word; False if there was none.

    Every session of the user ends: where it must have one, it sets up a new one first.
    """
    with atomic():
        if not _remove(user):
            return False
        credentials_changed(user.pk)
        audit.record(
            actor=actor, action="two_factor.reset", target=target_of(user.pk), reason=reason
        )
        sessions_end_others(user=user, session_id=0, reason="two_factor_reset", actor=actor)
    return True


def recovery_codes_renew(*, user: User, code: str, ip: str) -> list[str]:
    """
    Return new recovery codes, shown this once; the old ones end.

    Raises:
        ApiError: 403 ``TWO_FACTOR_INVALID``, 409 ``TWO_FACTOR_NOT_SET_UP``, 429 or 503.
    """
    code_take(user=user, code=code, ip=ip)
    with atomic():
        codes = _recovery_codes_replace(user)
        _record(user, "two_factor.recovery_codes_renew", ip=ip)
    return codes


def code_take(*, user: User, code: str, ip: str) -> None:
    """
    Use up a code of the user's second factor, or a recovery code.

    Raises:
        ApiError: 403 ``TWO_FACTOR_INVALID`` for a wrong, old or used code, 409
            ``TWO_FACTOR_NOT_SET_UP``, 429 ``TOO_MANY_ATTEMPTS``, 503 ``LOGIN_UNAVAILABLE``.
    """
    factor = TwoFactor.objects.filter(user=user, confirmed_at__isnull=False).first()
    if factor is None:
        raise _not_set_up()
    with _guessing(user, ip):
        if not _use_code(factor, _plain(code), ip=ip):
            raise _invalid()


def _invalid() -> ApiError:
    return ApiError("TWO_FACTOR_INVALID", "The code is wrong, used or too old.", 403)


def _not_set_up() -> ApiError:
    return ApiError("TWO_FACTOR_NOT_SET_UP", "This user has no second factor.", 409)


def _enabled_already() -> ApiError:
    return ApiError("TWO_FACTOR_ENABLED", "This user has a second factor already.", 409)


def _guessing(user: User, ip: str) -> CodeAttempt:
    return CodeAttempt(user_id=user.pk, login=LoginAttempt.of(user, login=user.username, ip=ip))


def _plain(code: str) -> str:
    """Return a code without the spaces and dashes that make it readable."""
    return code.replace(" ", "").replace("-", "").upper()


def _use_code(factor: TwoFactor, code: str, *, ip: str) -> bool:
    step = _step_of(factor, code)
    if step is not None:
        # Of parallel uses one wins; a used step, and every one before it, never counts again.
        risen = TwoFactor.objects.filter(pk=factor.pk, last_step__lt=step)
        return risen.update(last_step=step) == 1
    if not _RECOVERY_CODE.fullmatch(code):
        return False
    with atomic():
        unused = RecoveryCode.objects.filter(
            user_id=factor.pk, code_hash=_hash(code), used_at__isnull=True
        )
        if unused.update(used_at=timezone.now()) != 1:
            return False
        _record(factor.user, "two_factor.recovery_code_use", ip=ip)
    return True


def _step_of(factor: TwoFactor, code: str) -> int | None:
    """Return the time step whose code this is; every step in reach is compared."""
    if not _TOTP_CODE.fullmatch(code):
        return None
    totp = pyotp.TOTP(unseal(factor.secret, purpose=PURPOSE, owner_id=factor.pk))
    now = int(time.time()) // STEP_S
    found = None
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if secrets.compare_digest(totp.generate_otp(step), code):
            found = step
    return found


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _recovery_codes_replace(user: User) -> list[str]:
    codes = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.filter(user=user).delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=user, code_hash=_hash(code)) for code in codes
    )
    return ["-".join(code[start : start + 4] for start in range(0, 16, 4)) for code in codes]


def _remove(user: User) -> bool:
    RecoveryCode.objects.filter(user=user).delete()
    return bool(TwoFactor.objects.filter(user=user).delete()[0])


def _record(user: User, action: str, *, ip: str) -> None:
    audit.record(actor=user, action=action, target=target_of(user.pk), ip=ip)


def _forget_sessions(user: User) -> None:
    """Let the user's remaining session know at once that the factor has changed."""
    alive = Session.objects.filter(user=user, revoked_at__isnull=True)
    sessions.forget_states(alive.values_list("id", flat=True))
