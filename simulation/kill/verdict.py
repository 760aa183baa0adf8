"""What must be true after all the killing: clients' histories against the rows."""

from __future__ import annotations

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from simulation.kill.history import ACCEPTED, NOT_SENT, REFUSED, UNKNOWN, Claim


def check_orders(claims: dict[tuple[int, str], Claim], problems: list[str]) -> dict[str, int]:
    """Hold what clients were told against the rows, and return what was counted."""
    from orders.models import Order

    rows: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    columns = ("account_id", "client_order_id", "id", "status")
    for account_id, client_id, order_id, status in Order.objects.values_list(*columns):
        rows[account_id, client_id].append((order_id, status))
    counts: Counter[str] = Counter()
    for key, claim in claims.items():
        found = rows.pop(key, [])
        counts["requests"] += len(claim.results) + claim.open_requests
        counts["asked_again"] += len(claim.results) > 1
        counts["cancelled"] += claim.cancelled
        kind = claim.kind
        counts[kind] += 1
        if kind == UNKNOWN:
            counts["unknown_existing"] += len(found)
        problems += [f"{key}: {problem}" for problem in contradictions(claim, kind, found)]
    problems += [f"{key}: nobody sent it" for key in rows]
    return dict(counts)


def contradictions(claim: Claim, kind: str, found: list[tuple[int, int]]) -> Iterator[str]:
    """Yield what of a client's history the rows of its client id contradict."""
    from exchange.core.enums import FINAL_STATUSES, OrderStatus

    if len(found) > 1:
        yield f"exists {len(found)} times"
    if kind == ACCEPTED and [order_id for order_id, _ in found] != sorted(claim.order_ids):
        yield f"told {claim.order_ids}, found {found}"
    if found and (kind in (REFUSED, NOT_SENT) or (REFUSED in claim.results and kind == UNKNOWN)):
        yield f"was refused ({claim.results}), but exists"
    if claim.cancelled and (not found or OrderStatus(found[0][1]) not in FINAL_STATUSES):
        yield f"told cancelled, is {found}"


def state_hashes() -> dict[str, str]:
    """Return the hash of the loaded rows and of the replayed log."""
    from exchange.processor import make_projections
    from exchange.replay import replay_log
    from exchange.store.factory import open_store
    from exchange.store.loader import rows_hash

    store = open_store()
    return {
        "rows": rows_hash(store, make_projections()),
        "replay": replay_log(store).state_hash(),
    }


def check_books(leader_output: str, problems: list[str]) -> dict[str, str]:
    """
    Compare the state as the leader left it, as the rows say and as the log gives it again.

    Also adds the ledger up. Returns the three hashes.
    """
    hashes = state_hashes()
    live = re.findall(r'"state_hash": ?"([0-9a-f]{64})"', leader_output)
    hashes["live"] = live[-1] if live else "not printed"
    if len(set(hashes.values())) != 1:
        problems.append(f"hashes differ: {hashes}")
    check_ledger(problems)
    return hashes


def check_ledger(problems: list[str]) -> None:
    """Add the ledger up and hold each row against its checksum."""
    from django.core.management import call_command

    ledger = io.StringIO()
    try:
        call_command("verify_ledger", stdout=ledger, stderr=io.StringIO())
    except SystemExit:
        problems.append(f"the ledger does not add up: {ledger.getvalue()}")
