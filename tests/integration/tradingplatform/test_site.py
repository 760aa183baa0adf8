"""Front page, guides, health and the policies that go with every answer."""

from collections.abc import Iterator

import pytest
import redis
from django.db import OperationalError
from django.test import Client

from markets import selectors
from tests.support.exchange import ExchangeHarness
from tests.support.exchange import inline_exchange as inline_exchange
from tradingplatform import health
from tradingplatform.health import Check


def fine() -> Check:
    return Check(True, "fine")


def unwell() -> Check:
    return Check(False, "command 17 of 90 loaded")


def raising() -> Check:
    raise redis.ConnectionError("secret address")


class TestHealth:
    @pytest.mark.parametrize("path", ["/api/health", "/api/health/live"])
    def test_liveness_asks_nothing(
        self, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # No database access is allowed in this test: a query would fail it.
        monkeypatch.setattr(health, "CHECKS", {"redis": raising})

        answer = client.get(path)

        assert answer.status_code == 200
        assert answer.json() == {"status": "ok"}
        assert answer["Cache-Control"] == "no-store"

    def test_ready_when_every_part_is(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "CHECKS", {"database": fine, "redis": fine})

        answer = client.get("/api/health/ready")

        assert answer.status_code == 200
        assert answer.json()["status"] == "ok"

    @pytest.mark.parametrize(
        ("check", "detail"),
        [(unwell, "command 17 of 90 loaded"), (raising, "ConnectionError")],
    )
    def test_not_ready_says_which_part_and_no_secret(
        self, client: Client, monkeypatch: pytest.MonkeyPatch, check: object, detail: str
    ) -> None:
        monkeypatch.setattr(health, "CHECKS", {"database": fine, "exchange": check})

        answer = client.get("/api/health/ready")

        assert answer.status_code == 503
        body = answer.json()
        assert body["status"] == "unavailable"
        assert body["checks"]["database"] == {"ok": True, "detail": "fine"}
        assert body["checks"]["exchange"] == {"ok": False, "detail": detail}
        assert "secret" not in answer.content.decode()

    def test_a_broken_database_is_no_server_error(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken() -> Check:
            raise OperationalError("disk I/O error")

        monkeypatch.setattr(health, "CHECKS", {"database": broken})

        assert client.get("/api/health/ready").status_code == 503


@pytest.mark.django_db
class TestFrontPage:
    def test_has_a_strict_policy_and_no_inline_script(self, client: Client) -> None:
        answer = client.get("/")

        assert answer.status_code == 200
        policy = answer["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        page = answer.content.decode()
        assert "<script>" not in page
        assert "style=" not in page
        assert answer["X-Frame-Options"] == "DENY"

    def test_says_how_to_get_markets_when_there_are_none(self, client: Client) -> None:
        assert "make seed" in client.get("/").content.decode()

    def test_back_office_has_a_policy_of_its_own(self, client: Client) -> None:
        policy = client.get("/admin/login/")["Content-Security-Policy"]

        assert "'unsafe-eval'" in policy
        assert "default-src 'none'" in policy


class TestMarketPage:
    @pytest.fixture
    def market(self, inline_exchange: ExchangeHarness) -> Iterator[None]:
        """BTC-USDT and ETH-USDT."""
        selectors.cache_clear()
        inline_exchange.seed_markets()
        yield
        selectors.cache_clear()

    def test_carries_the_rules_of_its_market(self, client: Client, market: None) -> None:
        answer = client.get("/markets/BTC-USDT")

        assert answer.status_code == 200
        page = answer.content.decode()
        assert 'data-symbol="BTC-USDT" data-kind="spot" data-base="BTC" data-quote="USDT"' in page
        assert 'data-tick="0.01" data-lot="0.00001"' in page
        assert "<option selected>BTC-USDT</option>" in page
        assert "unsafe" not in answer["Content-Security-Policy"]

    @pytest.mark.parametrize("symbol", ["BTCUSDT", "BTC/USDT"])
    def test_has_one_address(self, client: Client, market: None, symbol: str) -> None:
        answer = client.get(f"/markets/{symbol}")

        assert (answer.status_code, answer["Location"]) == (302, "/markets/BTC-USDT")

    @pytest.mark.parametrize("symbol", ["NO-SUCH", "btc-usdt", "BTC-USDT/", "<b>"])
    def test_of_an_unknown_market_is_not_there(
        self, client: Client, market: None, symbol: str
    ) -> None:
        answer = client.get(f"/markets/{symbol}")

        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "NOT_FOUND"


class TestGuides:
    @pytest.mark.parametrize(
        "path",
        ["/docs/architecture", "/docs/api", "/docs/websocket", "/docs/adr/0001-single-writer.md"],
    )
    def test_documents_are_pages(self, client: Client, path: str) -> None:
        answer = client.get(path)

        assert answer.status_code == 200
        assert "<h1>" in answer.content.decode()

    @pytest.mark.parametrize(
        "path",
        ["/docs/unknown", "/docs/../README.md", "/docs/adr/../../.env", "/docs/openapi.yaml"],
    )
    def test_nothing_else_is(self, client: Client, path: str) -> None:
        assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/nowhere", "/api/nowhere", "/api/orders/"])
def test_unknown_addresses_answer_json(client: Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "NOT_FOUND"
