"""Rows changed behind the platform's back, on whatever database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import models

Tampering = Callable[[], object]


def rows(model: type[models.Model], **where: object) -> models.QuerySet[Any]:
    """Return rows as somebody with access to the database has them: to change and to delete."""
    return models.QuerySet(model).filter(**where)


def alter(model: type[models.Model], where: dict[str, object] | None = None, **to: Any) -> None:
    """
    Change columns of rows.

    Raises:
        AssertionError: if there is no such row: a test of nothing.
    """
    assert rows(model, **(where or {})).update(**to) > 0


def remove(model: type[models.Model], **where: object) -> None:
    """
    Delete rows.

    Raises:
        AssertionError: if there is no such row.
    """
    found = rows(model, **where)
    assert found.exists()
    found._raw_delete(found.db)


def insert_copy(model: type[models.Model], of: int, **to: Any) -> None:
    """Insert a copy of the row whose key is ``of``, with other values in some columns."""
    copy = rows(model, pk=of).get()
    for name, value in to.items():
        setattr(copy, name, value)
    models.QuerySet(model).bulk_create([copy])
