"""The permission table as permission classes of views."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.permissions import Permission, role_permits
from accounts.types import Identity


class HasPermission(BasePermission):
    """Base of what :func:`requires` returns."""

    permission: Permission

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the user's role permits it."""
        user: Any = request.user
        return bool(user and user.is_authenticated and role_permits(user.role, self.permission))


def requires(permission: Permission) -> type[HasPermission]:
    """Return the permission class of a view for logged-in users with one permission."""
    return type(f"Requires_{permission}", (HasPermission,), {"permission": permission})


def caller_of(request: Request) -> Identity:
    """Return who sent an authenticated request."""
    return cast(Identity, request.user)


def body_of(request: Request) -> Mapping[str, Any]:
    """Return the object in a request's body; the strict parser lets nothing else through."""
    return cast(Mapping[str, Any], request.data)
