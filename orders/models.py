"""Rows of orders and trades; written by the exchange's store alone."""

from django.db import models
from django.db.models import Q

from common.fields import AtomsField, KeyField
from exchange.core.enums import TradeKind


class Order(models.Model):
    """
    One order in its last committed state.

    ``previous_id`` links the orders of an account, newest to oldest (0 ends the chain): an
    account's history is read along it, so the table needs no account index and its inserts
    stay appends. Open orders are found through the one partial index. Small numbers are the
    enums of ``exchange.core.enums``; they are not choices here, so a new member is no migration.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    client_order_id = models.CharField(max_length=64, blank=True, default="")
    request_hash = models.BigIntegerField(default=0)
    side = models.SmallIntegerField()
    order_type = models.SmallIntegerField()
    time_in_force = models.SmallIntegerField()
    post_only = models.BooleanField(default=False)
    self_trade_mode = models.SmallIntegerField()
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
    status = models.SmallIntegerField()
    reason = models.SmallIntegerField()
    # 0 or 1 as an integer: SQLite uses a partial index only for the very term it was made
    # with, and Django writes a boolean filter in another form than the loader does.
    is_open = models.SmallIntegerField()
    priority = models.BigIntegerField()
    previous_id = models.BigIntegerField()
    created_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()

    class Meta:
        indexes = [
            # The leading constant lets the load at start use it too, without an account.
            models.Index(
                fields=["is_open", "account_id"],
                name="order_open_by_account",
                condition=Q(is_open=1),
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


class OrderTerms(models.Model):
    """
    What only special orders have: triggers, trailing, icebergs, expiry, links.

    The key is the order's. Plain orders have no row here, so the hot table stays narrow.
    """

    id = KeyField()
    is_open = models.SmallIntegerField()
    trigger_type = models.SmallIntegerField()
    trigger_price_atoms = AtomsField()
    activation_price_atoms = AtomsField()
    callback_rate_e8 = models.BigIntegerField()
    extreme_atoms = AtomsField()
    activation_number = models.BigIntegerField()
    slippage_rate_e8 = models.BigIntegerField()
    cap_atoms = AtomsField()
    display_atoms = AtomsField()
    hidden_atoms = AtomsField()
    expires_ms = models.BigIntegerField()
    reprice = models.BooleanField()
    triggered_ms = models.BigIntegerField()
    link_id = models.BigIntegerField()
    link_kind = models.SmallIntegerField()
    holds = models.BooleanField()
    price_protect = models.BooleanField(default=False)
    reduce_only = models.BooleanField(default=False)
    close_position = models.BooleanField(default=False)

    class Meta:
        indexes = [
            models.Index(fields=["is_open"], name="terms_open", condition=Q(is_open=1)),
        ]
        verbose_name_plural = "order terms"

    def __str__(self) -> str:
        """Return whose terms these are."""
        return f"terms of order {self.id}"


class Trade(models.Model):
    """
    One match between a taker and a maker.

    Without an index but the key: an account's fills are found through its ledger entries,
    which carry the trade's number; the public tape is a derived view.
    """

    id = KeyField()
    market_id = models.IntegerField()
    price_atoms = AtomsField()
    quantity_atoms = AtomsField()
    quote_atoms = AtomsField()
    taker_side = models.SmallIntegerField()
    taker_order_id = models.BigIntegerField()
    maker_order_id = models.BigIntegerField()
    taker_account_id = models.BigIntegerField()
    maker_account_id = models.BigIntegerField()
    taker_fee_atoms = AtomsField()
    maker_fee_atoms = AtomsField()
    time_ms = models.BigIntegerField()
    kind = models.SmallIntegerField(default=TradeKind.MATCH.value)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity_atoms__gt=0, price_atoms__gt=0), name="trade_positive"
            ),
        ]

    def __str__(self) -> str:
        """Return the trade number."""
        return f"trade {self.id}"


class CancelSwitch(models.Model):
    """
    A dead-man switch; the key is the number of the command that armed it first.

    Disarmed or done (``due_ms`` 0) it stays as it was last; ``market_id`` 0 is all markets.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    timeout_ms = models.BigIntegerField()
    due_ms = models.BigIntegerField()
    is_armed = models.SmallIntegerField()

    class Meta:
        indexes = [
            models.Index(
                fields=["is_armed", "account_id"], name="switch_armed", condition=Q(is_armed=1)
            ),
        ]
        verbose_name_plural = "cancel switches"

    def __str__(self) -> str:
        """Return the number."""
        return f"cancel switch {self.id}"


class QuoteProtection(models.Model):
    """
    A market-maker protection; the key is the number of the command that made it.

    ``counted`` is what it has counted in its window, packed; one that was taken away stays
    as it was last.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    window_ms = models.BigIntegerField()
    quantity_atoms = AtomsField()
    fills = models.IntegerField()
    frozen_ms = models.BigIntegerField()
    frozen_until_ms = models.BigIntegerField()
    counted = models.BinaryField()
    is_active = models.SmallIntegerField()

    class Meta:
        indexes = [
            models.Index(
                fields=["is_active", "account_id"],
                name="protection_active",
                condition=Q(is_active=1),
            ),
        ]

    def __str__(self) -> str:
        """Return the number."""
        return f"quote protection {self.id}"


class RetentionProgress(models.Model):
    """How far the clean-up of never-filled orders has read; one row, key 1."""

    id = KeyField()
    through_order_id = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the position."""
        return f"through order {self.through_order_id}"
