"""Users and their logins: the only way to change either."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit, sessions
from accounts.api_keys import api_keys_end
from accounts.enums import Role
from accounts.models import Session, User
from accounts.opening import account_follow_tier, account_open
from accounts.passwords import password_check_strength, password_hash
from accounts.throttle import take_registration
from accounts.tokens import ACCESS, REFRESH, decode_token, encode_token, hash_token_id
from accounts.tokens import make_token_id as new_token_id
from accounts.types import AccountOwner, Caller, TokenError, TokenPair
from common.db import atomic
from common.errors import ApiError, FieldError
from common.network import client_ip
from common.tiers import Tier

log = structlog.get_logger(__name__)

USER_AGENT_LENGTH_MAX = 200
# Living sessions of one user; a further login ends the oldest.
SESSIONS_MAX = 50
SESSIONS_KEPT_DAYS = 30
# Rows of one delete: short enough that the exchange never waits for the database.
PURGE_STEP = 200
# Who acts where no user does, for the audit log.
PLATFORM = "platform"


def field_error(field: str, error: ValidationError) -> FieldError:
    """Return a validator's refusal of a field as an answer."""
    first = error.error_list[0] if hasattr(error, "error_list") else error
    return FieldError(field=field, code=str(first.code or "invalid").upper())


def _built_user(*, username: str, email: str, role: Role = Role.TRADER, **fields: Any) -> User:
    try:
        return User.objects.build(username=username, email=email, role=role, **fields)
    except ValidationError as error:
        field = "email" if error.code == "invalid_email" else "username"
        raise field_error(field, error) from error


def caller_of(request: HttpRequest) -> Caller:
    """Return from where a request comes."""
    agent = request.META.get("HTTP_USER_AGENT", "")[:USER_AGENT_LENGTH_MAX]
    shown = "".join(character for character in agent if character.isprintable())
    return Caller(ip=client_ip(request), user_agent=shown)


def target_of(user_id: int) -> str:
    """Return how the audit log names a user."""
    return f"user:{user_id}"


def _actor_of(user_id: int) -> audit.Actor | str:
    return User.objects.filter(id=user_id).first() or PLATFORM


def account_ensure(user: AccountOwner) -> bool:
    """
    Open the user's account on the exchange unless it is open; returns whether it now is.

    Never inside a transaction. That the exchange is away is no error: the next login or first
    order tries again.
    """
    return account_open(user.account_id)


def _username_taken(username: str) -> bool:
    return User.objects.filter(username=username).exists()


def user_register(
    *, username: str, email: str, password: str, caller: Caller
) -> tuple[User, TokenPair]:
    """
    Create a trader, log it in, and open its account on the exchange if that is running.

    The e-mail address stays unverified, so whether anybody else uses it does not show.

    Raises:
        ApiError: 409 ``USERNAME_TAKEN``, 400 ``VALIDATION_ERROR``, 429, or 503 when busy.
    """
    user = _built_user(username=username, email=email)
    try:
        password_check_strength(password, user)
    except ValidationError as error:
        raise field_error("password", error) from error
    take_registration(caller.ip)
    taken = ApiError("USERNAME_TAKEN", "This user name is taken.", 409)
    if _username_taken(user.username):
        raise taken
    user.password = password_hash(password)
    try:
        with atomic():
            user.save(force_insert=True)
            pair = _session_insert(user, caller)
            audit.record(
                actor=user, action="user.register", target=target_of(user.pk), ip=caller.ip
            )
    except IntegrityError as error:
        raise taken from error
    log.info("user_registered", user_id=user.pk)
    account_ensure(user)
    return user, pair


def user_create(
    *,
    username: str,
    email: str,
    password: str,
    role: Role = Role.TRADER,
    tier: Tier = Tier.TRADER,
) -> User:
    """
    Create a user on an operator's word: the address counts as verified, the password is not judged.

    A user who exists under this name is returned unchanged. The exchange account is not
    opened here.

    Raises:
        FieldError: for a bad name or address, or an address that another user has.
    """
    user = _built_user(username=username, email=email, role=role, limit_tier=tier.value)
    found = User.objects.filter(username=user.username).first()
    if found is not None:
        return found
    user.verified_email = user.email
    user.password = password_hash(password)
    try:
        with atomic():
            user.save(force_insert=True)
            audit.record(
                actor=PLATFORM,
                action="user.create",
                target=target_of(user.pk),
                after={"username": user.username, "role": str(role), "tier": tier.value},
            )
    except IntegrityError as error:
        found = User.objects.filter(username=user.username).first()
        if found is not None:
            return found
        raise FieldError(field="email", code="EMAIL_TAKEN") from error
    log.info("user_created", user_id=user.pk, role=str(role))
    return user


