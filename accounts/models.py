"""Users, their sessions, the audit log; accounts and fee tiers of the exchange."""

from typing import Any, NoReturn

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.enums import KeyKind, RequestStatus, Role
from accounts.names import normalise_email, normalise_username
from accounts.permissions import app_permits, is_staff_role, model_permits
from common.fields import AtomsField, KeyField
from common.ids import make_id
from common.tiers import Tier
from exchange.core.enums import AccountStatus, SelfTradeMode

TIER_CHOICES = [(tier.value, tier.value) for tier in Tier if tier is not Tier.ANONYMOUS]


class UserManager(BaseUserManager["User"]):
    """Builds users in normal form."""

    def build(self, *, username: str, email: str, **fields: Any) -> "User":
        """
        Return an unsaved user without a password.

        Raises:
            django.core.exceptions.ValidationError: for a bad name or address.
        """
        return self.model(
            username=normalise_username(username), email=normalise_email(email), **fields
        )

    def get_by_natural_key(self, username: str | None) -> "User":
        """Return the user with a name, in whatever form it is written."""
        return self.get(username=normalise_username(username or ""))


class User(AbstractBaseUser):
    """
    Somebody who logs in. A user is not an account: it *has* one, on the exchange.

    ``email`` is what the user gave, ``verified_email`` what is known to be theirs ("" if
    nothing is): only the latter is unique and logs in, so that registering tells nobody
    whether an address is in use. ``session_epoch`` is part of every browser session; raising
    it ends them all. ``credentials_changed_ms`` is when password or second factor changed last
    (UTC milliseconds, 0: never). While ``withdrawals_frozen`` no money leaves the user's account.
    """

    id = KeyField(default=make_id, editable=False)
    username = models.CharField(max_length=32)
    email = models.EmailField()
    verified_email = models.EmailField(blank=True, default="")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.TRADER)
    account_id = models.BigIntegerField(default=make_id, editable=False)
    limit_tier = models.CharField(max_length=16, choices=TIER_CHOICES, default=Tier.TRADER.value)
    is_active = models.BooleanField("active", default=True)
    session_epoch = models.IntegerField(default=0, editable=False)
    credentials_changed_ms = models.BigIntegerField(default=0, editable=False)
    withdrawals_frozen = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = ["email"]

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["username"], name="user_username"),
            models.UniqueConstraint(fields=["account_id"], name="user_account"),
            models.UniqueConstraint(
                fields=["verified_email"],
                name="user_verified_email",
                condition=Q(verified_email__gt=""),
            ),
        ]
        # What the back-office's list is filtered and searched by; users change seldom.
        indexes = [
            models.Index(fields=["role", "id"], name="user_role"),
            models.Index(fields=["limit_tier", "id"], name="user_limit_tier"),
            models.Index(fields=["is_active", "id"], name="user_active"),
            models.Index(fields=["email"], name="user_email"),
        ]

    def __str__(self) -> str:
        """Return the user name."""
        return self.username

    @property
    def is_staff(self) -> bool:
        """Return whether the user works in the back-office."""
        return is_staff_role(self.role)

    @property
    def tier(self) -> Tier:
        """Return the limit tier."""
        return Tier(self.limit_tier)

    @property
    def has_second_factor(self) -> bool:
        """Return whether a second factor is set up; select ``two_factor`` with many users."""
        factor = getattr(self, "two_factor", None)
        return factor is not None and factor.confirmed_at is not None

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Return whether the role includes one of Django's model permissions."""
        return self.is_active and model_permits(self.role, perm)

    def has_perms(self, perm_list: Any, obj: Any = None) -> bool:
        """Return whether the role includes all of these permissions."""
        return all(self.has_perm(perm, obj) for perm in perm_list)

    def has_module_perms(self, app_label: str) -> bool:
        """Return whether the role sees an app in the back-office."""
        return self.is_active and app_permits(self.role, app_label)

    def get_session_auth_hash(self) -> str:
        """Return what a browser session must match: it ends with password or epoch."""
        value = f"{self.password}:{self.session_epoch}"
        return salted_hmac("accounts.User.session", value, algorithm="sha256").hexdigest()

    def get_session_auth_fallback_hash(self) -> Any:
        """Yield nothing: secrets are not rotated with a fallback here."""
        yield from ()


