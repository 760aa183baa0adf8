"""Perpetual markets of a fresh installation, on an exchange in this process."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.commands import SetMarketStatus
from exchange.core.enums import MarketKind, MarketStatus, WalletKind, insurance_account
from markets import selectors
from markets.enums import FeedMode
from markets.perpetual_seed import INSURANCE_FUNDS, PERPETUALS, contract_command, market_command
from markets.seed import configure, market_seed
from tests.support.exchange import ExchangeHarness
from tests.support.exchange import inline_exchange as inline_exchange
from tradingplatform.perpetual_seed import perpetuals_seed
from wallets.selectors import balances_of

pytestmark = pytest.mark.django_db


def funds() -> dict[int, int]:
    """Return what each insurance fund holds."""
    return {
        group: sum(
            balance.total_atoms
            for balance in balances_of(insurance_account(group))
            if balance.wallet is WalletKind.MARGIN
        )
        for group in INSURANCE_FUNDS
    }


def test_lists_ten_markets_with_live_prices(inline_exchange: ExchangeHarness) -> None:
    market_seed(FeedMode.LIVE)

    made = perpetuals_seed(FeedMode.LIVE)

    assert made == [market.symbol for market in PERPETUALS]
    listed = [m for m in selectors.markets_all() if m.kind is MarketKind.PERPETUAL]
    assert {m.status for m in listed} == {MarketStatus.TRADING}
    assert funds() == INSURANCE_FUNDS


def test_lists_what_is_recorded_in_replay(inline_exchange: ExchangeHarness) -> None:
    market_seed(FeedMode.REPLAY)

    assert perpetuals_seed(FeedMode.REPLAY) == ["BTC-USDT-PERP", "ETH-USDT-PERP"]


def test_a_second_run_changes_nothing(inline_exchange: ExchangeHarness) -> None:
    market_seed(FeedMode.REPLAY)
    perpetuals_seed(FeedMode.REPLAY)
    halted = SetMarketStatus(PERPETUALS[0].market_id, MarketStatus.HALTED, "test", "test")
    inline_exchange.configure(halted)

    assert perpetuals_seed(FeedMode.REPLAY) == []
    assert funds()[1] == INSURANCE_FUNDS[1]
    market = selectors.market_by_id(PERPETUALS[0].market_id)
    assert market.status is MarketStatus.HALTED


def test_finishes_what_an_earlier_run_began(inline_exchange: ExchangeHarness) -> None:
    market_seed(FeedMode.REPLAY)
    configure(market_command(PERPETUALS[0]), "a market without terms")

    assert perpetuals_seed(FeedMode.REPLAY) == ["BTC-USDT-PERP", "ETH-USDT-PERP"]


def test_takes_leverage_fee_and_interval_from_the_settings(settings: Any) -> None:
    settings.MAX_LEVERAGE, settings.DEFAULT_LEVERAGE = 20, 50
    settings.LIQUIDATION_FEE_E8, settings.FUNDING_INTERVAL_MS = 123, 60_000

    terms = contract_command(PERPETUALS[0])

    assert {leverage for _, _, leverage in terms.brackets} == {20, 10, 5, 4, 3, 2, 1}
    assert terms.leverage_default == 20
    assert (terms.liquidation_fee_e8, terms.funding_interval_ms) == (123, 60_000)
    # 200 USDT of margin at the highest leverage.
    assert terms.impact_notional_atoms == 4_000 * 10**8
