"""Perpetual markets of a fresh installation, and the insurance funds behind them."""

from exchange.core.commands import MoveInsurance, SetMarketStatus
from exchange.core.enums import MarketStatus, WalletKind, insurance_account
from markets import selectors
from markets.enums import FeedMode
from markets.perpetual_seed import (
    INSURANCE_FUNDS,
    contract_command,
    market_command,
    perpetuals_of,
)
from markets.seed import configure
from riskengine.selectors import contracts_by_id
from wallets.selectors import balances_of


def perpetuals_seed(mode: FeedMode) -> list[str]:
    """
    Make the perpetual markets of a mode that do not exist yet; return what was made.

    What has terms is left alone, so an operator's changes survive; an earlier run that ended
    before the terms is finished. A fund is paid in once, when its first market is made.

    Raises:
        markets.seed.SeedError: if the exchange refuses one.
        exchange.gateway.ExchangeError: if the exchange does not answer.
    """
    made: list[str] = []
    known = contracts_by_id()
    for market in perpetuals_of(mode):
        if market.market_id in known:
            continue
        configure(market_command(market), market.symbol)
        configure(contract_command(market), market.symbol)
        _fund(market.insurance_group)
        opened = SetMarketStatus(market.market_id, MarketStatus.TRADING, "seed", "seed")
        configure(opened, market.symbol)
        made.append(market.symbol)
    selectors.cache_clear()
    return made


def _fund(group_id: int) -> None:
    asset_id = selectors.asset_by_code("USDT").asset_id
    balances = balances_of(insurance_account(group_id), asset_id=asset_id)
    if any(balance.wallet is WalletKind.MARGIN and balance.total_atoms for balance in balances):
        return
    amount_atoms = INSURANCE_FUNDS[group_id]
    configure(
        MoveInsurance(group_id, asset_id, amount_atoms, "seed", "seed"),
        f"insurance fund {group_id}",
    )
