"""Reads of users, sessions and account settings."""

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import Account, FeeTier, Session, User
from accounts.names import normalise_email, normalise_username
from common.ids import parse_id

# Users whose names begin as typed, of whom a search finds the first so many.
SEARCHED_USERS_MAX = 500
# Sorts after every character that a user name may have.
LAST_CHARACTER = "\uffff"


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


def user_by_account(account_id: int) -> User | None:
    """Return the user whose account this is, None for an account without one."""
    return User.objects.filter(account_id=account_id).first()


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


def users_page(
    *,
    limit: int,
    below_id: int | None = None,
    search: str = "",
    role: str | None = None,
    is_active: bool | None = None,
) -> list[User]:
    """
    Return one more than ``limit`` users if there are, the newest first.

    ``search`` is a whole e-mail address, user or account id, or the start of a user name; of
    names that begin so the first ``SEARCHED_USERS_MAX`` are looked at.
    """
    users = User.objects.select_related("two_factor").order_by("-id")
    if search:
        users = users.filter(id__in=_searched_ids(search.strip().lower()))
    if role is not None:
        users = users.filter(role=role)
    if is_active is not None:
        # In a form in which SQLite sees that the index serves it.
        users = users.filter(is_active__in=[is_active])
    if below_id is not None:
        users = users.filter(id__lt=below_id)
    return list(users[: limit + 1])


def _searched_ids(search: str) -> list[int]:
    number = parse_id(search)
    whole = Q(email=search)
    if number is not None:
        whole |= Q(id=number) | Q(account_id=number)
    ids = list(User.objects.filter(whole).values_list("id", flat=True)[:SEARCHED_USERS_MAX])
    if ids or not search:
        return ids
    # A range of the index of names; LIKE would look at every user.
    names = User.objects.filter(username__gte=search, username__lt=search + LAST_CHARACTER)
    return list(names.order_by("username").values_list("id", flat=True)[:SEARCHED_USERS_MAX])


def account_by_id(account_id: int) -> Account | None:
    """Return an account as the exchange knows it, None before it is opened there."""
    return Account.objects.filter(id=account_id).first()


def fee_tier_by_number(number: int) -> FeeTier | None:
    """Return a fee tier."""
    return FeeTier.objects.filter(id=number).first()
