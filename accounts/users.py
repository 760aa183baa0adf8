"""The user behind a request."""

from rest_framework.request import Request

from accounts import selectors
from accounts.access import caller_of
from accounts.authentication import token_error_response
from accounts.models import User
from accounts.types import TokenError


def user_of(request: Request) -> User:
    """
    Return the user of an authenticated request, read from the database.

    Raises:
        ApiError: 401 ``TOKEN_REVOKED`` if there is none any more.
    """
    user = selectors.user_by_id(caller_of(request).user_id)
    if user is None:
        raise token_error_response(TokenError("TOKEN_REVOKED"))
    return user
