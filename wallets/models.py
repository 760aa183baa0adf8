"""Rows of balances and the ledger; written by the exchange's store alone."""

from django.db import models
from django.db.models import F, Q

from common.fields import AtomsField, KeyField


class Balance(models.Model):
    """
    One wallet of an account in one asset; available = total - held.

    ``last_order_id`` and ``last_entry_id`` are heads of the account's order and ledger
    chains as of this row's last change; the account's head is the highest of its rows.
    """

    id = KeyField()
    account_id = models.BigIntegerField()
    wallet = models.SmallIntegerField()
    asset_id = models.IntegerField()
    total_atoms = AtomsField()
    held_atoms = AtomsField()
    last_order_id = models.BigIntegerField()
    last_entry_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "wallet", "asset_id"], name="balance_key"
            ),
            models.CheckConstraint(condition=Q(held_atoms__gte=0), name="balance_held_positive"),
        ]

    def __str__(self) -> str:
        """Return whose balance of what this is."""
        return f"balance {self.id}"


class LedgerEntry(models.Model):
    """
    One account's part of one change of ownership; never changed after it is written.

    Amounts are signed. A trade's entry has both its base and its quote part, the latter net
    of the fee, which account ``fees`` receives. ``previous_id`` links an account's entries.
    Without an index but the key: histories are read along that chain.
    """

    id = KeyField()
    previous_id = models.BigIntegerField()
    account_id = models.BigIntegerField()
    kind = models.SmallIntegerField()
    reference_id = models.BigIntegerField()
    wallet = models.SmallIntegerField()
    asset_id = models.IntegerField()
    amount_atoms = AtomsField()
    balance_atoms = AtomsField()
    quote_asset_id = models.IntegerField()
    quote_amount_atoms = AtomsField()
    quote_balance_atoms = AtomsField()
    fee_atoms = AtomsField()
    time_ms = models.BigIntegerField()
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(previous_id__lt=F("id")), name="entry_chain_goes_back"
            ),
        ]
        verbose_name_plural = "ledger entries"

    def __str__(self) -> str:
        """Return the entry number."""
        return f"entry {self.id}"
