"""What each role finds in the sidebar opens; what it does not find there does not."""

from __future__ import annotations

import re

import pytest
import redis
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader

pytestmark = pytest.mark.integration

# What a role never sees, beside what everybody else of the staff does.
HIDDEN = {
    "support": {"sections/status/", "sections/jobs/", "exchange/batch/", "accounts/auditevent/"},
    "risk_manager": {"accounts/auditevent/"},
    "operator": {"accounts/auditevent/"},
    "auditor": set(),
    "admin": set(),
}


@pytest.mark.parametrize("role", list(HIDDEN))
def test_a_role_opens_what_it_sees_and_nothing_else(
    exchange: ExchangeHarness, alice: Trader, redis_client: redis.Redis, role: str
) -> None:
    User.objects.filter(username="alice").update(role=role)
    client, index = Client(), reverse("admin:index")
    client.force_login(User.objects.get(username="alice"))
    page = client.get(index).content.decode()
    sidebar = page[page.index('id="nav-sidebar-apps"') :]
    sections = set(re.findall(rf'href="({index}[^"?#]*)"', sidebar))
    hidden = {index + path for path in HIDDEN[role]}

    assert len(sections) > 15
    assert {client.get(address).status_code for address in sections} == {200}
    assert not hidden & sections
    assert {client.get(address).status_code for address in hidden} <= {403}