def _refresh_ends(now: datetime) -> datetime:
    return now + timedelta(milliseconds=settings.JWT_REFRESH_LIFETIME_MS)


def _token_pair(*, user_id: int, session_id: int, refresh_id: str) -> TokenPair:
    access_s = settings.JWT_ACCESS_LIFETIME_MS // 1000
    refresh_s = settings.JWT_REFRESH_LIFETIME_MS // 1000
    return TokenPair(
        access_token=encode_token(
            token_type=ACCESS,
            user_id=user_id,
            session_id=session_id,
            token_id=new_token_id(),
            lifetime_s=access_s,
        ),
        refresh_token=encode_token(
            token_type=REFRESH,
            user_id=user_id,
            session_id=session_id,
            token_id=refresh_id,
            lifetime_s=refresh_s,
        ),
        expires_in_s=access_s,
        session_id=session_id,
    )


def _session_insert(user: User, caller: Caller) -> TokenPair:
    refresh_id = new_token_id()
    now = timezone.now()
    session = Session.objects.create(
        user=user,
        refresh_hash=hash_token_id(refresh_id),
        created_at=now,
        refreshed_at=now,
        expires_at=_refresh_ends(now),
        user_agent=caller.user_agent,
        ip=caller.ip,
    )
    return _token_pair(user_id=user.pk, session_id=session.pk, refresh_id=refresh_id)


def session_open(*, user: User, caller: Caller) -> TokenPair:
    """Return the tokens of a new session; beyond ``SESSIONS_MAX`` the oldest ends."""
    with atomic():
        pair = _session_insert(user, caller)
        alive = Session.objects.filter(user=user, revoked_at__isnull=True).order_by("-id")
        surplus = list(alive.values_list("id", flat=True)[SESSIONS_MAX : SESSIONS_MAX + 10])
        if surplus:
            _sessions_end(surplus, user_id=user.pk, reason="too_many", actor=PLATFORM)
        audit.record(
            actor=user,
            action="session.open",
            target=target_of(user.pk),
            after={"session_id": str(pair.session_id), "user_agent": caller.user_agent},
            ip=caller.ip,
        )
    return pair


def session_refresh(*, refresh_token: str) -> TokenPair:
    """
    Exchange a refresh token for a new pair; the old one is used up.

    Using one a second time ends its session: somebody else may hold it. Of parallel uses
    exactly one wins, by one conditional update.

    Raises:
        TokenError: ``TOKEN_INVALID``, ``TOKEN_EXPIRED``, ``TOKEN_REVOKED`` or ``TOKEN_REUSED``.
    """
    claims = decode_token(refresh_token, token_type=REFRESH)
    used, refresh_id = hash_token_id(claims.token_id), new_token_id()
    now = timezone.now()
    rotated = Session.objects.filter(
        id=claims.session_id,
        user_id=claims.user_id,
        refresh_hash=used,
        revoked_at__isnull=True,
        expires_at__gt=now,
    ).update(
        refresh_hash=hash_token_id(refresh_id), refreshed_at=now, expires_at=_refresh_ends(now)
    )
    if rotated == 1:
        # Disabling a user ends its sessions; this holds if a row was changed by other means.
        if not User.objects.filter(id=claims.user_id, is_active=True).exists():
            _sessions_end(
                [claims.session_id], user_id=claims.user_id, reason="disabled", actor=PLATFORM
            )
            raise TokenError("TOKEN_REVOKED")
        sessions.forget_states([claims.session_id])
        return _token_pair(
            user_id=claims.user_id, session_id=claims.session_id, refresh_id=refresh_id
        )
    session = Session.objects.filter(id=claims.session_id, user_id=claims.user_id).first()
    if session is None or session.refresh_hash == used:
        raise TokenError("TOKEN_REVOKED")
    if session.revoked_at is None:
        log.warning("refresh_token_reused", session_id=session.pk, user_id=session.user_id)
        _sessions_end([session.pk], user_id=claims.user_id, reason="reused", actor=PLATFORM)
    raise TokenError("TOKEN_REUSED")


