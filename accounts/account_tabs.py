"""
Tabs of a user's page in the back-office, contributed by the apps that own the rows.

Apps above this one name theirs in ``settings.ACCOUNT_TABS``, as projections are named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.module_loading import import_string

from accounts.permissions import Permission, role_permits
from common.tables import Table

PROFILE_URL = "admin:accounts_user_change"
TAB_URL = "admin:accounts_user_tab"
# Rows of a page of a tab.
TAB_ROWS = 50


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose page it is."""

    user_id: int
    account_id: int
    username: str


@dataclass(frozen=True, slots=True)
class AccountTab:
    """
    One tab: what it is called, who may see it, and what it shows.

    ``tables`` is called with the subject and where the page begins: None for the newest rows,
    else what a table of the page before named as ``next_from``.
    """

    slug: str
    title: str
    permission: Permission
    tables: Callable[[Subject, int | None], Sequence[Table]]


@cache
def account_tabs() -> dict[str, AccountTab]:
    """Return all tabs by slug, in the order of the settings."""
    tabs: list[AccountTab] = []
    for path in settings.ACCOUNT_TABS:
        tabs += import_string(path)
    return {tab.slug: tab for tab in tabs}


def tabs_navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the tabs of the user whose page is asked for, in the theme's own form."""
    match = request.resolver_match
    if match is None or match.view_name not in (PROFILE_URL, TAB_URL):
        return []
    object_id = match.kwargs["object_id"]
    shown_slug = match.kwargs.get("slug", "")
    user: Any = request.user
    items = [
        {
            "title": "Profile",
            "link": reverse(PROFILE_URL, kwargs={"object_id": object_id}),
            "active": not shown_slug,
        }
    ]
    items += [
        {
            "title": tab.title,
            "link": reverse(TAB_URL, kwargs={"object_id": object_id, "slug": tab.slug}),
            "active": tab.slug == shown_slug,
        }
        for tab in account_tabs().values()
        if role_permits(user.role, tab.permission)
    ]
    return [{"models": [{"name": "accounts.user", "detail": True}], "items": items}]
