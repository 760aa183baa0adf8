"""Reads of users, sessions and account settings."""

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Account, FeeTier, Session, User
from accounts.names import normalise_email, normalise_username


def user_by_login(login: str) -> User | None:
    """Return the user with a name or a verified e-mail address, in whatever form written."""
    users = User.objects.select_related("two_factor")
    try:
        if "@" in login:
            # The index has the addresses that are not empty, and is used only where that is said.
            email = normalise_email(login)
            return users.filter(verified_email=email, verified_email__gt="").first()
        return users.filter(username=normalise_username(login)).first()
    except ValidationError:
        return None


def user_by_id(user_id: int) -> User | None:
    """Return a user."""
    return User.objects.filter(id=user_id).select_related("two_factor").first()


def users_made_after(user_id: int, *, before_id: int, limit: int) -> list[int]:
    """Return at most ``limit`` ids of users above one and below another, lowest first."""
    rows = User.objects.filter(id__gt=user_id, id__lt=before_id).order_by("id")
    return list(rows.values_list("id", flat=True)[:limit])


def usernames_of(account_ids: Collection[int]) -> dict[int, str]:
    """Return the names of the users who have these accounts, by account."""
    rows = User.objects.filter(account_id__in=account_ids)
    return dict(rows.values_list("account_id", "username"))


def account_id_by_username(username: str) -> int | None:
    """Return the account of an active user, None if there is none by that name."""
    try:
        normal = normalise_username(username)
    except ValidationError:
        return None
    return (
        User.objects.filter(username=normal, is_active=True)
        .values_list("account_id", flat=True)
        .first()
    )


def sessions_alive(user_id: int) -> QuerySet[Session]:
    """Return the living sessions of a user, newest first."""
    return Session.objects.filter(
        user_id=user_id, revoked_at__isnull=True, expires_at__gt=timezone.now()
    ).order_by("-id")


def account_by_id(account_id: int) -> Account | None:
    """Return an account as the exchange knows it, None before it is opened there."""
    return Account.objects.filter(id=account_id).first()


def fee_tier_by_number(number: int) -> FeeTier | None:
    """Return a fee tier."""
    return FeeTier.objects.filter(id=number).first()
