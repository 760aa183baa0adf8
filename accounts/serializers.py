"""Shapes of what users send and see."""

from typing import Any

from rest_framework import serializers

from accounts.models import Account, FeeTier, Session, User
from accounts.types import TokenPair
from common.decimals import format_rate
from common.serializers import StrictSerializer, TextField
from common.tiers import Tier, limits_of
from exchange.core.enums import AccountStatus, SelfTradeMode

# Long enough for any pass phrase, short enough that hashing it is no attack.
PASSWORD_LENGTH_MAX = 256
LOGIN_LENGTH_MAX = 254
TOKEN_LENGTH_MAX = 2_048
CHALLENGE_LENGTH_MAX = 512
# A recovery code with its dashes, and room.
CODE_LENGTH_MAX = 40


class RegisterInput(StrictSerializer):
    """A new user."""

    username = TextField(max_length=64, help_text="3 to 32 letters, digits and underscores.")
    email = TextField(max_length=LOGIN_LENGTH_MAX)
    password = TextField(max_length=PASSWORD_LENGTH_MAX, help_text="At least 10 characters.")


class LoginInput(StrictSerializer):
    """Credentials: a user name, or a verified e-mail address in its place."""

    username = TextField(max_length=LOGIN_LENGTH_MAX, required=False)
    email = TextField(max_length=LOGIN_LENGTH_MAX, required=False)
    password = TextField(max_length=PASSWORD_LENGTH_MAX)
    code = TextField(
        max_length=CODE_LENGTH_MAX,
        required=False,
        help_text="Of the second factor; without it a user who has one gets a challenge.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require exactly one of user name and e-mail address."""
        if ("username" in attrs) == ("email" in attrs):
            raise serializers.ValidationError(
                {"username": serializers.ErrorDetail("Give username or email.", code="required")}
            )
        return attrs


class LoginCompleteInput(StrictSerializer):
    """A challenge, and a code or recovery code of the second factor."""

    challenge = TextField(max_length=CHALLENGE_LENGTH_MAX)
    code = TextField(max_length=CODE_LENGTH_MAX)


class RefreshInput(StrictSerializer):
    """A refresh token."""

    refresh_token = TextField(max_length=TOKEN_LENGTH_MAX)


class LogoutInput(StrictSerializer):
    """Nothing: the access token names the session."""


class ProfileInput(StrictSerializer):
    """What a user changes of itself, with the present password."""

    current_password = TextField(max_length=PASSWORD_LENGTH_MAX)
    new_password = TextField(max_length=PASSWORD_LENGTH_MAX, required=False)
    email = TextField(max_length=LOGIN_LENGTH_MAX, required=False)


class UserOutput(serializers.Serializer):
    """A user as it sees itself."""

    id = serializers.CharField()
    username = serializers.CharField()
    email = serializers.CharField()
    email_verified = serializers.BooleanField()
    role = serializers.CharField()
    two_factor = serializers.BooleanField(help_text="Whether a second factor is set up.")
    account_id = serializers.CharField()
    created_at = serializers.IntegerField(help_text="Milliseconds UTC.")


class TokensOutput(serializers.Serializer):
    """The tokens of a session."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    token_type = serializers.CharField(help_text="Always Bearer.")
    expires_in = serializers.IntegerField(help_text="Seconds until the access token ends.")
    session_id = serializers.CharField()


class LoginOutput(TokensOutput):
    """The tokens of a session and its user."""

    user = UserOutput()


class ChallengeOutput(serializers.Serializer):
    """The password was right; login/2fa takes the challenge with a code."""

    challenge = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")


class ProfileOutput(UserOutput):
    """A user; after a change of password also the tokens of its new session."""

    tokens = TokensOutput(required=False)


class SessionOutput(serializers.Serializer):
    """A living session."""

    id = serializers.CharField()
    current = serializers.BooleanField()
    created_at = serializers.IntegerField()
    refreshed_at = serializers.IntegerField()
    expires_at = serializers.IntegerField()
    ip = serializers.CharField()
    user_agent = serializers.CharField()


class SessionListOutput(serializers.Serializer):
    """The living sessions of a user."""

    items = SessionOutput(many=True)


class RevokedOutput(serializers.Serializer):
    """How many sessions were ended."""

    revoked = serializers.IntegerField()


class TicketOutput(serializers.Serializer):
    """A one-time ticket."""

    ticket = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")


class LimitsOutput(serializers.Serializer):
    """The limits of a tier; 0 is no limit."""

    requests = serializers.IntegerField()
    requests_window_s = serializers.IntegerField()
    orders_per_s = serializers.IntegerField()
    cancels_per_s = serializers.IntegerField()
    ws_messages = serializers.IntegerField()
    ws_messages_window_s = serializers.IntegerField()
    ws_connections_max = serializers.IntegerField()
    ws_channels_max = serializers.IntegerField()


class AccountOutput(serializers.Serializer):
    """The settings of the user's account on the exchange."""

    account_id = serializers.CharField()
    opened = serializers.BooleanField(help_text="Whether the exchange knows the account yet.")
    status = serializers.CharField()
    fee_tier = serializers.IntegerField()
    maker_fee = serializers.CharField(help_text="Rate; negative is a rebate.")
    taker_fee = serializers.CharField(help_text="Rate.")
    open_orders_max = serializers.IntegerField(help_text="Per market.")
    self_trade_prevention = serializers.CharField()
    limit_tier = serializers.CharField()
    limits = LimitsOutput()
    stale = serializers.BooleanField(
        required=False, help_text="Present and true while the exchange is down."
    )
    as_of = serializers.IntegerField(
        required=False, help_text="With stale: when the exchange was last alive."
    )


def _milliseconds(moment: Any) -> int:
    return int(moment.timestamp() * 1000)


def render_user(user: User) -> dict[str, Any]:
    """Return the JSON form of a user."""
    return {
        "id": str(user.pk),
        "username": user.username,
        "email": user.email,
        "email_verified": bool(user.verified_email),
        "role": str(user.role),
        "two_factor": user.has_second_factor,
        "account_id": str(user.account_id),
        "created_at": _milliseconds(user.created_at),
    }


def render_tokens(pair: TokenPair) -> dict[str, Any]:
    """Return the JSON form of a session's tokens."""
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
        "expires_in": pair.expires_in_s,
        "session_id": str(pair.session_id),
    }


