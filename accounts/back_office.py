"""Buttons of operations on the pages of the back-office."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from unfold.enums import ActionVariant

from accounts.enums import Role
from accounts.operations import Operation, operation_url, operations_for
from common.errors import ApiError


class OperationsMixin:
    """
    For admin classes: what the user may do to a row, as a menu on the row's page.

    ``target_kind`` names the kind of target; ``target_key`` returns a row's key. A row that is
    several targets overrides ``operation_targets``.
    """

    target_kind = ""

    def target_key(self, row: Any) -> str:
        """Return what finds the row as a target of operations."""
        return str(row.pk)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the menu beside what the page offers already."""
        row = kwargs.get("obj")
        items = self.operation_items(request, row) if row is not None else []
        if items:
            menu = {"title": "Operations", "variant": ActionVariant.PRIMARY, "items": items}
            context["actions_detail"] = [*context.get("actions_detail", []), menu]
        answer: HttpResponse = super().render_change_form(  # type: ignore[misc]
            request, context, *args, **kwargs
        )
        return answer

    def operation_targets(self, row: Any) -> list[tuple[str, str]]:
        """Return kind and key of each target that a row is."""
        return [(self.target_kind, self.target_key(row))]

    def operation_items(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """Return the operations that the user may do to a row, as items of a menu."""
        actor: Any = request.user
        return [
            {
                "title": operation.title,
                "path": operation_url(operation.name, key),
                "variant": ActionVariant.DANGER if operation.danger else ActionVariant.DEFAULT,
            }
            for kind, key in self.operation_targets(row)
            for operation in operations_on(kind, key, actor)
        ]


def operations_on(kind: str, key: str, actor: Any) -> list[Operation]:
    """Return what an actor may do to a target now."""
    permitted = operations_for(kind, actor.role)
    if not permitted:
        return []
    try:
        target = permitted[0].target.find(key)
    except ApiError:
        return []
    return [
        operation
        for operation in permitted
        if (operation.applies is None or operation.applies(target))
        and not (operation.staff_by_admins and target.staff and actor.role != Role.ADMIN)
    ]
