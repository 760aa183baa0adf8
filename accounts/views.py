"""Registration, login, sessions, profile and account settings."""

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import logins, profile, selectors, serializers, services, tickets
from accounts.access import HasSessionToEnroll, caller_of, requires
from accounts.authentication import token_error_response
from accounts.models import User
from accounts.permissions import Permission
from accounts.types import TokenError, TokenPair
from accounts.users import user_of
from common.errors import not_found
from common.freshness import freshness
from common.network import client_ip
from common.openapi import (
    BODY_ERRORS,
    LOGIN_ERRORS,
    NOT_FOUND_ERRORS,
    QUERY_ERRORS,
    Codes,
    errors,
)
from common.query import read_query
from common.serializers import refuse_body, validated

_CREDENTIALS_ERRORS: Codes = {
    401: ("INVALID_CREDENTIALS",),
    429: ("TOO_MANY_ATTEMPTS",),
    503: ("LOGIN_BUSY", "LOGIN_UNAVAILABLE"),
}
_LIMIT_ERRORS: Codes = {429: ("RATE_LIMITED",)}


def _login_body(user: User, pair: TokenPair) -> dict[str, Any]:
    return {**serializers.render_tokens(pair), "user": serializers.render_user(user)}


class RegisterView(APIView):
    """New users."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_register",
        tags=["auth"],
        auth=[],
        request=serializers.RegisterInput,
        responses={
            201: serializers.LoginOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                _LIMIT_ERRORS,
                {
                    409: ("USERNAME_TAKEN",),
                    429: ("TOO_MANY_ATTEMPTS",),
                    503: ("LOGIN_BUSY", "LOGIN_UNAVAILABLE"),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Create a trader and log it in."""
        read_query(request)
        data = validated(serializers.RegisterInput, request.data)
        user, pair = services.user_register(**data, caller=services.caller_of(request._request))
        return Response(_login_body(user, pair), status=201)


