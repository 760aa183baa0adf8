"""Closed vocabularies of the wallets app."""

from django.db import models


class WithdrawalState(models.TextChoices):
    """
    What became of a withdrawal.

    ``opening`` is a moment's state that nobody is shown: written down, but the exchange has not
    said yet whether it holds the money.
    """

    OPENING = "opening", "Opening"
    REQUESTED = "requested", "Waiting for approval"
    APPROVED = "approved", "To be sent"
    SENT = "sent", "Sent"
    CANCELLED = "cancelled", "Cancelled by its user"
    REJECTED = "rejected", "Rejected"


# State -> the states that may follow it; there are no other edges.
EDGES: dict[WithdrawalState, frozenset[WithdrawalState]] = {
    WithdrawalState.OPENING: frozenset({WithdrawalState.REQUESTED}),
    WithdrawalState.REQUESTED: frozenset(
        {WithdrawalState.APPROVED, WithdrawalState.CANCELLED, WithdrawalState.REJECTED}
    ),
    WithdrawalState.APPROVED: frozenset({WithdrawalState.SENT, WithdrawalState.REJECTED}),
    WithdrawalState.SENT: frozenset(),
    WithdrawalState.CANCELLED: frozenset(),
    WithdrawalState.REJECTED: frozenset(),
}
# Whose money lies in the account of pending withdrawals.
WAITING = (WithdrawalState.REQUESTED, WithdrawalState.APPROVED)
ENDED = (WithdrawalState.SENT, WithdrawalState.CANCELLED, WithdrawalState.REJECTED)
SHOWN = (*WAITING, *ENDED)
