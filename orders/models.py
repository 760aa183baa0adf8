"""Rows of orders and trades; written by the exchange's store alone."""

from django.db import models
from django.db.models import Q

from common.fields import AtomsField, KeyField
from exchange.core.enums import EndReason, OrderStatus, OrderType, SelfTradeMode, Side, TimeInForce


def _choices(enum: type) -> list[tuple[int, str]]:
    return [(member.value, member.name) for member in enum]  # type: ignore[attr-defined]


class Order(models.Model):
    """
    One order in its last committed state.

    ``previous_id`` links the orders of an account, newest to oldest (0 ends the chain): an
    account's history is read along it, so the table needs no account index and its inserts
    stay appends. Open orders are found through the one partial index.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    client_order_id = models.CharField(max_length=64, blank=True, default="")
    request_hash = models.BigIntegerField(default=0)
    side = models.SmallIntegerField(choices=_choices(Side))
    order_type = models.SmallIntegerField(choices=_choices(OrderType))
    time_in_force = models.SmallIntegerField(choices=_choices(TimeInForce))
    post_only = models.BooleanField(default=False)
    self_trade_mode = models.SmallIntegerField(choices=_choices(SelfTradeMode))
    price_atoms = AtomsField()
    quantity_atoms = AtomsField()
    quote_quantity_atoms = AtomsField()
    remaining_atoms = AtomsField()
    filled_atoms = AtomsField()
    quote_filled_atoms = AtomsField()
    fee_atoms = AtomsField()
    fee_remainder = models.BigIntegerField()
    maker_rate_e8 = models.BigIntegerField()
    taker_rate_e8 = models.BigIntegerField()
    status = models.SmallIntegerField(choices=_choices(OrderStatus))
    reason = models.SmallIntegerField(choices=_choices(EndReason))
    is_open = models.BooleanField()
    priority = models.BigIntegerField()
    previous_id = models.BigIntegerField()
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(
                fields=["account_id", "id"],
                name="order_open_by_account",
                condition=Q(is_open=True),
            ),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(filled_atoms__gte=0), name="order_filled_positive"),
            models.CheckConstraint(
                condition=Q(remaining_atoms__gte=0), name="order_remaining_positive"
            ),
        ]

    def __str__(self) -> str:
        """Return the order number."""
        return f"order {self.id}"


class Trade(models.Model):
    """One match between a taker and a maker."""

    id = KeyField()
    market_id = models.IntegerField()
    price_atoms = AtomsField()
    quantity_atoms = AtomsField()
    quote_atoms = AtomsField()
    taker_side = models.SmallIntegerField(choices=_choices(Side))
    taker_order_id = models.BigIntegerField()
    maker_order_id = models.BigIntegerField()
    taker_account_id = models.BigIntegerField()
    maker_account_id = models.BigIntegerField()
    taker_fee_atoms = AtomsField()
    maker_fee_atoms = AtomsField()
    time_ms = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["market_id", "id"], name="trade_by_market")]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity_atoms__gt=0, price_atoms__gt=0), name="trade_positive"
            ),
        ]

    def __str__(self) -> str:
        """Return the trade number."""
        return f"trade {self.id}"
