"""What the pages of the back-office share that are no list of one table's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import redis
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.permissions import Permission, role_permits
from common.db import read_snapshot
from common.tables import FROM_VAR, Table, Tone


@dataclass(frozen=True, slots=True)
class Banner:
    """One sentence that says how things stand."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Section:
    """What a page shows under its title."""

    tables: Sequence[Table]
    banners: Sequence[Banner] = ()


Maker = Callable[[HttpRequest], Section]


def section_page(
    title: str, permission: Permission
) -> Callable[[Maker], Callable[..., HttpResponse]]:
    """
    Return a decorator that makes a page of the back-office of what returns a section.

    It is read and drawn within one snapshot, for staff with the permission; others get 403.
    Without Redis it says so.
    """

    def decorate(make: Maker) -> Callable[..., HttpResponse]:
        @wraps(make)
        def view(request: HttpRequest) -> HttpResponse:
            actor: Any = request.user
            if not role_permits(actor.role, permission):
                raise PermissionDenied
            with read_snapshot():
                try:
                    section = make(request)
                except (redis.RedisError, OSError):
                    section = Section([], [Banner("Redis does not answer.", Tone.BAD)])
                context = {
                    **admin.site.each_context(request),
                    "title": title,
                    "tables": section.tables,
                    "banners": section.banners,
                    "is_later_page": FROM_VAR in request.GET,
                }
                return TemplateResponse(request, "back_office/page.html", context).render()

        return admin.site.admin_view(view)

    return decorate


def age_text(milliseconds: int) -> str:
    """Return how long ago something was, in the largest unit that tells it."""
    seconds = max(0, milliseconds) / 1_000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h"
