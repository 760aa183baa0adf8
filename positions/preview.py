"""
What placing an order would do to margin: an account's standing on a scratch exchange.

The orders app places the order on an exchange of its own that holds this account alone; here is
what that exchange must know of positions, and what they look like afterwards. Everybody else
is one account with more margin than any order needs and the opposite of each position.
"""

from __future__ import annotations

from msgspec import structs

from exchange.core.enums import MarginMode, MarketKind, WalletKind
from exchange.core.events import AssetConfigured, InsuranceChanged, MarketConfigured
from exchange.core.state import Image, Position, Wallet
from exchange.core.units import AMOUNT_MAX
from markets.perpetuals import contracts_by_id, prices_by_id
from markets.selectors import asset_by_id, markets_all
from markets.types import MarketInfo
from orders.own_orders import own_orders
from orders.types import MarginPreview
from positions.models import Position as PositionRow
from positions.projection import POSITIONS, position_from_row
from positions.standing import standing_in
from wallets.selectors import balances_of

# Half of what a balance may be, so that nothing that is added to it is too much.
_PLENTY_ATOMS = AMOUNT_MAX // 2


def image_fill(image: Image, *, account_id: int, others_id: int, market_id: int) -> None:
    """
    Add to an image what an account has in all perpetual markets, at their marks.

    Orders of ``market_id`` are in the image already, as are its assets.
    """
    contracts, prices = contracts_by_id(), prices_by_id()
    perpetuals = [
        market
        for market in markets_all()
        if market.kind is MarketKind.PERPETUAL and market.market_id in contracts
    ]
    slots = {slot.market_id: slot for slot in _slots(account_id)}
    known = [market for market in perpetuals if market.market_id in (market_id, *slots)]
    image.assets = _assets(known)
    image.markets = [_configured(market) for market in known]
    ids = [market.market_id for market in known]
    image.contracts = [contracts[number] for number in ids]
    groups = sorted({contract.insurance_group for contract in image.contracts})
    image.insurances = [InsuranceChanged(group, 0, 0, 0, 0) for group in groups]
    image.prices = [prices[number] for number in ids if number in prices]
    elsewhere = [number for number in slots if number != market_id]
    image.orders = image.orders + own_orders(account_id, elsewhere)
    for number in ids:
        own = slots.get(number) or _flat(account_id, number, contracts[number].leverage_default)
        image.positions.append(own)
        image.positions.append(_opposite(own, others_id))
    for slot_id, slot in enumerate(image.positions, start=1):
        slot.slot_id = slot_id
    image.sequences.slot = len(image.positions)
    image.wallets = _wallets(account_id, others_id, known)
    image.sequences.wallet = len(image.wallets)


def margin_after(image: Image, *, account_id: int, market_id: int) -> MarginPreview:
    """Return how an account stands in a market in the state of an image."""
    standing = standing_in(image, account_id)
    slot = standing.account.positions[market_id]
    market = standing.memory.markets[market_id]
    return MarginPreview(
        quantity_atoms=slot.quantity_atoms,
        liquidation_atoms=standing.liquidation_atoms(slot),
        initial_atoms=standing.summary(market.config.quote_asset_id).initial_atoms,
        available_atoms=standing.summary(market.config.quote_asset_id).available_atoms,
        isolated_atoms=slot.isolated_atoms if slot.mode is MarginMode.ISOLATED else 0,
    )


def _slots(account_id: int) -> list[Position]:
    rows = PositionRow.objects.filter(account_id=account_id).order_by("id")
    return [position_from_row(row) for row in rows.values_list(*POSITIONS.columns)]


def _assets(markets: list[MarketInfo]) -> list[AssetConfigured]:
    ids = sorted({n for market in markets for n in (market.base_asset_id, market.quote_asset_id)})
    assets = [asset_by_id(number) for number in ids]
    return [AssetConfigured(a.asset_id, a.code, a.name, a.decimals) for a in assets]


def _configured(market: MarketInfo) -> MarketConfigured:
    return MarketConfigured(*(getattr(market, name) for name in MarketConfigured.__struct_fields__))


def _flat(account_id: int, market_id: int, leverage: int) -> Position:
    highest = contracts_by_id([market_id])[market_id].brackets[0][3]
    return Position(account_id=account_id, market_id=market_id, leverage=min(leverage, highest))


def _opposite(own: Position, others_id: int) -> Position:
    """Return what everybody else has, so that quantities and costs of the market sum to zero."""
    return structs.replace(
        Position(account_id=others_id, market_id=own.market_id, leverage=1),
        position_id=own.position_id + 1 if own.position_id else 0,
        quantity_atoms=-own.quantity_atoms,
        cost_atoms=-own.cost_atoms,
    )


def _wallets(account_id: int, others_id: int, markets: list[MarketInfo]) -> list[Wallet]:
    assets = sorted({market.quote_asset_id for market in markets})
    margin = {
        balance.asset_id: balance.total_atoms
        for balance in balances_of(account_id)
        if balance.wallet is WalletKind.MARGIN
    }
    wallets: list[Wallet] = []
    for asset_id in assets:
        for owner, total in ((account_id, margin.get(asset_id, 0)), (others_id, _PLENTY_ATOMS)):
            number = len(wallets) + 1
            wallets.append(Wallet(number, owner, WalletKind.MARGIN, asset_id, total))
    return wallets
