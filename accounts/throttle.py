"""
Brakes on guessing passwords and on mass registration; they work before any hash is made.

Without Redis nothing can be counted, and logging in stops rather than be guessed at.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.conf import settings
from redis.exceptions import RedisError

from accounts.models import User
from common import limits
from common.errors import ApiError
from common.network import limit_key
from exchange import redis_rest

log = structlog.get_logger(__name__)

WINDOW_S = 900
FAILURES_PER_LOGIN_AND_IP = 5
FAILURES_PER_IP = 20
# From here on every attempt on one login is slowed, from wherever it comes; never refused,
# so that strangers cannot lock anybody out.
FAILURES_PER_LOGIN = 100
SLOWED_BY_S = 1.0
# Codes of a second factor, from wherever: 20 of a million, three of which are right.
FAILURES_PER_CODE = 20
_HOUR_S = 3_600
# Mails asked for from one address, and sent to one user.
MAIL_REQUESTS_PER_HOUR = 20
MAILS_PER_HOUR = 3

_PAIR, _IP, _LOGIN, _REGISTER = "login-pair", "login-ip", "login-name", "register"
_CODE, _MAIL_REQUEST, _MAIL = "login-code", "mail-request", "mail"


def _unavailable() -> ApiError:
    return ApiError("LOGIN_UNAVAILABLE", "Logging in is not possible at the moment.", 503)


@contextmanager
def _counting() -> Iterator[None]:
    if limits.is_resting():
        raise _unavailable()
    try:
        yield
    except RedisError as error:
        redis_rest.note_failure(error)
        raise _unavailable() from error


def _too_many(bucket: str, who: str, *, window_s: int) -> ApiError:
    left = limits.seconds_left(bucket, who, window_s=window_s)
    return ApiError("TOO_MANY_ATTEMPTS", "Too many attempts.", 429, retry_after_s=left)


class LoginAttempt:
    """
    One try at a login.

    The try is counted before the password is looked at and given back when it was right, so
    parallel guesses cannot slip through between look and count.
    """

    def __init__(self, *, subject: str, ip: str) -> None:
        """Name what is counted; the subject only as a hash."""
        self._ip = limit_key(ip)
        self._login = hashlib.sha256(subject.encode()).hexdigest()[:32]
        self._pair = f"{self._login}/{self._ip}"

    @classmethod
    def of(cls, user: User | None, *, login: str, ip: str) -> "LoginAttempt":
        """
        Return a try at a user, whatever it was called, or at a login that nobody has.

        A name has many spellings with one normal form, and an address stands for it too: were
        they counted apart, each would be a fresh start.
        """
        subject = f"user:{user.pk}" if user is not None else f"login:{login.strip().casefold()}"
        return cls(subject=subject, ip=ip)

    def begin(self) -> None:
        """
        Count the try.

        Raises:
            ApiError: 429 ``TOO_MANY_ATTEMPTS``, also for the right password; 503 without Redis.
        """
        with _counting():
            if limits.counted(_IP, self._ip) >= FAILURES_PER_IP:
                raise _too_many(_IP, self._ip, window_s=WINDOW_S)
            tries = limits.count(_PAIR, self._pair, window_s=WINDOW_S)
            if tries > FAILURES_PER_LOGIN_AND_IP:
                raise _too_many(_PAIR, self._pair, window_s=WINDOW_S)
            slow = limits.counted(_LOGIN, self._login) >= FAILURES_PER_LOGIN
        if slow:
            time.sleep(SLOWED_BY_S)

    def failed(self) -> None:
        """
        Count a wrong password against the address and the login as well, and log it.

        The login is logged as a hash alone: people type passwords into the wrong field.

        Raises:
            ApiError: 429 if others of this address failed meanwhile: of parallel guesses no
                more than the bound ever learn that they were wrong.
        """
        log.warning("login_failed", ip=self._ip, login_hash=self._login)
        with _counting():
            limits.count(_LOGIN, self._login, window_s=WINDOW_S)
            if limits.count(_IP, self._ip, window_s=WINDOW_S) > FAILURES_PER_IP:
                raise _too_many(_IP, self._ip, window_s=WINDOW_S)

    def passed(self, *, is_in: bool) -> None:
        """
        Take back the try of a right password, and every failure of this login if it is in.

        Before a second factor is shown it is not: a right password alone must not wipe out
        the failures there.

        Raises:
            ApiError: 429 if others of this address failed meanwhile: nor does a right one learn.
        """
        with _counting():
            if limits.counted(_IP, self._ip) >= FAILURES_PER_IP:
                raise _too_many(_IP, self._ip, window_s=WINDOW_S)
        if is_in:
            self.forget_failures()
        else:
            self.given_back()

    def given_back(self) -> None:
        """Undo the count of a try."""
        with _counting():
            limits.count(_PAIR, self._pair, window_s=WINDOW_S, amount=-1)

    def forget_failures(self) -> None:
        """Forget the failures of this login from this address."""
        with _counting():
            limits.forget(_PAIR, self._pair)


class CodeAttempt:
    """
    One try at a user's second factor, as a context: an ``ApiError`` inside is a wrong code.

    Counted like a wrong password, and against the user from wherever it comes: only who knows
    the password gets here, so no stranger can lock anybody out, and a million codes are few.
    """

    def __init__(self, *, user_id: int, login: LoginAttempt) -> None:
        """Name what is counted."""
        self._who = str(user_id)
        self._login = login

    def __enter__(self) -> None:
        """
        Count the try.

        Raises:
            ApiError: 429 ``TOO_MANY_ATTEMPTS``, also for the right code; 503 without Redis.
        """
        self._login.begin()
        with _counting():
            if limits.count(_CODE, self._who, window_s=WINDOW_S) > FAILURES_PER_CODE:
                raise _too_many(_CODE, self._who, window_s=WINDOW_S)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give back the try of a right code, or count the wrong one against the address too."""
        if kind is None:
            self._login.passed(is_in=True)
            with _counting():
                limits.count(_CODE, self._who, window_s=WINDOW_S, amount=-1)
        elif issubclass(kind, ApiError):
            self._login.failed()


def take_registration(ip: str) -> None:
    """
    Count a registration.

    Raises:
        ApiError: 429 ``TOO_MANY_ATTEMPTS``; 503 without Redis.
    """
    who = limit_key(ip)
    with _counting():
        if limits.count(_REGISTER, who, window_s=_HOUR_S) > settings.REGISTER_LIMIT_PER_HOUR:
            raise _too_many(_REGISTER, who, window_s=_HOUR_S)


def take_mail_request(ip: str) -> None:
    """
    Count a request for a mail.

    Raises:
        ApiError: 429 ``TOO_MANY_ATTEMPTS``; 503 without Redis.
    """
    who = limit_key(ip)
    with _counting():
        if limits.count(_MAIL_REQUEST, who, window_s=_HOUR_S) > MAIL_REQUESTS_PER_HOUR:
            raise _too_many(_MAIL_REQUEST, who, window_s=_HOUR_S)


def mail_allowed(user_id: int) -> bool:
    """Count a mail to a user; returns whether it may be sent, so that nobody floods a mailbox."""
    return limits.count(_MAIL, str(user_id), window_s=_HOUR_S) <= MAILS_PER_HOUR