class Session(models.Model):
    """
    One login and the family of refresh tokens that descend from it.

    ``refresh_hash`` is the SHA-256 of the only refresh token that is still good; rotating is
    one conditional update of it. ``revoked_at`` ends the family for ever.
    """

    id = KeyField(default=make_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sessions")
    refresh_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    refreshed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=32, blank=True, default="")
    user_agent = models.CharField(max_length=200, blank=True, default="")
    ip = models.CharField(max_length=45, blank=True, default="")

    def __str__(self) -> str:
        """Return whose session this is."""
        return f"session {self.pk}"


class ApiKey(models.Model):
    """
    A key that signs requests of its owner's programs.

    ``secret`` (HMAC) is sealed by the vault and shown once, at its creation; of an Ed25519 key
    only ``public_key`` is known (32 bytes in base64). ``networks`` are the addresses from which
    it works, none for all. A key that was ended stays, so that its name tells what it did.
    """

    id = KeyField(default=make_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    key = models.CharField(max_length=40)
    name = models.CharField(max_length=64)
    kind = models.CharField(max_length=8, choices=KeyKind.choices)
    secret = models.CharField(max_length=300, blank=True, default="")
    public_key = models.CharField(max_length=64, blank=True, default="")
    scopes = models.CharField(max_length=64)
    networks = models.CharField(max_length=1024, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_reason = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key"], name="api_key_key")]

    def __str__(self) -> str:
        """Return the public half."""
        return self.key


class TwoFactor(models.Model):
    """
    A user's second factor: a TOTP secret, sealed by the vault.

    It counts once ``confirmed_at`` is set. ``last_step`` is the newest time step whose code was
    taken; codes of it and before are used up.
    """

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, primary_key=True, related_name="two_factor"
    )
    secret = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    last_step = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        """Return whose it is."""
        return f"second factor of {self.pk}"


class RecoveryCode(models.Model):
    """A code that stands in once for a lost second factor; only its hash is kept."""

    id = KeyField(default=make_id, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        """Return whose it is."""
        return f"recovery code {self.pk}"


class Account(models.Model):
    """An account as the exchange knows it; written by the exchange's store alone."""

    id = KeyField(editable=False)
    status = models.SmallIntegerField(choices=[(item.value, item.name) for item in AccountStatus])
    fee_tier = models.IntegerField()
    open_orders_max = models.IntegerField()
    self_trade_mode = models.SmallIntegerField(
        choices=[(item.value, item.name) for item in SelfTradeMode]
    )

    def __str__(self) -> str:
        """Return the account number."""
        return f"account {self.id}"


class FeeTier(models.Model):
    """Fee rates in 10^-8; written by the exchange's store alone. Maker may be a rebate."""

    id = KeyField(editable=False)
    maker_rate_e8 = models.BigIntegerField()
    taker_rate_e8 = models.BigIntegerField()

    def __str__(self) -> str:
        """Return the tier's number."""
        return f"fee tier {self.id}"


class AppendOnlyQuerySet(models.QuerySet[Any]):
    """Rows that are added and read."""

    def _refuse(self) -> NoReturn:
        raise TypeError("the audit log is append-only")

    def update(self, **_values: Any) -> int:
        """Refuse."""
        self._refuse()

    def bulk_update(self, *_arguments: Any, **_options: Any) -> int:
        """Refuse."""
        self._refuse()

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        self._refuse()


class AuditEvent(models.Model):
    """
    One change: who, what, of what, from what, to what, why, and from where.

    The key is the event's number in the chain, from 1 without gaps. ``seal`` binds the row to
    the one before it (``accounts.audit``). ``actor_id`` is 0 for a part of the platform and
    refers to no row, so that history outlives users. ``before`` and ``after`` are JSON objects
    or "". Only ``accounts.audit`` writes here; rows are never changed.
    """

    id = KeyField(editable=False)
    time_ms = models.BigIntegerField()
    actor_id = models.BigIntegerField()
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=100)
    before = models.TextField(blank=True)
    after = models.TextField(blank=True)
    reason = models.CharField(max_length=500, blank=True)
    ip = models.CharField(max_length=45, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    previous_seal = models.CharField(max_length=64)
    seal = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["target", "id"], name="audit_target"),
            models.Index(fields=["actor", "id"], name="audit_actor"),
            models.Index(fields=["action", "id"], name="audit_action"),
        ]

    def __str__(self) -> str:
        """Return number and action."""
        return f"audit event {self.pk}: {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """
        Insert the row.

        Raises:
            TypeError: for a row that exists.
        """
        if not kwargs.get("force_insert"):
            raise TypeError("the audit log is append-only")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """
        Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError("the audit log is append-only")