def _sessions_end(
    session_ids: list[int], *, user_id: int, reason: str, actor: audit.Actor | str, note: str = ""
) -> int:
    with atomic():
        ended = Session.objects.filter(id__in=session_ids, revoked_at__isnull=True).update(
            revoked_at=timezone.now(), revoked_reason=reason
        )
        if ended:
            audit.record(
                actor=actor,
                action="session.revoke",
                target=target_of(user_id),
                before={
                    "sessions": ended,
                    "session_ids": [str(session_id) for session_id in session_ids[:SESSIONS_MAX]],
                },
                reason=note or reason,
            )
        sessions.announce_revoked(session_ids)
    return ended


def session_revoke(
    *,
    user_id: int,
    session_id: int,
    reason: str = "logout",
    note: str = "",
    actor: audit.Actor | str | None = None,
) -> bool:
    """
    End one session of a user; False if it is not theirs or has ended. No actor: the user.

    ``reason`` is kept with the session, ``note``, an operator's own words, in the audit log.
    """
    found = Session.objects.filter(id=session_id, user_id=user_id, revoked_at__isnull=True)
    if not found.exists():
        return False
    actor = actor or _actor_of(user_id)
    ended = _sessions_end([session_id], user_id=user_id, reason=reason, actor=actor, note=note)
    return ended == 1


def sessions_revoke_all(
    *, user_id: int, reason: str, actor: audit.Actor | str | None = None
) -> int:
    """
    End every session of a user, browser sessions included; returns how many tokens' ended.

    No actor: the user itself.
    """
    with atomic():
        User.objects.filter(id=user_id).update(session_epoch=F("session_epoch") + 1)
        alive = Session.objects.filter(user_id=user_id, revoked_at__isnull=True)
        return _sessions_end(
            list(alive.values_list("id", flat=True)),
            user_id=user_id,
            reason=reason,
            actor=actor or _actor_of(user_id),
        )


def sessions_end_others(
    *, user: User, session_id: int, reason: str, actor: audit.Actor | str | None = None
) -> int:
    """
    End every session of a user but one (0: none is spared), browser sessions included.

    No actor: the user itself.
    """
    with atomic():
        User.objects.filter(id=user.pk).update(session_epoch=F("session_epoch") + 1)
        alive = Session.objects.filter(user=user, revoked_at__isnull=True).exclude(id=session_id)
        return _sessions_end(
            list(alive.values_list("id", flat=True)),
            user_id=user.pk,
            reason=reason,
            actor=actor or user,
        )


def _access_of(user: User) -> dict[str, Any]:
    return {"active": user.is_active, "role": str(user.role), "tier": user.limit_tier}


def user_set_access(
    *,
    user: User,
    is_active: bool | None = None,
    role: Role | None = None,
    tier: Tier | None = None,
    actor: audit.Actor | str = PLATFORM,
    reason: str = "",
) -> None:
    """
    Enable, disable, promote or demote a user, or change its limits.

    Losing anything ends every session and API key at once; a new limit tier is read within
    seconds.
    """
    before = _access_of(user)
    if is_active is not None:
        user.is_active = is_active
    if role is not None:
        user.role = role
    if tier is not None:
        user.limit_tier = tier.value
    after = _access_of(user)
    if after == before:
        return
    with atomic():
        user.save(update_fields=["is_active", "role", "limit_tier"])
        audit.record(
            actor=actor,
            action="user.access_change",
            target=target_of(user.pk),
            before=before,
            after=after,
            reason=reason,
        )
        if {**before, "tier": ""} != {**after, "tier": ""}:
            sessions_revoke_all(user_id=user.pk, reason="access_changed", actor=actor)
            api_keys_end(user_id=user.pk, reason="access_changed", actor=actor)
        else:
            ids = Session.objects.filter(user=user, revoked_at__isnull=True)
            sessions.forget_states(ids.values_list("id", flat=True))
        if after["tier"] != before["tier"]:
            # The back-office calls this inside a transaction, where no command may be sent.
            transaction.on_commit(lambda: account_follow_tier(user.account_id))


def sessions_purge(*, steps_max: int) -> int:
    """
    Delete sessions that ended long ago, in small steps; returns how many were deleted.

    A month of ended sessions stays, for whoever asks who was logged in from where.
    """
    before = timezone.now() - timedelta(days=SESSIONS_KEPT_DAYS)
    old = Session.objects.filter(Q(expires_at__lt=before) | Q(revoked_at__lt=before))
    deleted = 0
    for _ in range(steps_max):
        ids = list(old.values_list("id", flat=True)[:PURGE_STEP])
        if not ids:
            break
        deleted += Session.objects.filter(id__in=ids).delete()[0]
    return deleted
