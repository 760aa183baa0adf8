"""The second factor asked again: for transfers to others, API keys and withdrawals."""

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from accounts.access import caller_of
from accounts.serializers import CODE_LENGTH_MAX
from accounts.two_factor import code_take
from accounts.users import user_of
from common.errors import ApiError
from common.network import client_ip
from common.openapi import Codes

HEADER = "X-2FA-Code"
PARAMETER = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description="A code of the second factor; needed by users who have one.",
)
ERRORS: Codes = {
    403: ("TWO_FACTOR_REQUIRED", "TWO_FACTOR_INVALID"),
    429: ("TOO_MANY_ATTEMPTS",),
    503: ("LOGIN_UNAVAILABLE",),
}


def require_step_up(request: Request) -> None:
    """
    Use up the code that a request carries, if its user has a second factor.

    An API key is not asked: its scope was given against a code, and no program has one.

    Raises:
        ApiError: 403 ``TWO_FACTOR_REQUIRED`` or ``TWO_FACTOR_INVALID``, 429 or 503.
    """
    if caller_of(request).key_id:
        return
    user = user_of(request)
    if not user.has_second_factor:
        return
    code = request.META.get("HTTP_X_2FA_CODE", "")[:CODE_LENGTH_MAX]
    if not code:
        raise ApiError(
            "TWO_FACTOR_REQUIRED", f"This needs a code of your second factor in {HEADER}.", 403
        )
    code_take(user=user, code=code, ip=client_ip(request._request))
