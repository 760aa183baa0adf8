"""The back-office's login: user name or e-mail, and password."""

from typing import Any

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.models import User
from accounts.services import credentials_check
from common.errors import ApiError


class LoginBackend(BaseBackend):
    """Check a password for a browser session."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """
        Return the user if the password is right and the user is active.

        Raises:
            ValidationError: when the brakes on guessing hold; the login form shows it.
        """
        if username is None or password is None:
            return None
        try:
            return credentials_check(login=username, password=password, request=request)
        except ApiError as error:
            raise ValidationError(error.message, code=error.code) from error

    def get_user(self, user_id: int) -> User | None:
        """Return an active user."""
        return User.objects.filter(pk=user_id, is_active=True).first()
