"""The back-office's login: user name or e-mail, password, and a code of the second factor."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.access import refused
from accounts.logins import credentials_check
from accounts.models import User
from accounts.permissions import needs_second_factor
from accounts.two_factor import code_take
from common.errors import ApiError
from common.network import client_ip


class LoginBackend(BaseBackend):
    """Check a password for a browser session."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        code: str = "",
        **kwargs: Any,
    ) -> User | None:
        """
        Return the user if the password is right, the user is active and the code is right too.

        Raises:
            ValidationError: when the brakes on guessing hold, or the second factor is missing
                or wrong; the login form shows it.
        """
        if username is None or password is None:
            return None
        try:
            user = credentials_check(login=username, password=password, request=request)
            if user is not None:
                self._check_second_factor(user, code, request)
            return user
        except ApiError as error:
            raise ValidationError(error.message, code=error.code) from error

    def _check_second_factor(self, user: User, code: str, request: HttpRequest | None) -> None:
        if user.has_second_factor:
            if not code:
                raise ApiError("TWO_FACTOR_REQUIRED", "Enter a code of your second factor.", 403)
            ip = client_ip(request) if request is not None else "127.0.0.1"
            code_take(user=user, code=code, ip=ip)
        elif needs_second_factor(user.role):
            raise refused("TWO_FACTOR_ENFORCED")

    def get_user(self, user_id: int) -> User | None:
        """Return an active user."""
        return User.objects.filter(pk=user_id, is_active=True).first()
