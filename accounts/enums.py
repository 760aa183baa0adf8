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
