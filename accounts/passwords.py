"""Password hashing, bounded: a hash costs a fifth of a second of a whole core."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.password_validation import validate_password

from accounts.models import User
from accounts.throttle import LoginAttempt
from common.errors import ApiError
from common.once import Once

# How long a login waits for its turn before it is asked to come back.
WAIT_S = 2.0


_slots = Once(lambda: threading.BoundedSemaphore(settings.PASSWORD_HASHES_AT_ONCE))


@contextmanager
def _hash_slot() -> Iterator[None]:
    slots = _slots()
    if not slots.acquire(timeout=WAIT_S):
        raise ApiError("LOGIN_BUSY", "Too many logins at the moment.", 503)
    try:
        yield
    finally:
        slots.release()


def password_matches(user: User | None, password: str) -> bool:
    """
    Return whether a password is the user's; an unknown user costs the same one hash.

    Raises:
        ApiError: 503 ``LOGIN_BUSY`` when no turn came up in time.
    """
    with _hash_slot():
        if user is None or not user.has_usable_password():
            make_password(password)
            return False
        return check_password(password, user.password)


def password_try(user: User | None, *, login: str, password: str, ip: str) -> bool:
    """
    Return whether a password is an active user's, under the brakes on guessing.

    Raises:
        ApiError: 429 ``TOO_MANY_ATTEMPTS``, 503 ``LOGIN_BUSY`` or ``LOGIN_UNAVAILABLE``.
    """
    attempt = LoginAttempt.of(user, login=login, ip=ip)
    attempt.begin()
    try:
        matches = password_matches(user, password)
    except ApiError:
        attempt.given_back()
        raise
    # Disabled is found out only after the hash: it answers like a wrong password.
    if user is None or not matches or not user.is_active:
        attempt.failed()
        return False
    attempt.passed(is_in=not user.has_second_factor)
    return True


def password_require(*, user: User, password: str, ip: str) -> None:
    """
    Do nothing for the user's present password; asked for before credentials change.

    Raises:
        ApiError: 401 ``INVALID_CREDENTIALS``, 429 ``TOO_MANY_ATTEMPTS`` or 503, as at a login.
    """
    if not password_try(user, login=user.username, password=password, ip=ip):
        raise ApiError("INVALID_CREDENTIALS", "The present password is wrong.", 401)


def password_hash(password: str) -> str:
    """
    Return the stored form of a password.

    Raises:
        ApiError: 503 ``LOGIN_BUSY`` when no turn came up in time.
    """
    with _hash_slot():
        return make_password(password)


def password_check_strength(password: str, user: User) -> None:
    """
    Do nothing for a password that Django's validators accept for this user.

    Raises:
        django.core.exceptions.ValidationError: with the codes of what is wrong.
    """
    validate_password(password, user=user)
