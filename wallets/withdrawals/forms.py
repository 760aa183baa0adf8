"""Input shapes of withdrawals and addresses."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from common.pagination import PageQuery
from common.serializers import StrictSerializer, TextField
from wallets.enums import SHOWN
from wallets.requests import CLIENT_TRANSFER_ID
from wallets.withdrawals.types import Payee

# Printable ASCII without spaces: what every network's addresses are made of.
_WORD = r"^[!-~]+$"
ADDRESS_LENGTH_MAX = 128
MEMO_LENGTH_MAX = 64
NETWORK_LENGTH_MAX = 32
LABEL_LENGTH_MAX = 64


class LabelField(TextField):
    """Printable text with something in it."""

    default_error_messages = {"invalid_label": "Printable text was expected."}

    def to_internal_value(self, data: Any) -> str:
        """Return the text."""
        value = super().to_internal_value(data)
        if not value.strip() or not value.isprintable():
            self.fail("invalid_label")
        return value


class WordField(serializers.RegexField):
    """Printable ASCII without spaces; nothing else is turned into it."""

    def __init__(self, **kwargs: Any) -> None:
        """Take no white space away: what has some is refused."""
        super().__init__(_WORD, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """Return the word."""
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class PayeeFields(StrictSerializer):
    """Where money goes."""

    currency = TextField(max_length=16, help_text="Code of the currency, e.g. USDT.")
    address = WordField(max_length=ADDRESS_LENGTH_MAX, help_text="As its network writes it.")
    network = WordField(
        max_length=NETWORK_LENGTH_MAX, required=False, help_text="Where there are several."
    )
    memo = WordField(
        max_length=MEMO_LENGTH_MAX, required=False, help_text="Tag or memo, where there is one."
    )


class WithdrawalRequest(PayeeFields):
    """A withdrawal; the amount is read with the currency's decimals by the view."""

    amount = serializers.JSONField(
        help_text="Decimal string in the currency's decimals; the fee comes on top."
    )
    client_withdrawal_id = serializers.RegexField(
        CLIENT_TRANSFER_ID,
        help_text="Unique per account for ever; repeating it with the same request is safe.",
    )


class AddressRequest(PayeeFields):
    """A new address of the book."""

    # DRF takes declared fields out of the class, so its own attribute of this name stays.
    label = LabelField(  # type: ignore[assignment]
        max_length=LABEL_LENGTH_MAX, help_text="What you call it."
    )


class WithdrawalsQuery(PageQuery):
    """Parameters of withdrawals."""

    status = serializers.ChoiceField(
        choices=[state.value for state in SHOWN], required=False, help_text="Only these."
    )
    currency = serializers.CharField(
        required=False, max_length=16, help_text="Only of this currency."
    )


def payee_of(data: dict[str, Any]) -> Payee:
    """Return where validated data says that money goes."""
    return Payee(
        network=data.get("network", ""), address=data["address"], memo=data.get("memo", "")
    )
