"""Balances and ledger entries turn into rows, balances back, without loss."""

from collections.abc import Iterator, Mapping

import msgspec

from exchange.core.enums import LedgerKind, WalletKind
from exchange.core.events import LedgerPosted
from exchange.core.state import Changes, Image, Wallet
from exchange.projection import Row, Table
from wallets.projection import BALANCES, ENTRIES, WalletProjection


class FakeReader:
    """Serves the balance rows it was given."""

    def __init__(self, balances: list[Row]) -> None:
        """Keep the rows."""
        self.balances = balances

    def rows(self, table: Table, *, equals: Mapping[str, int] | None = None) -> Iterator[Row]:
        """Yield the rows of the balance table."""
        assert table is BALANCES
        assert equals is None
        yield from self.balances

    def last_key(self, table: Table) -> int:
        """Return the highest key."""
        return max((row[0] for row in self.balances), default=0)


def make_wallet() -> Wallet:
    """Return a wallet whose every field has a value of its own."""
    wallet = Wallet()
    for value, name in enumerate(sorted(Wallet.__struct_fields__), start=100):
        setattr(wallet, name, value)
    wallet.kind = WalletKind.MARGIN
    return wallet


class TestWalletProjection:
    def test_balances_survive_the_way_to_rows_and_back(self) -> None:
        projection = WalletProjection()
        wallet = make_wallet()
        ((_table, rows), _entries) = projection.rows(Changes(wallets={wallet.wallet_id: wallet}))
        image = Image()

        projection.load(FakeReader(rows), image)

        (loaded,) = image.wallets
        for name in Wallet.__struct_fields__:
            assert getattr(loaded, name) == getattr(wallet, name), name
        assert {type(value) for value in rows[0]} == {int}

    def test_every_persisted_field_has_a_column(self) -> None:
        columns = set(BALANCES.columns) - {"id", "wallet"} | {"wallet_id", "kind"}

        assert columns == set(Wallet.__struct_fields__)

    def test_a_ledger_entry_becomes_a_row_in_the_order_of_the_columns(self) -> None:
        entry = LedgerPosted(
            entry_id=10,
            previous_id=9,
            account_id=3,
            kind=LedgerKind.TRADE,
            reference_id=77,
            wallet=WalletKind.SPOT,
            asset_id=1,
            amount_atoms=5,
            balance_atoms=15,
            quote_asset_id=2,
            quote_amount_atoms=-6,
            quote_balance_atoms=94,
            fee_atoms=1,
            time_ms=1234,
            note="why",
        )

        (_balances, (table, (row,))) = WalletProjection().rows(Changes(entries=[entry]))

        expected = msgspec.structs.asdict(entry)
        expected["id"] = expected.pop("entry_id")
        assert table is ENTRIES
        assert dict(zip(table.columns, row, strict=True)) == expected
        assert {type(value) for value in row} == {int, str}
