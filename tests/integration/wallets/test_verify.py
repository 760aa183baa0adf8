"""The ledger proves itself, and any tampering shows."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection

from tests.support.exchange import ExchangeHarness
from tests.support.trading import Trader

pytestmark = pytest.mark.integration


def verify() -> tuple[int, list[str]]:
    """Return exit code and lines of ``manage.py verify_ledger``."""
    out = StringIO()
    try:
        call_command("verify_ledger", stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


def tamper(sql: str) -> None:
    """Change a row behind the exchange's back."""
    with connection.cursor() as cursor:
        cursor.execute(sql)


@pytest.fixture
def busy(exchange: ExchangeHarness, alice: Trader, bob: Trader) -> ExchangeHarness:
    """An exchange with trades, fees, transfers and open orders on both sides."""
    alice.placed(side="sell", quantity="0.35", price="50000.01")
    alice.placed(side="sell", quantity="0.2", price="50100")
    bob.placed(side="buy", quantity="0.40001", price="50100")
    bob.placed(side="buy", quantity="0.12345", price="49000.33")
    transfer = {"currency": "USDT", "amount": "12.5", "to_wallet": "margin"}
    assert bob.api.post("/api/wallet/transfer", transfer).status_code == 201
    return exchange


class TestVerifyLedger:
    def test_an_honest_ledger_passes_with_a_line_per_asset(self, busy: ExchangeHarness) -> None:
        code, lines = verify()

        assert code == 0
        assert [line.split(":")[0] for line in lines] == ["BTC", "ETH", "USDT", "rows"]
        assert all(": ok; sum 0.00000000, issued" in line for line in lines[:-1])
        assert lines[-1].startswith("rows: ok; ")

    @pytest.mark.parametrize(
        ("_case", "sql", "message"),
        [
            (
                "more money",
                "UPDATE wallets_balance SET total_atoms = total_atoms + 1 WHERE id = 2",
                "sum to 1 atoms",
            ),
            (
                "money moved between users",
                "UPDATE wallets_ledgerentry SET amount_atoms = amount_atoms + 1 "
                "WHERE kind = 4 AND amount_atoms > 0",
                "expected",
            ),
            (
                "a fee that nobody received",
                "UPDATE wallets_ledgerentry SET fee_atoms = fee_atoms - 1 "
                "WHERE id = (SELECT MAX(id) FROM wallets_ledgerentry WHERE kind = 4)",
                "sums to",
            ),
            (
                "a hold without an order",
                "UPDATE wallets_balance SET held_atoms = held_atoms + 1 WHERE id = 2",
                "open orders need",
            ),
            (
                "an order without its hold",
                "UPDATE orders_order SET remaining_atoms = remaining_atoms + 1000 "
                "WHERE is_open = 1",
                "open orders need",
            ),
            (
                "a deleted entry",
                "DELETE FROM wallets_ledgerentry WHERE id = 3",
                "does not follow",
            ),
            (
                "a broken link",
                "UPDATE wallets_ledgerentry SET previous_id = 0 WHERE kind = 4",
                "does not follow",
            ),
            (
                "a deleted balance",
                "DELETE FROM wallets_balance WHERE id = 6",
                "there is no balance",
            ),
        ],
    )
    def test_tampering_is_found(
        self, busy: ExchangeHarness, _case: str, sql: str, message: str
    ) -> None:
        tamper(sql)

        code, lines = verify()

        assert code == 1
        assert any("WRONG" in line for line in lines)
        assert any(message in line for line in lines)
