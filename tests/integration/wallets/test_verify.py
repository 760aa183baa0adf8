"""The ledger proves itself, and any tampering shows."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F

from orders.models import Order
from tests.support.exchange import ExchangeHarness
from tests.support.tampering import Tampering, alter, remove, rows
from tests.support.trading import Trader
from wallets.models import Balance, LedgerEntry

pytestmark = pytest.mark.integration


def verify() -> tuple[int, list[str]]:
    """Return exit code and lines of ``manage.py verify_ledger``."""
    out = StringIO()
    try:
        call_command("verify_ledger", stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue().splitlines()
    return 0, out.getvalue().splitlines()


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

    def test_a_ledger_that_cannot_be_read_still_has_its_rows_named(
        self, busy: ExchangeHarness
    ) -> None:
        LedgerEntry.objects.filter(id=5).update(kind=99)
        out = StringIO()

        with pytest.raises(CommandError, match="the ledger cannot be read") as refused:
            call_command("verify_ledger", stdout=out)

        assert refused.value.returncode == 1
        assert "wallets_ledgerentry" in out.getvalue()

    @pytest.mark.parametrize(
        ("_case", "tamper", "message"),
        [
            (
                "more money",
                lambda: alter(Balance, {"id": 2}, total_atoms=F("total_atoms") + 1),
                "sum to 1 atoms",
            ),
            (
                "money moved between users",
                lambda: alter(
                    LedgerEntry,
                    {"kind": 4, "amount_atoms__gt": 0},
                    amount_atoms=F("amount_atoms") + 1,
                ),
                "expected",
            ),
            (
                "a fee that nobody received",
                lambda: alter(
                    LedgerEntry,
                    {"id": rows(LedgerEntry, kind=4).order_by("-id")[0].pk},
                    fee_atoms=F("fee_atoms") - 1,
                ),
                "sums to",
            ),
            (
                "a hold without an order",
                lambda: alter(Balance, {"id": 2}, held_atoms=F("held_atoms") + 1),
                "open orders need",
            ),
            (
                "an order without its hold",
                lambda: alter(Order, {"is_open": 1}, remaining_atoms=F("remaining_atoms") + 1000),
                "open orders need",
            ),
            ("a deleted entry", lambda: remove(LedgerEntry, id=3), "does not follow"),
            (
                "a broken link",
                lambda: alter(LedgerEntry, {"kind": 4}, previous_id=0),
                "does not follow",
            ),
            ("a deleted balance", lambda: remove(Balance, id=6), "there is no balance"),
        ],
    )
    def test_tampering_is_found(
        self, busy: ExchangeHarness, _case: str, tamper: Tampering, message: str
    ) -> None:
        tamper()

        code, lines = verify()

        assert code == 1
        assert any("WRONG" in line for line in lines)
        assert any(message in line for line in lines)