class AuditHead(models.Model):
    """The one row that says how many audit events were written, and the seal of the last."""

    id = KeyField(editable=False)
    number = models.BigIntegerField()
    seal = models.CharField(max_length=64)

    def __str__(self) -> str:
        """Return the number."""
        return f"audit head {self.number}"


class OperationRequest(models.Model):
    """
    An amount that an operator asked to move, straight away or after a second person agreed.

    ``given`` is the body as it was sent, JSON; it is carried out exactly so. ``value_atoms`` is
    what it was worth in USDT then, null if nobody knew. ``decided_by`` is who agreed or
    rejected, "" for what needed nobody. ``result`` is the answer or the refusal, JSON.
    """

    id = KeyField(default=make_id, editable=False)
    operation = models.CharField(max_length=64)
    target = models.CharField(max_length=100)
    label = models.CharField(max_length=200)
    given = models.TextField()
    reason = models.CharField(max_length=200)
    value_atoms = AtomsField(null=True)
    status = models.CharField(max_length=16, choices=RequestStatus.choices)
    requested_by_id = models.BigIntegerField()
    requested_by = models.CharField(max_length=32)
    client_request_id = models.CharField(max_length=64)
    created_ms = models.BigIntegerField()
    expires_ms = models.BigIntegerField()
    decided_ms = models.BigIntegerField(default=0)
    decided_by_id = models.BigIntegerField(default=0)
    decided_by = models.CharField(max_length=32, blank=True, default="")
    decision_reason = models.CharField(max_length=200, blank=True, default="")
    result = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["requested_by_id", "client_request_id"], name="operation_request_client_id"
            ),
        ]
        indexes = [
            models.Index(fields=["status", "id"], name="operation_request_status"),
            models.Index(fields=["requested_by_id", "id"], name="operation_request_requester"),
        ]

    def __str__(self) -> str:
        """Return number and operation."""
        return f"request {self.pk}: {self.operation} {self.target}"


class Notice(models.Model):
    """What operators told one account, or (0) everybody; never changed."""

    id = KeyField(default=make_id, editable=False)
    account_id = models.BigIntegerField()
    text = models.CharField(max_length=500)
    actor = models.CharField(max_length=64)
    created_ms = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["account_id", "id"], name="notice_account")]

    def __str__(self) -> str:
        """Return the beginning of the text."""
        return self.text[:40]


class Switch(models.Model):
    """Something of the whole platform that operators turn on and off; absent is off."""

    id = KeyField(default=make_id, editable=False)
    name = models.CharField(max_length=64)
    is_on = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name"], name="switch_name")]
        verbose_name_plural = "switches"

    def __str__(self) -> str:
        """Return name and state."""
        return f"{self.name} {'on' if self.is_on else 'off'}"
