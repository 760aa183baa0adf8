"""What a caller sees while the exchange does not answer: exact codes, reads go on."""

from typing import Any

import pytest

from common.testing import error_code
from exchange import gateway
from exchange.gateway import ExchangeBusy, ExchangeStatus, ExchangeUnavailable, StatusUnknown
from exchange.models import LogPosition
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader, money_of

pytestmark = pytest.mark.integration

ORDER = {
    "symbol": "BTC-USDT",
    "side": "buy",
    "type": "limit",
    "quantity": "0.1",
    "price": "50000",
}
REQUESTS: list[tuple[str, str, Any]] = [
    ("post", "/api/orders", ORDER),
    ("post", "/api/orders/batch", {"orders": [ORDER, ORDER]}),
    ("delete", "/api/orders/1", None),
    ("delete", "/api/orders", None),
    ("delete", "/api/orders/by-client-id/x", None),
    ("get", "/api/orders/by-client-id/x", None),
    ("post", "/api/wallet/transfer", {"currency": "USDT", "amount": "1", "to_wallet": "margin"}),
]


class TestEngineAway:
    @pytest.mark.parametrize(
        ("error", "status", "code", "retry_after"),
        [
            (ExchangeBusy, 503, "ENGINE_BUSY", "1"),
            (ExchangeUnavailable, 503, "ENGINE_UNAVAILABLE", "1"),
            (StatusUnknown, 504, "STATUS_UNKNOWN", None),
        ],
    )
    @pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
    def test_what_needs_the_exchange_says_so(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        monkeypatch: pytest.MonkeyPatch,
        method: str,
        path: str,
        body: Any,
        error: type[Exception],
        status: int,
        code: str,
        retry_after: str | None,
    ) -> None:
        before = money_of(exchange)

        def fail(*_args: Any, **_options: Any) -> None:
            raise error

        for name in ("submit", "submit_many", "wait_until_caught_up"):
            monkeypatch.setattr(gateway, name, fail)

        send = getattr(alice.api, method)
        answer = send(path) if body is None else send(path, body)

        assert (answer.status_code, error_code(answer)) == (status, code)
        assert answer.headers.get("Retry-After") == retry_after
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        "path",
        [
            "/api/orders",
            "/api/orders/1",
            "/api/orders/history",
            "/api/fills",
            "/api/wallet",
            "/api/wallet/USDT",
            "/api/wallet/history",
        ],
    )
    @pytest.mark.parametrize("heartbeat_ms", [0, 1_700_000_000_000])
    def test_reads_go_on_and_say_how_old_they_are(
        self, alice: Trader, monkeypatch: pytest.MonkeyPatch, path: str, heartbeat_ms: int
    ) -> None:
        alice.placed()
        LogPosition.objects.update(renewed_ms=1_600_000_000_000)
        down = ExchangeStatus(
            leader=False,
            epoch=1,
            lag=0,
            command_number=9,
            heartbeat_ms=heartbeat_ms,
            phase="down",
            down=True,
        )
        monkeypatch.setattr(gateway, "status", lambda: down)

        answer = alice.api.get(path)

        body = answer.json()
        assert answer.status_code == 200
        assert (body["stale"], body["as_of"]) == (True, heartbeat_ms or 1_600_000_000_000)
