"""The permission table as permission classes of views, and as a check for sockets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from accounts.permissions import Permission
from accounts.types import Identity
from common.errors import ApiError
from common.query import read_query

if TYPE_CHECKING:
    # The views' module reads the settings that name the classes below.
    from rest_framework.views import APIView

REFUSALS = {
    "PERMISSION_DENIED": "This user may not do that.",
    "KEY_SCOPE": "This API key has no scope for that.",
    "TWO_FACTOR_ENFORCED": "This user must set up a second factor first.",
}


def refused(code: str) -> ApiError:
    """Return the 403 that answers a refusal of the permission table."""
    return ApiError(code, REFUSALS[code], 403)


def check_permission(identity: Identity, permission: Permission) -> None:
    """
    Do nothing if role, second factor and key permit one thing.

    Raises:
        ApiError: 403 ``PERMISSION_DENIED``, ``TWO_FACTOR_ENFORCED`` or ``KEY_SCOPE``.
    """
    code = identity.refusal(permission)
    if code is not None:
        raise refused(code)


class HasPermission(BasePermission):
    """Base of what :func:`requires` returns."""

    read: Permission
    write: Permission

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """
        Return whether the user is known and may do it.

        Raises:
            ApiError: 403 ``PERMISSION_DENIED``, ``TWO_FACTOR_ENFORCED`` or ``KEY_SCOPE``.
        """
        user: Any = request.user
        if not (user and user.is_authenticated):
            return False
        check_permission(user, self.read if request.method in SAFE_METHODS else self.write)
        return True


def requires(permission: Permission, *, write: Permission | None = None) -> type[HasPermission]:
    """
    Return the permission class of a view for known users with one permission.

    With ``write`` the first is what GET needs, and every other method needs the second.
    """
    members = {"read": permission, "write": write or permission}
    return type(f"Requires_{permission}_{members['write']}", (HasPermission,), members)


class HasSession(BasePermission):
    """
    The user itself, logged in: what concerns users and their credentials.

    It is what a view without permission classes asks for, so no API key reaches what was
    not opened to keys.
    """

    enrolling = False

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """
        Return whether the user is logged in.

        Raises:
            ApiError: 403 ``KEY_SCOPE`` for an API key, ``TWO_FACTOR_ENFORCED`` for a user who
                must set up a second factor first.
        """
        user: Any = request.user
        if not (user and user.is_authenticated):
            return False
        if user.key_id:
            raise refused("KEY_SCOPE")
        if user.must_enroll and not self.enrolling:
            raise refused("TWO_FACTOR_ENFORCED")
        return True


class HasSessionToEnroll(HasSession):
    """As ``HasSession``, also for users whose second factor is still missing."""

    enrolling = True


def caller_of(request: Request) -> Identity:
    """Return who sent an authenticated request."""
    return cast(Identity, request.user)


def body_of(request: Request) -> Mapping[str, Any]:
    """
    Return the object in a request's body; the strict parser lets nothing else through.

    What has a body takes no query parameters.

    Raises:
        ApiError: ``INVALID_JSON`` and the like, ``INVALID_PARAMETER``.
    """
    read_query(request)
    return cast(Mapping[str, Any], request.data)
