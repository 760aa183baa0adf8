"""REST of forgotten passwords and of proving an e-mail address."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import password_reset
from accounts.access import HasSessionToEnroll
from accounts.serializers import LOGIN_LENGTH_MAX, PASSWORD_LENGTH_MAX, LogoutInput
from accounts.users import user_of
from common.network import client_ip
from common.openapi import BODY_ERRORS, LOGIN_ERRORS, QUERY_ERRORS, Codes, errors
from common.query import read_query
from common.serializers import StrictSerializer, TextField, validated

_TOKEN_LENGTH_MAX = 1_024
_LIMIT_ERRORS: Codes = {429: ("RATE_LIMITED",)}
_MAIL_ERRORS: Codes = {
    429: ("TOO_MANY_ATTEMPTS",),
    503: ("SERVICE_UNAVAILABLE", "LOGIN_UNAVAILABLE"),
}


class PasswordResetInput(StrictSerializer):
    """A user name, or a verified e-mail address in its place."""

    username = TextField(max_length=LOGIN_LENGTH_MAX, required=False)
    email = TextField(max_length=LOGIN_LENGTH_MAX, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require exactly one of user name and e-mail address."""
        if ("username" in attrs) == ("email" in attrs):
            raise serializers.ValidationError(
                {"username": serializers.ErrorDetail("Give username or email.", code="required")}
            )
        return attrs


class PasswordResetConfirmInput(StrictSerializer):
    """The token of the mail, and the new password."""

    token = TextField(max_length=_TOKEN_LENGTH_MAX)
    new_password = TextField(max_length=PASSWORD_LENGTH_MAX)


class EmailVerifyInput(StrictSerializer):
    """The token of the mail."""

    token = TextField(max_length=_TOKEN_LENGTH_MAX)


class AcceptedOutput(serializers.Serializer):
    """What was asked for will be done if it can be."""

    accepted = serializers.BooleanField(help_text="Always true.")


class PasswordResetView(APIView):
    """Forgotten passwords, first step."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_password_reset",
        summary="Ask for a new password",
        tags=["auth"],
        auth=[],
        request=PasswordResetInput,
        responses={
            202: AcceptedOutput,
            **errors(BODY_ERRORS, QUERY_ERRORS, _LIMIT_ERRORS, _MAIL_ERRORS),
        },
    )
    def post(self, request: Request) -> Response:
        """Have a mail sent to the user's verified address; the answer is always the same."""
        read_query(request)
        data = validated(PasswordResetInput, request.data)
        password_reset.password_reset_request(
            login=data.get("username") or data.get("email", ""), ip=client_ip(request._request)
        )
        return Response({"accepted": True}, status=202)


class PasswordResetConfirmView(APIView):
    """Forgotten passwords, second step."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_password_reset_confirm",
        summary="Set a new password",
        tags=["auth"],
        auth=[],
        request=PasswordResetConfirmInput,
        responses={
            204: None,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                _LIMIT_ERRORS,
                {400: ("RESET_TOKEN_INVALID",), 503: ("LOGIN_BUSY", "LOGIN_UNAVAILABLE")},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Set a new password against the token of the mail; every session ends."""
        read_query(request)
        data = validated(PasswordResetConfirmInput, request.data)
        password_reset.password_reset_confirm(**data, ip=client_ip(request._request))
        return Response(status=204)


class EmailVerificationView(APIView):
    """Proving an e-mail address, first step."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_email_verification",
        summary="Ask for the mail that proves an address",
        tags=["auth"],
        request=None,
        responses={202: AcceptedOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS, _MAIL_ERRORS)},
    )
    def post(self, request: Request) -> Response:
        """Have a mail sent to the address in the user's profile, unless it is verified."""
        read_query(request)
        validated(LogoutInput, request.data)
        password_reset.verification_request(user=user_of(request), ip=client_ip(request._request))
        return Response({"accepted": True}, status=202)


class EmailVerifyView(APIView):
    """Proving an e-mail address, second step."""

    authentication_classes = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_email_verify",
        summary="Prove an address",
        tags=["auth"],
        auth=[],
        request=EmailVerifyInput,
        responses={
            204: None,
            **errors(BODY_ERRORS, QUERY_ERRORS, _LIMIT_ERRORS, {400: ("VERIFICATION_INVALID",)}),
        },
    )
    def post(self, request: Request) -> Response:
        """Take the token of the mail; from now on the address logs in too."""
        read_query(request)
        data = validated(EmailVerifyInput, request.data)
        password_reset.email_verify(token=data["token"], ip=client_ip(request._request))
        return Response(status=204)
