"""A filter of the back-office's lists by two times, whose rows a callable finds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest

SINCE_VAR, UNTIL_VAR = "since", "until"
_LABELS = {SINCE_VAR: "From", UNTIL_VAR: "To, without it"}


class PeriodFilter(admin.ListFilter):
    """
    Rows from a time up to but without another, either of which may be missing.

    A subclass says how its table finds them (``rows_of_period``); a list that offers it has
    ``list_filter_submit``.
    """

    title = "time"
    template = "back_office/period_filter.html"

    def __init__(
        self, request: HttpRequest, params: dict[str, Any], model: type[Any], model_admin: Any
    ) -> None:
        """Take the times from the address."""
        super().__init__(request, params, model, model_admin)
        self._entered = {name: str(params.pop(name)[-1]) for name in _LABELS if name in params}
        self.used_parameters.update(self._entered)

    def rows_of_period(
        self, rows: QuerySet[Any], *, since_ms: int | None, until_ms: int | None
    ) -> QuerySet[Any]:
        """Return the rows of a period, UTC milliseconds, at the cost of what they are."""
        raise NotImplementedError

    def expected_parameters(self) -> list[str | None]:
        """Return the names in the address."""
        return [*_LABELS]

    def has_output(self) -> bool:
        """Return that the filter is always offered."""
        return True

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """Yield the two fields with what was entered."""
        for name, label in _LABELS.items():
            yield {"name": name, "label": label, "value": self._entered.get(name, "")}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """
        Return the rows of the period that was entered.

        Raises:
            IncorrectLookupParameters: for what is no time.
        """
        since_ms, until_ms = map(self._time_ms, (SINCE_VAR, UNTIL_VAR))
        if since_ms is None and until_ms is None:
            return queryset
        return self.rows_of_period(queryset, since_ms=since_ms, until_ms=until_ms)

    def _time_ms(self, name: str) -> int | None:
        text = self._entered.get(name, "")
        if not text:
            return None
        try:
            entered = datetime.fromisoformat(text)
            return round(entered.replace(tzinfo=entered.tzinfo or UTC).timestamp() * 1000)
        except (ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(f"expected a time, was {text[:40]!r}") from error
