"""
Lists of the back-office that page by key: as fast at the end of a huge table as at its start.

A page is found by the key of the last row of the page before (``?before=``) or of the first row
of the page after (``?after=``). Nothing is counted and nothing skipped, so a page costs one
index range whatever the table's size, and rows that are added meanwhile move nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList

from common.ids import parse_id

BEFORE_VAR = "before"
AFTER_VAR = "after"
# Between the parts of a key of two columns in an address.
KEY_SEPARATOR = "-"


class KeysetPaginator(Paginator):
    """What the theme asks of a paginator: which links to show. It never counts."""

    template_name = "back_office/keyset_pagination.html"


class KeysetChangeList(ChangeList):
    """
    A list newest first (highest key first), or the other way round where the admin says so.

    The admin's ``keyset_columns`` name the columns of the order, the last of them the primary
    key; an index that begins with the columns that are filtered on and goes on with these
    serves any page without sorting.
    """

    before: tuple[int, ...] | None = None
    after: tuple[int, ...] | None = None
    older_url: str | None = None
    newer_url: str | None = None
    newest_url: str | None = None

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str | None] | None = None
    ) -> QuerySet[Any]:
        """Return the filtered rows in the order of the key, without the page's bounds."""
        for name in (BEFORE_VAR, AFTER_VAR):
            self.params.pop(name, None)
            self.filter_params.pop(name, None)
        return super().get_queryset(request, exclude_parameters)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        """Return the order of the key: columns cannot be sorted by at will."""
        return [f"{self._sign}{column}" for column in self._columns(request)]

    def get_ordering_field_columns(self) -> dict[int, str]:
        """Return that no column is shown as sorted."""
        return {}

    def get_results(self, request: HttpRequest) -> None:
        """
        Fetch one page.

        Raises:
            IncorrectLookupParameters: for a key that cannot be one.
        """
        columns = self._columns(request)
        self.before = _parse_key(request.GET.get(BEFORE_VAR), len(columns))
        self.after = _parse_key(request.GET.get(AFTER_VAR), len(columns))
        rows = self.queryset
        backwards = self.after is not None and self.before is None
        bound = self.after if backwards else self.before
        if backwards:
            rows = rows.reverse()
        if bound is not None:
            # Going down the key on a list of the highest first, and on one of the lowest
            # first when its pages are followed backwards.
            downwards = backwards == self.model_admin.keyset_ascending
            rows = _beyond(rows, columns, bound, downwards=downwards)
        found = list(rows[: self.list_per_page + 1])
        has_more = len(found) > self.list_per_page
        shown = found[: self.list_per_page]
        if backwards:
            shown.reverse()
        self._link(shown, columns, has_more=has_more, backwards=backwards)
        self._tell_theme(shown, request)

    @property
    def _sign(self) -> str:
        return "" if self.model_admin.keyset_ascending else "-"

    def _columns(self, request: HttpRequest) -> Sequence[str]:
        columns: Sequence[str] = self.model_admin.get_keyset_columns(request)
        return columns

    def _link(
        self, shown: list[Any], columns: Sequence[str], *, has_more: bool, backwards: bool
    ) -> None:
        """Set the links: one more row than shown says whether there is more that way."""
        if self.before is None and self.after is None:
            has_older, has_newer = has_more, False
        else:
            # Where a page was come from, there is another.
            has_older, has_newer = (True, has_more) if backwards else (has_more, True)
        # Rows that are linked by number lead one way only.
        if has_newer and shown and not (self.query and self.model_admin.search_is_linked):
            self.newer_url = self.get_query_string({AFTER_VAR: _key_text(shown[0], columns)})
        if has_older and shown:
            self.older_url = self.get_query_string({BEFORE_VAR: _key_text(shown[-1], columns)})
        if self.before is not None or self.after is not None:
            self.newest_url = self.get_query_string()

    def _tell_theme(self, shown: list[Any], request: HttpRequest) -> None:
        self.result_list = shown
        self.result_count = len(shown)
        self.show_full_result_count = False
        # The same as what is shown, or the theme offers to count the rest.
        self.full_result_count = len(shown)
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = False
        self.paginator = self.model_admin.get_paginator(request, shown, self.list_per_page)


def _beyond(
    rows: QuerySet[Any], columns: Sequence[str], bound: tuple[int, ...], *, downwards: bool
) -> QuerySet[Any]:
    """Return the rows past a key; a range of the index for one column and for two."""
    strict, wide = ("lt", "lte") if downwards else ("gt", "gte")
    if len(columns) == 1:
        return rows.filter(**{f"{columns[0]}__{strict}": bound[0]})
    first, last = columns
    # As a range on the first column: an OR of two ranges would have to be sorted.
    not_past = {first: bound[0], f"{last}__{'gte' if downwards else 'lte'}": bound[1]}
    return rows.filter(**{f"{first}__{wide}": bound[0]}).exclude(**not_past)


def _parse_key(text: str | None, parts: int) -> tuple[int, ...] | None:
    if not text:
        return None
    keys = tuple(0 if part == "0" else parse_id(part) for part in text.split(KEY_SEPARATOR))
    if len(keys) != parts or any(key is None for key in keys):
        raise IncorrectLookupParameters("expected the key of a row")
    return tuple(key for key in keys if key is not None)


def before_key(request: HttpRequest) -> int | None:
    """Return the key before which a page of one column begins, None for the first page."""
    return parse_id(request.GET.get(BEFORE_VAR))


def _key_text(row: Any, columns: Sequence[str]) -> str:
    return KEY_SEPARATOR.join(str(getattr(row, column)) for column in columns)
