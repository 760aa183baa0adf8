"""Balances, transfers and the ledger over REST."""

from typing import Any

import pytest

from common.testing import error_code
from exchange.core.commands import ConfigureAccount
from exchange.core.enums import AccountStatus
from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader, money_of, register

pytestmark = pytest.mark.integration


def transfer(trader: Trader, **fields: Any) -> Any:
    """Send a transfer of 100 USDT from spot to margin unless fields say otherwise."""
    body: dict[str, Any] = {"currency": "USDT", "amount": "100", "to_wallet": "margin"}
    body.update(fields)
    sent = {name: value for name, value in body.items() if value is not None}
    return trader.api.post("/api/wallet/transfer", sent)


class TestBalances:
    def test_total_available_and_held(self, alice: Trader) -> None:
        alice.placed(side="sell", quantity="0.4", price="60000")

        balances = alice.api.get("/api/wallet").json()["balances"]

        assert balances[0] == {
            "currency": "BTC",
            "wallet": "spot",
            "total": "10.00000000",
            "available": "9.60000000",
            "held": "0.40000000",
        }
        assert [row["currency"] for row in balances] == ["BTC", "ETH", "USDT"]

    def test_one_currency(self, alice: Trader) -> None:
        transfer(alice)

        body = alice.api.get("/api/wallet/USDT").json()

        assert body["currency"] == "USDT"
        found = [(row["wallet"], row["total"]) for row in body["balances"]]
        assert found == [("spot", "999900.00000000"), ("margin", "100.00000000")]

    @pytest.mark.parametrize("currency", ["XYZ", "usdt", "1"])
    def test_an_unknown_currency(self, alice: Trader, currency: str) -> None:
        answer = alice.api.get(f"/api/wallet/{currency}")

        assert (answer.status_code, error_code(answer)) == (404, "ASSET_NOT_FOUND")

    def test_no_parameter_is_known(self, alice: Trader) -> None:
        answer = alice.api.get("/api/wallet?account_id=1")

        assert (answer.status_code, error_code(answer)) == (400, "INVALID_PARAMETER")


