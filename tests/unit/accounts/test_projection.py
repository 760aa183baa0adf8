from accounts.models import Account, FeeTier
from accounts.projection import ACCOUNTS, FEE_TIERS, AccountProjection
from exchange.core.enums import AccountStatus, SelfTradeMode
from exchange.core.events import AccountConfigured, FeeTierConfigured
from exchange.core.state import Changes, Image


class FakeReader:
    def __init__(self, tables):
        self.tables = tables

    def rows(self, table, *, equals=None):
        return iter(self.tables[table.name])


class TestAccountProjection:
    def test_rows_load_back_as_they_were(self):
        account = AccountConfigured(
            account_id=2**40,
            status=AccountStatus.CANCEL_ONLY,
            fee_tier=3,
            open_orders_max=500,
            self_trade_mode=SelfTradeMode.EXPIRE_BOTH,
        )
        tier = FeeTierConfigured(tier=3, maker_rate_e8=-5_000, taker_rate_e8=40_000)
        changes = Changes(accounts={2**40: account}, fee_tiers={3: tier})
        projection = AccountProjection()
        image = Image()

        tables = {table.name: rows for table, rows in projection.rows(changes)}
        projection.load(FakeReader(tables), image)

        assert image.accounts == [account]
        assert image.fee_tiers == [tier]

    def test_nothing_touched_is_no_row(self):
        assert list(AccountProjection().rows(Changes())) == []

    def test_columns_are_those_of_the_models(self):
        for table, model in ((ACCOUNTS, Account), (FEE_TIERS, FeeTier)):
            assert table.name == model._meta.db_table
            columns = [field.column for field in model._meta.fields]
            # MongoDB has this one name for every key.
            assert list(table.columns) == ["id" if name == "_id" else name for name in columns]
