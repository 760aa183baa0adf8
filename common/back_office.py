"""What the back-office's lists of large, read-only tables share."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin.options import ShowFacets
from django.contrib.admin.utils import get_fields_from_path
from django.db.models import IntegerField, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin

from common.db import read_snapshot
from common.ids import parse_id
from common.keyset import KeysetChangeList, KeysetPaginator

_READING = frozenset({"GET", "HEAD"})


class ShownTime(datetime):
    """A time whose text is to the second, as lists show it: pages of one row take the text."""

    def __str__(self) -> str:
        """Return date and time without fraction and zone."""
        return f"{self:%Y-%m-%d %H:%M:%S}"


def shown_time(time_ms: int) -> ShownTime:
    """Return UTC milliseconds as the time that Django shows."""
    return ShownTime.fromtimestamp(time_ms / 1000, tz=UTC)


class KeysetAdmin(ModelAdmin):
    """
    Lists that page by key and are read in one snapshot.

    A list filter may be named only where an index serves it together with the key's order;
    ``tests/integration/adminpanel/test_query_plans.py`` asks the database of each.
    """

    paginator = KeysetPaginator
    list_per_page = 50
    list_fullwidth = True
    show_full_result_count = False
    # A count for each choice of a filter reads the whole table.
    show_facets = ShowFacets.NEVER
    sortable_by: Sequence[str] = ()
    keyset_columns: Sequence[str] = ("id",)
    keyset_ascending = False
    # Searched one after the other for a whole value; each must have an index. The first that
    # finds something answers, so that a page is always one range of one index.
    search_fields: Sequence[str] = ()
    # Whether what a search finds are rows that each name only the one before them.
    search_is_linked = False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        """Return the list that pages by key."""
        return KeysetChangeList

    def get_keyset_columns(self, request: HttpRequest) -> Sequence[str]:
        """Return the columns of the order, the primary key last."""
        return self.keyset_columns

    def get_ordering(self, request: HttpRequest) -> list[str]:
        """Return the order of the key, for whoever asks outside of the list."""
        sign = "" if self.keyset_ascending else "-"
        return [f"{sign}{column}" for column in self.get_keyset_columns(request)]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows in which a searched column is exactly what was typed."""
        term = search_term.strip()
        if not term:
            return queryset, False
        for name in self.get_search_fields(request):
            value = self._search_value(name, term)
            if value is None:
                continue
            # Asked of the whole table: filters that are on must not make another column answer.
            if self.model._default_manager.filter(**{name: value}).exists():
                return queryset.filter(**{name: value}), False
        return queryset.none(), False

    def _search_value(self, name: str, term: str) -> int | str | None:
        """Return a typed text as the value of a column, None if it cannot be one."""
        field = get_fields_from_path(self.model, name)[-1]
        return parse_id(term) if isinstance(field, IntegerField) else term

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Return the list, rendered within the snapshot in which its rows were read."""
        if request.method not in _READING:
            return super().changelist_view(request, extra_context)
        with read_snapshot():
            return _rendered(super().changelist_view(request, extra_context))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Return a row's page, rendered within one snapshot."""
        if request.method not in _READING:
            return super().change_view(request, object_id, form_url, extra_context)
        with read_snapshot():
            return _rendered(super().change_view(request, object_id, form_url, extra_context))


def _rendered(response: Any) -> HttpResponse:
    answer: HttpResponse = response.render() if hasattr(response, "render") else response
    return answer


class ReadOnlyAdmin(KeysetAdmin):
    """Rows that nobody changes by hand: found and looked at."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is changed by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return that nothing is deleted."""
        return False