class LoginView(APIView):
    """Logging in."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_login",
        tags=["auth"],
        auth=[],
        request=serializers.LoginInput,
        responses={
            200: serializers.LoginOutput,
            202: serializers.ChallengeOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                _LIMIT_ERRORS,
                _CREDENTIALS_ERRORS,
                {403: ("TWO_FACTOR_INVALID",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """
        Open a session with a user name (or a verified e-mail address) and a password.

        A user with a second factor sends a code of it along, or gets 202 with a challenge for
        login/2fa.
        """
        read_query(request)
        data = validated(serializers.LoginInput, request.data)
        login = logins.user_login(
            login=data.get("username") or data.get("email", ""),
            password=data["password"],
            code=data.get("code", ""),
            request=request._request,
        )
        if login.pair is None:
            body = {"challenge": login.challenge, "expires_in": logins.CHALLENGE_LIFETIME_S}
            return Response(body, status=202)
        return Response(_login_body(login.user, login.pair))


class LoginCompleteView(APIView):
    """Logging in, second step."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_login_2fa",
        summary="Complete a login with the second factor",
        tags=["auth"],
        auth=[],
        request=serializers.LoginCompleteInput,
        responses={
            200: serializers.LoginOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                _LIMIT_ERRORS,
                {
                    401: ("CHALLENGE_INVALID",),
                    403: ("TWO_FACTOR_INVALID",),
                    429: ("TOO_MANY_ATTEMPTS",),
                    503: ("LOGIN_UNAVAILABLE",),
                },
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Open a session with the challenge of a login and a code of the second factor."""
        read_query(request)
        data = validated(serializers.LoginCompleteInput, request.data)
        login = logins.user_login_complete(**data, request=request._request)
        return Response(_login_body(login.user, cast(TokenPair, login.pair)))


class RefreshView(APIView):
    """Renewing tokens."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_refresh",
        tags=["auth"],
        auth=[],
        request=serializers.RefreshInput,
        responses={
            200: serializers.TokensOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                _LIMIT_ERRORS,
                {401: ("TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_REUSED")},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token, which works once, for a new pair."""
        read_query(request)
        data = validated(serializers.RefreshInput, request.data)
        try:
            pair = services.session_refresh(refresh_token=data["refresh_token"])
        except TokenError as error:
            raise token_error_response(error) from error
        return Response(serializers.render_tokens(pair))


class LogoutView(APIView):
    """Logging out."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_logout",
        tags=["auth"],
        request=None,
        responses={204: None, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def post(self, request: Request) -> Response:
        """End the session of the access token."""
        read_query(request)
        validated(serializers.LogoutInput, request.data)
        identity = caller_of(request)
        services.session_revoke(user_id=identity.user_id, session_id=identity.session_id)
        return Response(status=204)


class ProfileView(APIView):
    """The user itself."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_profile",
        tags=["auth"],
        responses={200: serializers.ProfileOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return the user."""
        read_query(request)
        return Response(serializers.render_user(user_of(request)))

    @extend_schema(
        operation_id="auth_profile_update",
        tags=["auth"],
        request=serializers.ProfileInput,
        responses={
            200: serializers.ProfileOutput,
            **errors(BODY_ERRORS, QUERY_ERRORS, LOGIN_ERRORS, _CREDENTIALS_ERRORS),
        },
    )
    def put(self, request: Request) -> Response:
        """
        Change e-mail address or password.

        A new password ends every session; the answer holds the tokens of a new one.
        """
        read_query(request)
        data = validated(serializers.ProfileInput, request.data)
        user = user_of(request)
        pair = profile.user_update(
            user=user,
            current_password=data["current_password"],
            new_password=data.get("new_password"),
            email=data.get("email"),
            caller=services.caller_of(request._request),
        )
        body: dict[str, Any] = serializers.render_user(user)
        if pair is not None:
            body["tokens"] = serializers.render_tokens(pair)
        return Response(body)


class SessionsView(APIView):
    """All sessions of the user."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_sessions",
        tags=["auth"],
        responses={200: serializers.SessionListOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """List the user's living sessions, newest first."""
        read_query(request)
        identity = caller_of(request)
        alive = selectors.sessions_alive(identity.user_id)[: services.SESSIONS_MAX]
        items = [
            serializers.render_session(session, current_id=identity.session_id) for session in alive
        ]
        return Response({"items": items})

    @extend_schema(
        operation_id="auth_sessions_revoke_all",
        tags=["auth"],
        responses={200: serializers.RevokedOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def delete(self, request: Request) -> Response:
        """End every session of the user, this one included."""
        refuse_body(request)
        read_query(request)
        ended = services.sessions_revoke_all(
            user_id=caller_of(request).user_id, reason="logout_everywhere"
        )
        return Response({"revoked": ended})


class SessionView(APIView):
    """One session of the user."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_session_revoke",
        tags=["auth"],
        responses={204: None, **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def delete(self, request: Request, session_id: int) -> Response:
        """End one of the user's sessions."""
        refuse_body(request)
        read_query(request)
        if not services.session_revoke(user_id=caller_of(request).user_id, session_id=session_id):
            raise not_found()
        return Response(status=204)


class TicketView(APIView):
    """One-time tickets."""

    @extend_schema(
        operation_id="auth_ws_ticket",
        tags=["auth"],
        request=None,
        responses={
            201: serializers.TicketOutput,
            **errors(QUERY_ERRORS, LOGIN_ERRORS, {503: ("SERVICE_UNAVAILABLE",)}),
        },
    )
    def post(self, request: Request) -> Response:
        """Return a ticket that opens one WebSocket from this address within 30 seconds."""
        read_query(request)
        validated(serializers.LogoutInput, request.data)
        ticket = tickets.ticket_create(identity=caller_of(request), ip=client_ip(request._request))
        return Response({"ticket": ticket, "expires_in": tickets.LIFETIME_S}, status=201)


class AccountView(APIView):
    """The user's account on the exchange."""

    permission_classes = [requires(Permission.ACCOUNT_VIEW)]

    @extend_schema(
        operation_id="account",
        tags=["account"],
        responses={200: serializers.AccountOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return settings, fees and limits of the account."""
        read_query(request)
        identity = caller_of(request)
        account = selectors.account_by_id(identity.account_id)
        fee_tier = selectors.fee_tier_by_number(account.fee_tier if account else 0)
        body = serializers.render_account(
            account_id=identity.account_id, account=account, fee_tier=fee_tier, tier=identity.tier
        )
        return Response({**body, **freshness()})
