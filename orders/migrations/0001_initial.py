"""Tables of the orders app."""

import common.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="RetentionProgress",
            fields=[
                ("id", common.fields.KeyField(primary_key=True, serialize=False)),
                ("through_order_id", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Order",
            fields=[
                ("id", common.fields.KeyField(primary_key=True, serialize=False)),
                ("account_id", models.BigIntegerField()),
                ("market_id", models.IntegerField()),
                ("client_order_id", models.CharField(blank=True, default="", max_length=64)),
                ("request_hash", models.BigIntegerField(default=0)),
                ("side", models.SmallIntegerField()),
                ("order_type", models.SmallIntegerField()),
                ("time_in_force", models.SmallIntegerField()),
                ("post_only", models.BooleanField(default=False)),
                ("self_trade_mode", models.SmallIntegerField()),
                ("price_atoms", common.fields.AtomsField()),
                ("quantity_atoms", common.fields.AtomsField()),
                ("quote_quantity_atoms", common.fields.AtomsField()),
                ("remaining_atoms", common.fields.AtomsField()),
                ("filled_atoms", common.fields.AtomsField()),
                ("quote_filled_atoms", common.fields.AtomsField()),
                ("fee_atoms", common.fields.AtomsField()),
                ("fee_remainder", models.BigIntegerField()),
                ("maker_rate_e8", models.BigIntegerField()),
                ("taker_rate_e8", models.BigIntegerField()),
                ("status", models.SmallIntegerField()),
                ("reason", models.SmallIntegerField()),
                ("is_open", models.SmallIntegerField()),
                ("priority", models.BigIntegerField()),
                ("previous_id", models.BigIntegerField()),
                ("created_ms", models.BigIntegerField()),
                ("updated_ms", models.BigIntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("is_open", 1)),
                        fields=["is_open", "account_id"],
                        name="order_open_by_account",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("filled_atoms__gte", 0)), name="order_filled_positive"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("remaining_atoms__gte", 0)),
                        name="order_remaining_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Trade",
            fields=[
                ("id", common.fields.KeyField(primary_key=True, serialize=False)),
                ("market_id", models.IntegerField()),
                ("price_atoms", common.fields.AtomsField()),
                ("quantity_atoms", common.fields.AtomsField()),
                ("quote_atoms", common.fields.AtomsField()),
                ("taker_side", models.SmallIntegerField()),
                ("taker_order_id", models.BigIntegerField()),
                ("maker_order_id", models.BigIntegerField()),
                ("taker_account_id", models.BigIntegerField()),
                ("maker_account_id", models.BigIntegerField()),
                ("taker_fee_atoms", common.fields.AtomsField()),
                ("maker_fee_atoms", common.fields.AtomsField()),
                ("time_ms", models.BigIntegerField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("price_atoms__gt", 0), ("quantity_atoms__gt", 0)),
                        name="trade_positive",
                    )
                ],
            },
        ),
    ]
