"""Members of staff, as REST and the back-office know them."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any

from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.enums import Role
from accounts.models import AuditEvent, User
from accounts.types import Caller
from common.testing import ApiClient
from tests.support.trading import PASSWORD


@dataclass
class Staff:
    """One member of staff with a session of the API and one of the browser."""

    user: User
    api: ApiClient
    browser: Client

    def log_in_again(self) -> None:
        """Open a new browser session, as after a change that ends the old ones."""
        self.user.refresh_from_db()
        self.browser.force_login(self.user)

    def fill_in(self, name: str, target: str, /, **fields: str) -> Any:
        """Send the form of an operation; return the page that asks to confirm, or the form."""
        return self.browser.post(self.form_url(name, target), {"reason": "drill", **fields})

    def confirm(self, page: Any, *, follow: bool = True, **more: str) -> Any:
        """Confirm on a page, as a browser would, and follow to the result."""
        found = dict(
            re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.content.decode())
        )
        hidden = {name: html.unescape(value) for name, value in found.items()}
        return self.browser.post(page.request["PATH_INFO"], {**hidden, **more}, follow=follow)

    @staticmethod
    def form_url(name: str, target: str) -> str:
        """Return the address of an operation's form."""
        return reverse("operation", args=[name, target] if target else [name])


def staff_member(role: Role, name: str = "") -> Staff:
    """Return a new member of staff."""
    username = name or f"a_{role.value}"
    user = services.user_create(
        username=username, email=f"{username}@example.com", password=PASSWORD, role=role
    )
    pair = services.session_open(user=user, caller=Caller(ip="127.0.0.1"))
    browser = Client(raise_request_exception=True)
    browser.force_login(user)
    return Staff(user, ApiClient(pair.access_token), browser)


def audited(*actions: str) -> list[dict[str, Any]]:
    """Return the events of some actions, oldest first."""
    return [
        {
            "actor": event.actor,
            "action": event.action,
            "target": event.target,
            "before": json.loads(event.before or "null"),
            "after": json.loads(event.after or "null"),
            "reason": event.reason,
        }
        for event in AuditEvent.objects.order_by("id")
        if event.action in actions
    ]
