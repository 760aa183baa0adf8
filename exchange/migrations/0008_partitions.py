"""On PostgreSQL the command log gets partitions."""

from django.db import migrations

from exchange.partitions import partition_table


def make_partitions(apps, schema_editor):
    partition_table(schema_editor, "exchange_batch", rows=500_000)


class Migration(migrations.Migration):
    dependencies = [("exchange", "0007_client_key_checksum")]

    operations = [migrations.RunPython(make_partitions, migrations.RunPython.noop)]
