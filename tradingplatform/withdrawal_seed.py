"""Withdrawals of a fresh demo: terms of a few assets, and an address for each demo user."""

from __future__ import annotations

from accounts import audit
from common.db import atomic
from common.errors import ApiError
from common.tiers import Tier
from exchange.core.units import ATOMS, format_atoms
from markets.selectors import assets_all
from wallets.withdrawals.addresses import address_add
from wallets.withdrawals.terms import terms_all, terms_set
from wallets.withdrawals.types import Payee, TermsInfo

PLATFORM = "seed"
# Least amount, fee and a trader's most within 24 hours, in atoms; makers may ten times that.
_TERMS = {
    "USDT": (10 * ATOMS, ATOMS, 50_000 * ATOMS),
    "BTC": (ATOMS // 1_000, ATOMS // 5_000, ATOMS),
    "ETH": (ATOMS // 100, ATOMS // 500, 20 * ATOMS),
}
DEMO_ADDRESS = "0x00000000000000000000000000000000000de405"


def terms_seed() -> list[str]:
    """Open the withdrawal of a few assets where nothing was said of them; returns their codes."""
    known, made = terms_all(), []
    for asset in assets_all():
        if asset.code not in _TERMS or asset.asset_id in known:
            continue
        minimum, fee, daily = _TERMS[asset.code]
        with atomic():
            terms_set(
                TermsInfo(
                    asset_id=asset.asset_id,
                    is_open=True,
                    minimum_atoms=minimum,
                    fee_atoms=fee,
                    daily_atoms={Tier.TRADER: daily, Tier.MAKER: 10 * daily, Tier.INTERNAL: 0},
                )
            )
            audit.record(
                actor=PLATFORM,
                action="asset.withdrawal_terms",
                target=f"asset:{asset.asset_id}",
                after={
                    "open": True,
                    "minimum": format_atoms(minimum, asset.decimals),
                    "fee": format_atoms(fee, asset.decimals),
                },
            )
        made.append(asset.code)
    return made


def address_seed(*, account_id: int, actor: audit.Actor) -> None:
    """Give a demo user an address for USDT that can be used at once; nothing if it has it."""
    usdt = next((asset for asset in assets_all() if asset.code == "USDT"), None)
    if usdt is None:
        return
    try:
        address_add(
            account_id=account_id,
            actor=actor,
            asset_id=usdt.asset_id,
            label="demo",
            payee=Payee(network="", address=DEMO_ADDRESS, memo=""),
            delay_ms=0,
        )
    except ApiError as error:
        if error.code != "ADDRESS_EXISTS":
            raise
