"""The ledger of margin proves itself, and any tampering shows."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.db.models import F

from exchange.core.commands import AdjustMargin, SettleMarket
from exchange.core.enums import MarginMode
from positions.models import Position
from riskengine.models import Price
from tests.support.engine import units
from tests.support.margin import PERP, MarginHarness
from tests.support.tampering import Tampering, alter
from wallets.models import Balance, LedgerEntry

pytestmark = pytest.mark.integration

ALICE, BOB, CAROL, DAVE = 1_000_001, 1_000_002, 1_000_003, 1_000_004


def verify() -> tuple[int, str]:
    """Return exit code and text of ``manage.py verify_ledger``."""
    out = StringIO()
    try:
        call_command("verify_ledger", stdout=out)
    except SystemExit as stop:
        return int(str(stop.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def busy(exchange: MarginHarness) -> MarginHarness:
    """Fills, margin moved, funding, a takeover, a liquidation, and positions of both modes."""
    for account in (ALICE, BOB, CAROL, DAVE):
        exchange.add_account(account)
        exchange.margin(account, 20_000)
    exchange.set_up(ALICE, 100, MarginMode.ISOLATED)
    exchange.set_up(CAROL, 10, MarginMode.ISOLATED)
    exchange.set_up(DAVE, 50)
    exchange.trade(ALICE, BOB, "0.5")
    exchange.trade(CAROL, BOB, "1.001", 60_010)
    exchange.trade(BOB, DAVE, "2", 59_990)
    exchange.configure(AdjustMargin(CAROL, PERP, units(1_000)))
    due_ms = Price.objects.get().next_funding_ms
    exchange.mark(60_000, after_ms=due_ms - exchange.clock())
    exchange.mark(59_500)
    exchange.place(DAVE, 1, "0.3", 59_000)  # type: ignore[arg-type]
    return exchange


class TestVerifyLedger:
    def test_an_honest_ledger_of_margin_passes(self, busy: MarginHarness) -> None:
        code, text = verify()

        assert code == 0, text
        assert "USDT: ok; sum 0.00000000" in text

    def test_it_passes_after_everything_is_closed_and_settled(self, busy: MarginHarness) -> None:
        busy.configure(SettleMarket(PERP, units(59_123), "delisted", "tests"))

        code, text = verify()

        assert code == 0, text

    @pytest.mark.parametrize(
        ("_case", "tamper", "message"),
        [
            (
                "an isolated wallet that holds more",
                lambda: alter(
                    Position, {"account_id": CAROL}, isolated_atoms=F("isolated_atoms") + 1
                ),
                "isolated positions of account 1000003 hold",
            ),
            (
                "a cheaper entry",
                lambda: alter(Position, {"account_id": BOB}, cost_atoms=F("cost_atoms") - 1),
                "account clearing:3 is",
            ),
            (
                "a larger position",
                lambda: alter(
                    Position, {"account_id": BOB}, quantity_atoms=F("quantity_atoms") + 1
                ),
                "positions of BTC-USDT-PERP sum to 1 atoms",
            ),
            (
                "a fund that lost money to nobody",
                lambda: alter(
                    Balance, {"account_id": (14 << 18) + 1}, total_atoms=F("total_atoms") - 1
                ),
                "account insurance:1 is",
            ),
            (
                "a margin wallet that holds",
                lambda: alter(Balance, {"account_id": DAVE}, held_atoms=1),
                "its open orders need 0",
            ),
            (
                "funding changed",
                lambda: alter(
                    LedgerEntry, {"kind": 5, "wallet": 2}, amount_atoms=F("amount_atoms") - 1
                ),
                "expected",
            ),
            (
                "margin overdrawn without a position",
                lambda: alter(Position, {"account_id": DAVE}, is_open=0),
                "sum to",
            ),
        ],
    )
    def test_tampering_is_found(
        self, busy: MarginHarness, _case: str, tamper: Tampering, message: str
    ) -> None:
        tamper()

        code, text = verify()

        assert code == 1
        assert "USDT: WRONG" in text
        assert message in text, text
