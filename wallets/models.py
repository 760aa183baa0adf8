"""
Rows of balances, of the ledger and of withdrawals.

Balances and the ledger are written by the exchange's store alone.
"""

from django.db import models
from django.db.models import F, Q

from common.fields import AtomsField, KeyField
from common.ids import make_id
from wallets.enums import WithdrawalState


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


class WithdrawalTerms(models.Model):
    """
    On which terms an asset is withdrawn; the key is the asset, without a row it is not.

    A daily limit bounds what one account asks for within 24 hours, by the limit tier of its
    user; 0 is no limit. While ``halted_because`` says something, the ledger did not add up.
    """

    id = KeyField(editable=False)
    is_open = models.BooleanField(default=False)
    minimum_atoms = AtomsField()
    fee_atoms = AtomsField()
    daily_trader_atoms = AtomsField()
    daily_maker_atoms = AtomsField()
    daily_internal_atoms = AtomsField()
    halted_because = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name_plural = "withdrawal terms"

    def __str__(self) -> str:
        """Return whose terms these are."""
        return f"withdrawal terms of asset {self.id}"


class WithdrawalAddress(models.Model):
    """An address that an account may withdraw to, from ``usable_ms`` on (UTC milliseconds)."""

    id = KeyField(default=make_id, editable=False)
    account_id = models.BigIntegerField()
    asset_id = models.IntegerField()
    label = models.CharField(max_length=64)
    network = models.CharField(max_length=32, blank=True)
    address = models.CharField(max_length=128)
    memo = models.CharField(max_length=64, blank=True)
    created_ms = models.BigIntegerField()
    usable_ms = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "asset_id", "network", "address", "memo"],
                name="withdrawal_address_once",
            )
        ]
        verbose_name_plural = "withdrawal addresses"

    def __str__(self) -> str:
        """Return the label."""
        return self.label


class Withdrawal(models.Model):
    """
    An amount that a user asked to be paid out; its money is moved by the exchange alone.

    Rows change by compare-and-set of ``state``, along ``wallets.enums.EDGES``. ``settled_ms`` is
    when the exchange had carried out the end, 0 before. ``approval_id`` is the operators' request
    that approved it. Times are UTC milliseconds, 0 for what has not happened.
    """

    id = KeyField(default=make_id, editable=False)
    account_id = models.BigIntegerField()
    asset_id = models.IntegerField()
    amount_atoms = AtomsField()
    fee_atoms = AtomsField()
    network = models.CharField(max_length=32, blank=True)
    address = models.CharField(max_length=128)
    memo = models.CharField(max_length=64, blank=True)
    client_id = models.CharField(max_length=64)
    state = models.CharField(max_length=16, choices=WithdrawalState.choices)
    created_ms = models.BigIntegerField()
    changed_ms = models.BigIntegerField()
    settled_ms = models.BigIntegerField(default=0)
    approval_id = models.BigIntegerField(default=0)
    approved_by = models.CharField(max_length=80, blank=True, default="")
    ended_by = models.CharField(max_length=80, blank=True, default="")
    reason = models.CharField(max_length=200, blank=True, default="")
    transaction_id = models.CharField(max_length=128, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account_id", "client_id"], name="withdrawal_client_id")
        ]
        indexes = [
            models.Index(fields=["account_id", "id"], name="withdrawal_account"),
            models.Index(fields=["state", "id"], name="withdrawal_state"),
            # What is half done: the sweep reads nothing else.
            models.Index(fields=["settled_ms", "state", "id"], name="withdrawal_unsettled"),
        ]

    def __str__(self) -> str:
        """Return number and state."""
        return f"withdrawal {self.pk}: {self.state}"
