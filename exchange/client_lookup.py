"""Finding what an account used a client id for, from any process."""

from __future__ import annotations

from dataclasses import dataclass

from exchange.client_ids import KEY_MASK, hash_key
from exchange.models import POSITION_ID, Batch, ClientKey, LogPosition


@dataclass(frozen=True, slots=True)
class ClientIdLookup:
    """
    What the table of client ids says.

    ``reference_id`` is the order or transfer, 0 if the table does not have the id. Recent ids
    are not in the table yet: those used from ``unmerged_since_ms`` on (None: there are none)
    must be looked for among the account's own recent rows.
    """

    reference_id: int
    unmerged_since_ms: int | None


def find_client_order_id(account_id: int, client_order_id: str) -> ClientIdLookup:
    """Return what the table says about a client order id of an account."""
    # The position is read first: an id merged after that is found in the table.
    position = LogPosition.objects.filter(id=POSITION_ID).values_list("merged_batch").first()
    merged_batch = position[0] if position else 0
    since = (
        Batch.objects.filter(id__gt=merged_batch)
        .order_by("id")
        .values_list("first_ms", flat=True)
        .first()
    )
    key = (account_id, f"o:{client_order_id}")
    number = hash_key(key)
    while True:
        row = (
            ClientKey.objects.filter(id=number)
            .values_list("account_id", "client_key", "reference_id")
            .first()
        )
        if row is None:
            return ClientIdLookup(reference_id=0, unmerged_since_ms=since)
        if (row[0], row[1]) == key:
            return ClientIdLookup(reference_id=row[2], unmerged_since_ms=since)
        number = (number + 1) & KEY_MASK
