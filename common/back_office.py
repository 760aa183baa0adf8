"""What the back-office's lists of large, read-only tables share."""

from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest
from unfold.admin import ModelAdmin

# Rows that a list shows at most; counting a table of a hundred million takes a minute.
LISTED_ROWS_MAX = 10_000


def shown_time(time_ms: int) -> datetime:
    """Return UTC milliseconds as the time that Django shows."""
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC)


class BoundedPaginator(Paginator):
    """Pages over the first rows of a list; older ones are found by searching."""

    @cached_property
    def count(self) -> int:
        """Return how many rows there are, at most ``LISTED_ROWS_MAX``."""
        rows: Any = self.object_list
        return len(rows.values_list("pk", flat=True)[:LISTED_ROWS_MAX])


class ReadOnlyAdmin(ModelAdmin):
    """Rows that the exchange alone writes: found and looked at, never changed."""

    paginator = BoundedPaginator
    list_per_page = 50
    show_full_result_count = False
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is changed by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is deleted."""
        return False