class TestTransfer:
    def test_between_own_wallets(self, alice: Trader) -> None:
        answer = transfer(alice, amount="0.5", currency="BTC", client_transfer_id="t-1")

        assert answer.status_code == 201
        body = answer.json()
        assert int(body.pop("id")) > 0
        assert body == {
            "currency": "BTC",
            "amount": "0.50000000",
            "from_wallet": "spot",
            "to_wallet": "margin",
            "to_username": None,
            "client_transfer_id": "t-1",
        }
        assert alice.balances()["BTC spot"] == ("9.50000000", "0.00000000")
        assert alice.balances()["BTC margin"] == ("0.50000000", "0.00000000")

    def test_to_another_user(self, alice: Trader, bob: Trader) -> None:
        answer = transfer(alice, to_username="Bob", to_wallet=None)

        assert answer.status_code == 201
        assert answer.json()["to_username"] == "Bob"
        assert alice.balances()["USDT spot"][0] == "999900.00000000"
        assert bob.balances()["USDT spot"][0] == "1000100.00000000"

    def test_the_same_request_is_carried_out_once(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        first = transfer(alice, client_transfer_id="t-1")
        before = money_of(exchange)

        again = transfer(alice, client_transfer_id="t-1", amount="100.00", from_wallet="spot")

        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json() == first.json()
        assert money_of(exchange) == before

    def test_another_request_under_the_same_id_is_a_conflict(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        transfer(alice, client_transfer_id="t-1")
        before = money_of(exchange)

        answer = transfer(alice, client_transfer_id="t-1", amount="101")

        assert (answer.status_code, error_code(answer)) == (409, "TRANSFER_ID_CONFLICT")
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("_case", "fields", "status", "code", "error_fields"),
        [
            ("no amount", {"amount": None}, 400, "VALIDATION_ERROR", {"amount": "REQUIRED"}),
            ("zero", {"amount": "0"}, 400, "VALIDATION_ERROR", {"amount": "OUT_OF_RANGE"}),
            ("negative", {"amount": "-1"}, 400, "VALIDATION_ERROR", {"amount": "INVALID_DECIMAL"}),
            ("number", {"amount": 1}, 400, "VALIDATION_ERROR", {"amount": "INVALID_DECIMAL"}),
            ("exponent", {"amount": "1e3"}, 400, "VALIDATION_ERROR", {"amount": "INVALID_DECIMAL"}),
            (
                "decimals",
                {"amount": "0.000000001"},
                400,
                "VALIDATION_ERROR",
                {"amount": "TOO_MANY_DECIMALS"},
            ),
            ("unknown field", {"fee": "0"}, 400, "UNKNOWN_FIELD", {"fee": "UNKNOWN_FIELD"}),
            (
                "unknown wallet",
                {"to_wallet": "savings"},
                400,
                "VALIDATION_ERROR",
                {"to_wallet": "INVALID_CHOICE"},
            ),
            ("unknown currency", {"currency": "XYZ"}, 404, "ASSET_NOT_FOUND", None),
            ("unknown user", {"to_username": "nobody_here"}, 404, "RECIPIENT_NOT_FOUND", None),
            ("no user name", {"to_username": "../x"}, 404, "RECIPIENT_NOT_FOUND", None),
            ("too much", {"amount": "1000000.00000001"}, 422, "INSUFFICIENT_BALANCE", None),
            ("same wallet", {"to_wallet": "spot"}, 422, "SAME_WALLET", None),
            ("to oneself", {"to_wallet": "spot", "to_username": "alice"}, 422, "SAME_WALLET", None),
        ],
    )
    def test_a_refusal_changes_nothing(
        self,
        exchange: ExchangeHarness,
        alice: Trader,
        _case: str,
        fields: dict[str, Any],
        status: int,
        code: str,
        error_fields: dict[str, str] | None,
    ) -> None:
        before = money_of(exchange)

        answer = transfer(alice, **fields)

        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (status, code)
        assert error.get("fields") == error_fields
        assert money_of(exchange) == before

    def test_what_open_orders_hold_stays(self, exchange: ExchangeHarness, alice: Trader) -> None:
        alice.placed(side="sell", quantity="10", price="60000")
        before = money_of(exchange)

        answer = transfer(alice, currency="BTC", amount="0.00000001")

        assert (answer.status_code, error_code(answer)) == (422, "INSUFFICIENT_BALANCE")
        assert money_of(exchange) == before

    @pytest.mark.parametrize(
        ("account_status", "code"),
        [
            (AccountStatus.SUSPENDED, "ACCOUNT_SUSPENDED"),
            (AccountStatus.CANCEL_ONLY, "ACCOUNT_CANCEL_ONLY"),
        ],
    )
    def test_an_account_that_may_not_move_money(
        self, exchange: ExchangeHarness, alice: Trader, account_status: AccountStatus, code: str
    ) -> None:
        exchange.configure(ConfigureAccount(alice.account_id, status=account_status))
        before = money_of(exchange)

        answer = transfer(alice)

        assert (answer.status_code, error_code(answer)) == (422, code)
        assert money_of(exchange) == before


class TestHistory:
    def test_every_change_of_ownership_newest_first(self, alice: Trader, bob: Trader) -> None:
        transfer(alice)
        alice.placed(side="sell", quantity="0.1")
        bob.placed(quantity="0.1")

        items = alice.api.get("/api/wallet/history").json()["items"]

        kinds = [item["kind"] for item in items]
        assert kinds == ["trade", "transfer", "transfer", "deposit", "deposit", "deposit"]
        trade = items[0]
        assert int(trade.pop("created_at")) > 0
        assert int(trade.pop("id")) > 0
        assert trade == {
            "kind": "trade",
            "wallet": "spot",
            "reference_id": "1",
            "changes": [
                {"currency": "BTC", "amount": "-0.10000000", "balance": "9.90000000"},
                {"currency": "USDT", "amount": "4995.00000000", "balance": "1004895.00000000"},
            ],
            "fee": {"currency": "USDT", "amount": "5.00000000"},
            "note": "",
        }

    def test_filters_and_pages(self, alice: Trader, bob: Trader) -> None:
        for _ in range(3):
            transfer(alice)
        alice.placed(side="sell", quantity="0.1")
        bob.placed(quantity="0.1")

        bitcoin = alice.api.get("/api/wallet/history?currency=BTC").json()["items"]
        transfers = alice.api.get("/api/wallet/history?kind=transfer&limit=4").json()
        rest = alice.api.get(
            f"/api/wallet/history?kind=transfer&limit=4&cursor={transfers['next_cursor']}"
        ).json()

        assert [item["kind"] for item in bitcoin] == ["trade", "deposit"]
        found = [item["reference_id"] for item in transfers["items"] + rest["items"]]
        assert len(found) == 6
        assert found == sorted(found, reverse=True)
        assert rest["next_cursor"] is None

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("kind=gift", 400, "INVALID_PARAMETER"),
            ("kind=trade&kind=transfer", 400, "INVALID_PARAMETER"),
            ("account_id=1", 400, "INVALID_PARAMETER"),
            ("cursor=x", 400, "INVALID_PARAMETER"),
            ("limit=1000000", 400, "INVALID_PARAMETER"),
            ("currency=XYZ", 404, "ASSET_NOT_FOUND"),
        ],
    )
    def test_a_wrong_query_is_refused(
        self, alice: Trader, query: str, status: int, code: str
    ) -> None:
        answer = alice.api.get(f"/api/wallet/history?{query}")

        assert (answer.status_code, error_code(answer)) == (status, code)

    def test_a_cursor_never_shows_anothers_entries(
        self, exchange: ExchangeHarness, alice: Trader
    ) -> None:
        carol = register(exchange, "carol")
        page = alice.api.get("/api/wallet/history?limit=1").json()

        stolen = carol.api.get(f"/api/wallet/history?cursor={page['next_cursor']}").json()

        own = carol.api.get("/api/wallet/history").json()["items"]
        assert all(item in own for item in stolen["items"])
