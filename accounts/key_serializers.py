"""Shapes of API keys."""

from typing import Any

from rest_framework import serializers

from accounts.api_keys import NETWORKS_MAX, MadeKey
from accounts.enums import KeyKind, Scope
from accounts.models import ApiKey
from common.serializers import StrictSerializer, TextField

_NETWORK_LENGTH_MAX = 50
_PUBLIC_KEY_LENGTH_MAX = 1_000
# The year 9999; beyond it no date can be told.
_TIME_MAX_MS = 253_402_300_799_000


class ApiKeyInput(StrictSerializer):
    """A new API key."""

    name = TextField(max_length=64)
    kind = serializers.ChoiceField(choices=KeyKind.choices, default=KeyKind.HMAC.value)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.choices), min_length=1, max_length=len(Scope)
    )
    public_key = TextField(
        max_length=_PUBLIC_KEY_LENGTH_MAX,
        required=False,
        help_text="For ed25519: 32 bytes in base64, or PEM.",
    )
    ip_list = serializers.ListField(
        child=TextField(max_length=_NETWORK_LENGTH_MAX),
        required=False,
        max_length=NETWORKS_MAX,
        help_text="Addresses or networks from which the key works; none: from everywhere.",
    )
    expires_at = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=_TIME_MAX_MS,
        help_text="Milliseconds UTC; left out: never.",
    )


class ApiKeyOutput(serializers.Serializer):
    """An API key."""

    id = serializers.CharField()
    key = serializers.CharField(help_text="What X-API-Key names.")
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KeyKind.choices)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))
    ip_list = serializers.ListField(child=serializers.CharField())
    created_at = serializers.IntegerField()
    expires_at = serializers.IntegerField(allow_null=True)
    last_used_at = serializers.IntegerField(allow_null=True)


class MadeApiKeyOutput(ApiKeyOutput):
    """A new API key; the secret is shown this once."""

    secret = serializers.CharField(allow_null=True, help_text="Null for ed25519.")


class ApiKeyListOutput(serializers.Serializer):
    """The API keys of a user."""

    items = ApiKeyOutput(many=True)


def _milliseconds(moment: Any) -> int | None:
    return int(moment.timestamp() * 1000) if moment is not None else None


def render_key(row: ApiKey, *, last_used_ms: int | None = None) -> dict[str, Any]:
    """Return the JSON form of an API key, without its secret."""
    return {
        "id": str(row.pk),
        "key": row.key,
        "name": row.name,
        "kind": str(row.kind),
        "scopes": row.scopes.split(","),
        "ip_list": [text for text in row.networks.split(",") if text],
        "created_at": _milliseconds(row.created_at),
        "expires_at": _milliseconds(row.expires_at),
        "last_used_at": last_used_ms,
    }


def render_made_key(made: MadeKey) -> dict[str, Any]:
    """Return the JSON form of a new API key, its secret included."""
    return {**render_key(made.row), "secret": made.secret or None}
