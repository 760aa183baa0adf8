"""On PostgreSQL trades get partitions."""

from django.db import migrations

from exchange.partitions import partition_table


def make_partitions(apps, schema_editor):
    partition_table(schema_editor, "orders_trade", rows=10_000_000)


class Migration(migrations.Migration):
    dependencies = [("orders", "0005_perpetuals")]

    operations = [migrations.RunPython(make_partitions, migrations.RunPython.noop)]
