"""Logging in: a password, then a second factor where the user has one."""

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts import two_factor
from accounts.models import User
from accounts.passwords import password_try
from accounts.selectors import user_by_id, user_by_login
from accounts.services import account_ensure, caller_of, session_open
from accounts.types import TokenPair
from common.errors import ApiError
from common.network import client_ip

# From the password to the code of the second factor.
CHALLENGE_LIFETIME_S = 300
_SALT = "accounts.login-challenge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user who is in, or who must still show a second factor: then ``challenge`` is set."""

    user: User
    pair: TokenPair | None
    challenge: str = ""


def credentials_check(*, login: str, password: str, request: HttpRequest | None) -> User | None:
    """
    Return the active user with these credentials, None if they are wrong; brakes included.

    The user is not in yet if it has a second factor.

    Raises:
        ApiError: 429 ``TOO_MANY_ATTEMPTS`` or 503.
    """
    ip = client_ip(request) if request is not None else "127.0.0.1"
    user = user_by_login(login)
    return user if password_try(user, login=login, password=password, ip=ip) else None


def user_login(*, login: str, password: str, code: str, request: HttpRequest) -> Login:
    """
    Open a session; a user with a second factor gets a challenge unless the code came along.

    Raises:
        ApiError: 401 ``INVALID_CREDENTIALS``, 403 ``TWO_FACTOR_INVALID``, 429
            ``TOO_MANY_ATTEMPTS``, 503 ``LOGIN_BUSY`` or ``LOGIN_UNAVAILABLE``.
    """
    user = credentials_check(login=login, password=password, request=request)
    if user is None:
        raise ApiError("INVALID_CREDENTIALS", "User name or password is wrong.", 401)
    if user.has_second_factor:
        if not code:
            return Login(user=user, pair=None, challenge=_challenge_of(user))
        two_factor.code_take(user=user, code=code, ip=client_ip(request))
    return _opened(user, request)


def user_login_complete(*, challenge: str, code: str, request: HttpRequest) -> Login:
    """
    Open the session of a user who has shown its password, with a code of its second factor.

    Raises:
        ApiError: 401 ``CHALLENGE_INVALID``, 403 ``TWO_FACTOR_INVALID``, 429
            ``TOO_MANY_ATTEMPTS``, 503 ``LOGIN_UNAVAILABLE``.
    """
    user = _user_of_challenge(challenge)
    two_factor.code_take(user=user, code=code, ip=client_ip(request))
    return _opened(user, request)


def _opened(user: User, request: HttpRequest) -> Login:
    pair = session_open(user=user, caller=caller_of(request))
    account_ensure(user)
    return Login(user=user, pair=pair)


def _challenge_of(user: User) -> str:
    """Return a signed statement that the password was right; it ends with that password."""
    value = {"user": str(user.pk), "state": user.get_session_auth_hash()}
    return signing.dumps(value, salt=_SALT)


def _user_of_challenge(challenge: str) -> User:
    invalid = ApiError("CHALLENGE_INVALID", "The challenge is unknown or too old.", 401)
    try:
        value: Any = signing.loads(challenge, salt=_SALT, max_age=CHALLENGE_LIFETIME_S)
    except signing.BadSignature as error:
        raise invalid from error
    user = user_by_id(int(value["user"]))
    if user is None or not user.is_active or not user.has_second_factor:
        raise invalid
    if not constant_time_compare(value["state"], user.get_session_auth_hash()):
        raise invalid
    return user