def render_session(session: Session, *, current_id: int) -> dict[str, Any]:
    """Return the JSON form of a session."""
    return {
        "id": str(session.pk),
        "current": session.pk == current_id,
        "created_at": _milliseconds(session.created_at),
        "refreshed_at": _milliseconds(session.refreshed_at),
        "expires_at": _milliseconds(session.expires_at),
        "ip": session.ip,
        "user_agent": session.user_agent,
    }


def render_account(
    *, account_id: int, account: Account | None, fee_tier: FeeTier | None, tier: Tier
) -> dict[str, Any]:
    """Return the JSON form of account settings; an account not opened yet shows its defaults."""
    limits = limits_of(tier)
    status = AccountStatus(account.status) if account else AccountStatus.ACTIVE
    mode = SelfTradeMode(account.self_trade_mode) if account else SelfTradeMode.EXPIRE_TAKER
    return {
        "account_id": str(account_id),
        "opened": account is not None,
        "status": status.name.lower(),
        "fee_tier": account.fee_tier if account else 0,
        "maker_fee": format_rate(fee_tier.maker_rate_e8 if fee_tier else 0),
        "taker_fee": format_rate(fee_tier.taker_rate_e8 if fee_tier else 0),
        "open_orders_max": account.open_orders_max if account else limits.open_orders_max,
        "self_trade_prevention": mode.name.lower(),
        "limit_tier": str(tier),
        "limits": {
            "requests": limits.requests,
            "requests_window_s": limits.requests_window_s,
            "orders_per_s": limits.orders_per_s,
            "cancels_per_s": limits.cancels_per_s,
            "ws_messages": limits.ws_messages,
            "ws_messages_window_s": limits.ws_messages_window_s,
            "ws_connections_max": limits.ws_connections_max,
            "ws_channels_max": limits.ws_channels_max,
        },
    }
