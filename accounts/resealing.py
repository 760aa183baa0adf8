"""Moving stored secrets to a new key."""

from typing import Any

from django.db.models import QuerySet

from accounts import key_states, two_factor
from accounts.models import ApiKey, TwoFactor
from accounts.vault import VaultError, seal, unseal

# Rows read at once; each is written alone, so that the exchange never waits.
_STEP = 200


def secrets_reseal() -> tuple[int, int]:
    """
    Encrypt every stored secret with the vault's first key.

    Returns how many were, and how many open with none of its keys. A secret that changes
    meanwhile is left alone: it was sealed with the first key.
    """
    keys = ApiKey.objects.exclude(secret="")
    done, unreadable = _reseal(keys, key_states.PURPOSE)
    more, also_unreadable = _reseal(TwoFactor.objects.all(), two_factor.PURPOSE)
    return done + more, unreadable + also_unreadable


def _reseal(rows: QuerySet[Any], purpose: str) -> tuple[int, int]:
    done = unreadable = 0
    for owner_id, sealed in rows.values_list("pk", "secret").iterator(chunk_size=_STEP):
        try:
            secret = unseal(sealed, purpose=purpose, owner_id=owner_id)
        except VaultError:
            unreadable += 1
            continue
        renewed = seal(secret, purpose=purpose, owner_id=owner_id)
        done += rows.model.objects.filter(pk=owner_id, secret=sealed).update(secret=renewed)
    return done, unreadable
