"""Rows of positions, their history and their funding; written by the exchange's store alone."""

from django.db import models
from django.db.models import F, Q

from common.fields import AtomsField, KeyField


class Position(models.Model):
    """
    One slot: what an account has, or only has set, in a perpetual market.

    The key is the slot's number. A slot is never removed, since leverage and margin mode
    survive a flat position; ``is_open`` says whether there is one. Quantity and cost are signed.
    ``previous_id`` is the slot's latest closed position, from which its history is read.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    side = models.SmallIntegerField()
    mode = models.SmallIntegerField()
    leverage = models.SmallIntegerField()
    position_id = models.BigIntegerField()
    quantity_atoms = AtomsField()
    cost_atoms = AtomsField()
    isolated_atoms = AtomsField()
    realised_atoms = AtomsField()
    fee_atoms = AtomsField()
    funding_atoms = AtomsField()
    quantity_max_atoms = AtomsField()
    opened_atoms = AtomsField()
    opened_quote_atoms = AtomsField()
    closed_atoms = AtomsField()
    closed_quote_atoms = AtomsField()
    opened_ms = models.BigIntegerField()
    updated_ms = models.BigIntegerField()
    funded_ms = models.BigIntegerField()
    funding_due_atoms = AtomsField()
    funding_quantity_atoms = AtomsField()
    funding_position_id = models.BigIntegerField()
    previous_id = models.BigIntegerField()
    is_open = models.SmallIntegerField()

    class Meta:
        indexes = [
            models.Index(
                fields=["is_open", "market_id"], name="position_open", condition=Q(is_open=1)
            ),
        ]
        constraints = [
            # A slot keeps its key, so an update of a position never touches this index.
            models.UniqueConstraint(
                fields=["account_id", "market_id", "side"], name="position_key"
            ),
            models.CheckConstraint(
                condition=Q(isolated_atoms__gte=0), name="position_isolated_positive"
            ),
        ]

    def __str__(self) -> str:
        """Return the number of the slot."""
        return f"slot {self.id}"


class ClosedPosition(models.Model):
    """
    A position that ended; never changed after it is written.

    The key is the position's number; ``previous_id`` is the one that ended before it in the
    same slot (0: none), so that a history needs no index.
    """

    id = KeyField()
    slot_id = models.BigIntegerField()
    previous_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    mode = models.SmallIntegerField()
    leverage = models.SmallIntegerField()
    quantity_max_atoms = AtomsField()
    opened_atoms = AtomsField()
    opened_quote_atoms = AtomsField()
    closed_atoms = AtomsField()
    closed_quote_atoms = AtomsField()
    realised_atoms = AtomsField()
    fee_atoms = AtomsField()
    funding_atoms = AtomsField()
    reason = models.SmallIntegerField()
    opened_ms = models.BigIntegerField()
    closed_ms = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(previous_id__lt=F("id")), name="closed_chain_goes_back"
            ),
        ]

    def __str__(self) -> str:
        """Return the number of the position."""
        return f"position {self.id}"


class FundingPayment(models.Model):
    """
    What one account paid or received at one funding; never changed after it is written.

    The key is that of the payment's ledger entry, so an account's payments are found along
    its entries. The amount is positive when received.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    market_id = models.IntegerField()
    position_id = models.BigIntegerField()
    funding_ms = models.BigIntegerField()
    rate_e8 = models.BigIntegerField()
    mark_atoms = AtomsField()
    quantity_atoms = AtomsField()
    amount_atoms = AtomsField()
    time_ms = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the number of its ledger entry."""
        return f"funding payment {self.id}"
