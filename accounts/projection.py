"""Accounts and fee tiers of the exchange as rows, and back."""

from collections.abc import Iterable

from exchange.core.enums import AccountStatus, SelfTradeMode
from exchange.core.events import AccountConfigured, FeeTierConfigured
from exchange.core.state import Changes, Image
from exchange.projection import Reader, Row, Table

ACCOUNTS = Table(
    name="accounts_account",
    columns=("id", "status", "fee_tier", "open_orders_max", "self_trade_mode"),
)
FEE_TIERS = Table(name="accounts_feetier", columns=("id", "maker_rate_e8", "taker_rate_e8"))


class AccountProjection:
    """Writes what ConfigureAccount and ConfigureFeeTier changed."""

    tables = (ACCOUNTS, FEE_TIERS)

    def rows(self, changes: Changes) -> Iterable[tuple[Table, list[Row]]]:
        """Return the rows of touched accounts and fee tiers."""
        if changes.fee_tiers:
            yield (
                FEE_TIERS,
                [
                    (tier.tier, tier.maker_rate_e8, tier.taker_rate_e8)
                    for tier in changes.fee_tiers.values()
                ],
            )
        if changes.accounts:
            yield (
                ACCOUNTS,
                [
                    (
                        account.account_id,
                        account.status.value,
                        account.fee_tier,
                        account.open_orders_max,
                        account.self_trade_mode.value,
                    )
                    for account in changes.accounts.values()
                ],
            )

    def load(self, reader: Reader, image: Image) -> None:
        """Fill accounts and fee tiers of the image."""
        image.fee_tiers.extend(
            FeeTierConfigured(tier=tier, maker_rate_e8=maker, taker_rate_e8=taker)
            for tier, maker, taker in reader.rows(FEE_TIERS)
        )
        image.accounts.extend(
            AccountConfigured(
                account_id=account_id,
                status=AccountStatus(status),
                fee_tier=fee_tier,
                open_orders_max=open_orders_max,
                self_trade_mode=SelfTradeMode(self_trade_mode),
            )
            for account_id, status, fee_tier, open_orders_max, self_trade_mode in reader.rows(
                ACCOUNTS
            )
        )
