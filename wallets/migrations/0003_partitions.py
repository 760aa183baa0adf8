"""On PostgreSQL the ledger gets partitions."""

from django.db import migrations

from exchange.partitions import partition_table


def make_partitions(apps, schema_editor):
    partition_table(schema_editor, "wallets_ledgerentry", rows=20_000_000)


class Migration(migrations.Migration):
    dependencies = [("wallets", "0002_withdrawals")]

    operations = [migrations.RunPython(make_partitions, migrations.RunPython.noop)]
