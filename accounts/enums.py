"""Closed vocabularies of users."""

from django.db import models


class Role(models.TextChoices):
    """What a user is to the exchange; what a role may do is in ``permissions``."""

    TRADER = "trader", "Trader"
    SUPPORT = "support", "Support"
    RISK_MANAGER = "risk_manager", "Risk manager"
    OPERATOR = "operator", "Operator"
    AUDITOR = "auditor", "Auditor"
    ADMIN = "admin", "Administrator"


STAFF_ROLES = frozenset(Role) - {Role.TRADER}


class KeyKind(models.TextChoices):
    """How an API key signs: with a shared secret, or with a private key that we never see."""

    HMAC = "hmac", "HMAC-SHA256"
    ED25519 = "ed25519", "Ed25519"


class Scope(models.TextChoices):
    """What an API key is for; what a scope may do is in ``permissions``."""

    READ = "read", "Read"
    TRADE = "trade", "Trade"
    TRANSFER = "transfer", "Transfer"


class RequestStatus(models.TextChoices):
    """
    What became of a request to move an amount.

    ``weighing`` is a moment's state; ``executing`` is one that was agreed to and whose outcome
    is not known yet: it may be asked for again, the exchange carries it out once.
    """

    WEIGHING = "weighing", "Weighing"
    PENDING = "pending", "Waiting for a second person"
    EXECUTING = "executing", "Being carried out"
    EXECUTED = "executed", "Carried out"
    REFUSED = "refused", "Refused by the exchange"
    REJECTED = "rejected", "Rejected"
    EXPIRED = "expired", "Expired"
