"""The audit log by time: exact at both ends, over REST and in the back-office, along indexes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts import audit, services
from accounts.enums import Role
from accounts.models import User
from accounts.types import Caller
from common.testing import ApiClient, error_code
from tests.support.plans import watched_reads

START = datetime(2026, 3, 1, tzinfo=UTC)
LIST = reverse("admin:accounts_auditevent_changelist")
READS_MAX = 40


def ms(hours: float) -> int:
    return round((START + timedelta(hours=hours)).timestamp() * 1000)


@pytest.fixture
def auditor(db: None) -> User:
    return services.user_create(
        username="auditor", email="a@example.com", password="correct horse 9", role=Role.AUDITOR
    )


@pytest.fixture
def api(auditor: User) -> ApiClient:
    pair = services.session_open(user=auditor, caller=Caller(ip="127.0.0.1"))
    return ApiClient(pair.access_token)


@pytest.fixture
def office(auditor: User) -> Client:
    client = Client()
    client.force_login(auditor)
    return client


@pytest.fixture(autouse=True)
def events(auditor: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve events, one an hour; the clock of every other process is twenty seconds behind."""
    with monkeypatch.context() as patched:
        for hour in range(12):
            moment = START + timedelta(hours=hour, seconds=-20 * (hour % 2))
            patched.setattr(audit, "timezone", SimpleNamespace(now=lambda moment=moment: moment))
            audit.record(
                actor="even" if hour % 2 == 0 else "odd",
                action="user.disable",
                target=f"user:{hour}",
                reason="drill",
            )
        # Later by its number, half a minute earlier by its clock.
        late = START + timedelta(hours=11, seconds=-50)
        patched.setattr(audit, "timezone", SimpleNamespace(now=lambda: late))
        audit.record(actor="late", action="user.disable", target="user:99", reason="drill")


def targets(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [int(item["target"].partition(":")[2]) for item in answer.json()["items"]]


@pytest.mark.parametrize(
    ("_case", "query", "expected"),
    [
        ("both ends", f"since={ms(2)}&until={ms(6)}", [5, 4, 3, 2]),
        ("the start is in, the end is not", f"since={ms(4)}&until={ms(4) + 1}", [4]),
        ("nothing in it", f"since={ms(4) + 1}&until={ms(4) + 2}", []),
        ("up to a time", f"until={ms(2)}&action=user.disable", [1, 0]),
        ("with the actor", f"since={ms(1)}&until={ms(7)}&actor=even", [6, 4, 2]),
        ("a clock that is behind", f"since={ms(10)}&until={ms(11) - 40_000}", [99, 10]),
        ("another actor's time", f"since={ms(10)}&actor=late", [99]),
        ("the wrong way round", f"since={ms(6)}&until={ms(2)}", []),
    ],
)
def test_rest_returns_the_events_of_a_period(
    api: ApiClient, _case: str, query: str, expected: list[int]
) -> None:
    assert targets(api.get(f"/api/admin/audit-logs?{query}")) == expected


def test_pages_of_a_period_follow_each_other(api: ApiClient) -> None:
    path, seen, query = f"/api/admin/audit-logs?since={ms(2)}&until={ms(7)}&limit=2", [], ""

    while query is not None:
        answer = api.get(path + query)
        seen += targets(answer)
        cursor = answer.json()["next_cursor"]
        query = f"&cursor={cursor}" if cursor else None

    assert seen == [7, 6, 5, 4, 3, 2]


@pytest.mark.parametrize("query", ["since=yesterday", "until=-1", "since=9007199254740993"])
def test_what_is_no_time_is_refused(api: ApiClient, query: str) -> None:
    answer = api.get(f"/api/admin/audit-logs?{query}")

    assert (answer.status_code, error_code(answer)) == (400, "INVALID_PARAMETER")


def test_the_list_shows_a_period_and_keeps_what_was_entered(office: Client) -> None:
    page = office.get(f"{LIST}?since=2026-03-01T02:00&until=2026-03-01T05:00:00")
    text = page.content.decode()

    assert [event.target for event in page.context["cl"].result_list] == [
        "user:5",
        "user:4",
        "user:3",
        "user:2",
    ]
    assert 'type="datetime-local" step="1" name="since" value="2026-03-01T02:00"' in text


def test_the_list_leads_back_from_what_is_no_time(office: Client) -> None:
    assert office.get(f"{LIST}?since=tomorrow").status_code == 302


@pytest.mark.parametrize("extra", ["", "&actor=even", "&target=user:4", "&action=user.disable"])
def test_a_period_is_read_along_indexes(api: ApiClient, office: Client, extra: str) -> None:
    with watched_reads() as rest:
        answer = api.get(f"/api/admin/audit-logs?since={ms(2)}&until={ms(9)}{extra}")
    with watched_reads() as pages:
        page = office.get(f"{LIST}?since=2026-03-01T02:00&until=2026-03-01T09:00")

    assert (answer.status_code, page.status_code) == (200, 200)
    for reads in (rest, pages):
        assert reads.offences() == []
        assert reads.count < READS_MAX
