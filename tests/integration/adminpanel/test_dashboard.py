"""The dashboard: its page, its answers, who sees what, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis as redis_module
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from accounts.permissions import ROLE_PERMISSIONS, Permission
from adminpanel.sampling import sample_all
from adminpanel.stats import board, charts
from adminpanel.stats.board import SECTIONS
from adminpanel.stats.shapes import Stats
from common.ids import make_id
from exchange.wire import now_ms
from tests.support.exchange import ExchangeHarness
from tests.support.redis_server import redis_client, redis_url
from tests.support.trading import Trader

__all__ = ["redis_client", "redis_url"]
pytestmark = pytest.mark.integration

ROLES = ["support", "risk_manager", "operator", "auditor", "admin"]
# Reading everything costs this many queries, whatever there is to read.
QUERIES_MAX = 20


@pytest.fixture(autouse=True)
def fresh(redis_client: redis_module.Redis) -> Iterator[None]:
    board.forget()
    charts.forget()
    yield
    board.forget()
    charts.forget()


def _office(alice: Trader, role: str = "admin") -> Client:
    User.objects.filter(username=alice.name).update(role=role)
    client = Client()
    client.force_login(User.objects.get(username=alice.name))
    return client


def test_the_page_carries_the_board_and_its_scripts(
    exchange: ExchangeHarness, alice: Trader
) -> None:
    answer = _office(alice).get("/admin/")

    page = answer.content.decode()
    assert answer.status_code == 200
    assert 'id="board-data"' in page
    assert 'data-live="/admin/dashboard/live"' in page
    assert '<table id="near">' in page
    assert "BTC-USDT" in page


def test_the_answer_is_what_the_document_says(exchange: ExchangeHarness, alice: Trader) -> None:
    alice.placed(side="sell", quantity="0.2")

    body = _office(alice).get("/admin/dashboard/live").json()

    stats = msgspec.convert(body, type=Stats)
    assert stats.markets is not None
    assert [market.symbol for market in stats.markets] == ["BTC-USDT", "ETH-USDT"]
    assert stats.commands is not None
    assert stats.commands[0].type == "Credit"
    # Nobody leads in a test: that is what an operator must see first.
    assert stats.alerts[0].code == "NO_LEADER"
    assert stats.phase == "down"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_sees_what_it_may_and_no_more(
    exchange: ExchangeHarness, alice: Trader, role: str
) -> None:
    client = _office(alice, role)
    sample_all(now_ms())

    body = client.get("/admin/dashboard/live").json()
    page = client.get("/admin/").content.decode()
    shown = {chart["name"] for chart in client.get("/admin/dashboard/charts").json()["charts"]}

    permissions = ROLE_PERMISSIONS[role]  # type: ignore[index]
    seen = {name for name, needed in SECTIONS.items() if needed in permissions}
    assert {name for name in SECTIONS if body[name] is not None} == seen
    assert ('<table id="funds">' in page) == ("funds" in seen)
    assert ("fees" in shown) == (Permission.EXPOSURE_VIEW in permissions)
    assert ("commands" in shown) == (Permission.SYSTEM_VIEW in permissions)
    assert "volume" in shown


def test_support_sees_no_money_of_the_exchange(exchange: ExchangeHarness, alice: Trader) -> None:
    body = _office(alice, "support").get("/admin/dashboard/live").json()

    hidden = ("health", "funds", "near_liquidation", "liquidations", "commands", "audit")
    assert [body[name] for name in hidden] == [None] * 6
    assert body["markets"] is not None


def test_strangers_are_sent_to_the_login(exchange: ExchangeHarness, alice: Trader) -> None:
    trader = _office(alice, "trader")

    for client in (Client(), trader):
        for path in ("", "dashboard/live", "dashboard/charts"):
            answer = client.get(f"/admin/{path}")
            assert answer.status_code == 302, path
            assert "/admin/login/" in answer["Location"]


def test_changing_methods_and_unknown_ranges_are_refused(
    exchange: ExchangeHarness, alice: Trader
) -> None:
    client = _office(alice)

    assert client.post("/admin/dashboard/live").status_code == 405
    answer = client.get("/admin/dashboard/charts?range=1y")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_PARAMETER")


def test_the_number_of_queries_does_not_grow(exchange: ExchangeHarness, alice: Trader) -> None:
    client = _office(alice)
    client.get("/admin/dashboard/live")
    counts: list[int] = []
    for _ in range(2):
        board.forget()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/admin/dashboard/live")
        counts.append(len(queries))
        for _ in range(5):
            exchange.add_account(make_id(), USDT=100)

    assert counts[0] == counts[1] <= QUERIES_MAX


def test_one_reading_serves_all_who_look(exchange: ExchangeHarness, alice: Trader) -> None:
    first = board.board_now()

    assert board.board_now() is first


def test_charts_have_a_value_for_each_bucket(exchange: ExchangeHarness, alice: Trader) -> None:
    alice.placed(side="sell", quantity="0.2")
    sample_all(now_ms())

    answers = {
        name: _office(alice).get(f"/admin/dashboard/charts?range={name}").json()
        for name in ("1h", "24h", "7d", "30d")
    }

    assert [len(answer["times"]) for answer in answers.values()] == [60, 144, 168, 30]
    for answer in answers.values():
        assert answer["times"][-1] <= now_ms() < answer["times"][-1] + answer["step_ms"] + 1_000
        for chart in answer["charts"]:
            for line in chart["series"]:
                assert len(line["values"]) == len(answer["times"]), chart["name"]


def test_rest_answers_the_same(exchange: ExchangeHarness, alice: Trader) -> None:
    User.objects.filter(username=alice.name).update(role="auditor")

    answer = alice.api.get("/api/admin/stats")
    unknown = alice.api.get("/api/admin/stats?page=2")

    assert answer.status_code == 200
    stats = msgspec.convert(answer.json(), type=Stats)
    assert stats.audit is not None
    assert stats.health is not None
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "INVALID_PARAMETER")


def test_without_redis_the_page_still_says_what_is_wrong(
    exchange: ExchangeHarness, alice: Trader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise redis_module.ConnectionError

    client = _office(alice)
    monkeypatch.setattr(board, "read_figures", away)

    body = client.get("/admin/dashboard/live").json()

    assert body["phase"] == "down"
    assert body["alerts"][0]["code"] == "NO_LEADER"
    assert body["markets"][0]["symbol"] == "BTC-USDT"
