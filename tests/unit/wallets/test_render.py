"""Balances, entries and transfers look as the schema says."""

import pytest

from exchange.core.enums import LedgerKind, WalletKind
from exchange.core.events import BalanceChanged, LedgerPosted
from exchange.core.units import ATOMS
from markets.types import AssetInfo
from wallets import render
from wallets.schema import (
    BALANCE_PROPERTIES,
    CHANGE_PROPERTIES,
    ENTRY_PROPERTIES,
    TRANSFER_PROPERTIES,
)
from wallets.types import TransferResult

ASSETS = {
    1: AssetInfo(asset_id=1, code="BTC", name="Bitcoin", decimals=8),
    2: AssetInfo(asset_id=2, code="USDT", name="Tether", decimals=6),
}


@pytest.fixture(autouse=True)
def two_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "asset_by_id", ASSETS.__getitem__)


def make_entry(quote_asset_id: int = 0) -> LedgerPosted:
    return LedgerPosted(
        entry_id=9,
        previous_id=8,
        account_id=7,
        kind=LedgerKind.TRADE if quote_asset_id else LedgerKind.DEPOSIT,
        reference_id=6,
        wallet=WalletKind.SPOT,
        asset_id=1,
        amount_atoms=-ATOMS,
        balance_atoms=2 * ATOMS,
        quote_asset_id=quote_asset_id,
        quote_amount_atoms=99 * ATOMS,
        quote_balance_atoms=199 * ATOMS,
        fee_atoms=ATOMS,
        time_ms=5,
        note="why",
    )


class TestRenderBalance:
    def test_available_is_what_is_not_held(self) -> None:
        balance = BalanceChanged(
            account_id=7,
            wallet=WalletKind.MARGIN,
            asset_id=2,
            total_atoms=3 * ATOMS,
            held_atoms=ATOMS,
        )

        body = render.render_balance(balance)

        assert list(body) == list(BALANCE_PROPERTIES)
        assert list(body.values()) == ["USDT", "margin", "3.000000", "2.000000", "1.000000"]


class TestRenderEntry:
    def test_a_trade_has_two_changes_and_a_fee(self) -> None:
        body = render.render_entry(make_entry(quote_asset_id=2))

        assert list(body) == list(ENTRY_PROPERTIES)
        assert [list(change) for change in body["changes"]] == [list(CHANGE_PROPERTIES)] * 2
        assert body["changes"][1]["amount"] == "99.000000"
        assert body["fee"] == {"currency": "USDT", "amount": "1.000000"}

    def test_anything_else_has_one_and_none(self) -> None:
        body = render.render_entry(make_entry())

        assert body["changes"] == [
            {"currency": "BTC", "amount": "-1.00000000", "balance": "2.00000000"}
        ]
        assert body["fee"] is None


class TestRenderTransfer:
    def test_between_own_wallets_there_is_no_receiver(self) -> None:
        body = render.render_transfer(
            TransferResult(
                transfer_id=3,
                asset_id=2,
                amount_atoms=ATOMS // 2,
                wallet=WalletKind.SPOT,
                target_wallet=WalletKind.MARGIN,
                username="",
                client_transfer_id="",
                repeated=False,
            )
        )

        assert list(body) == list(TRANSFER_PROPERTIES)
        assert list(body.values()) == ["3", "USDT", "0.500000", "spot", "margin", None, None]
