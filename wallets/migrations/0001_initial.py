"""Tables of the wallets app."""

import common.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Balance",
            fields=[
                ("id", common.fields.KeyField(primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                ("wallet", models.SmallIntegerField()),
                ("asset_id", models.IntegerField()),
                ("total_atoms", common.fields.AtomsField()),
                ("held_atoms", common.fields.AtomsField()),
                ("last_order_id", models.BigIntegerField()),
                ("last_entry_id", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account_id", "wallet", "asset_id"), name="balance_key"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("held_atoms__gte", 0)), name="balance_held_positive"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="LedgerEntry",
            fields=[
                ("id", common.fields.KeyField(primary_key=True, serialize=False)),
                ("previous_id", models.BigIntegerField()),
                ("account_id", models.BigIntegerField()),
                ("kind", models.SmallIntegerField()),
                ("reference_id", models.BigIntegerField()),
                ("wallet", models.SmallIntegerField()),
                ("asset_id", models.IntegerField()),
                ("amount_atoms", common.fields.AtomsField()),
                ("balance_atoms", common.fields.AtomsField()),
                ("quote_asset_id", models.IntegerField()),
                ("quote_amount_atoms", common.fields.AtomsField()),
                ("quote_balance_atoms", common.fields.AtomsField()),
                ("fee_atoms", common.fields.AtomsField()),
                ("time_ms", models.BigIntegerField()),
                ("note", models.CharField(blank=True, default="", max_length=200)),
            ],
            options={
                "verbose_name_plural": "ledger entries",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("previous_id__lt", models.F("id"))),
                        name="entry_chain_goes_back",
                    )
                ],
            },
        ),
    ]
