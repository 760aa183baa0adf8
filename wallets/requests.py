"""Input shapes of the wallets app."""

from rest_framework import serializers

from common.pagination import PageQuery
from common.serializers import StrictSerializer, TextField
from wallets.render import LEDGER_KINDS_BY_NAME, WALLETS_BY_NAME

CLIENT_TRANSFER_ID = r"^[A-Za-z0-9_-]{1,64}$"


class TransferRequest(StrictSerializer):
    """A transfer; the amount is read with the currency's decimals by the service."""

    currency = TextField(max_length=16, help_text="Code of the currency, e.g. USDT.")
    amount = serializers.JSONField(help_text="Decimal string in the currency's decimals.")
    from_wallet = serializers.ChoiceField(choices=list(WALLETS_BY_NAME), default="spot")
    to_wallet = serializers.ChoiceField(choices=list(WALLETS_BY_NAME), default="spot")
    to_username = TextField(
        required=False, max_length=64, help_text="Receiver; left out: between own wallets."
    )
    client_transfer_id = serializers.RegexField(
        CLIENT_TRANSFER_ID,
        required=False,
        help_text="Unique per account for ever; repeating it with the same request is safe.",
    )


class HistoryQuery(PageQuery):
    """Parameters of the ledger history."""

    currency = serializers.CharField(
        required=False, max_length=16, help_text="Only entries that moved this currency."
    )
    kind = serializers.ChoiceField(
        choices=list(LEDGER_KINDS_BY_NAME), required=False, help_text="Only this kind of entry."
    )
