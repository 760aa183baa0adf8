"""REST of the second factor; open to users who must set one up first."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import two_factor
from accounts.access import HasSessionToEnroll, caller_of
from accounts.serializers import CODE_LENGTH_MAX, PASSWORD_LENGTH_MAX
from accounts.users import user_of
from common.network import client_ip
from common.openapi import BODY_ERRORS, LOGIN_ERRORS, QUERY_ERRORS, Codes, errors
from common.query import read_query
from common.serializers import StrictSerializer, TextField, validated

_PASSWORD_ERRORS: Codes = {
    401: ("INVALID_CREDENTIALS",),
    429: ("TOO_MANY_ATTEMPTS",),
    503: ("LOGIN_BUSY", "LOGIN_UNAVAILABLE"),
}
_CODE_ERRORS: Codes = {
    403: ("TWO_FACTOR_INVALID",),
    409: ("TWO_FACTOR_NOT_SET_UP",),
    429: ("TOO_MANY_ATTEMPTS",),
    503: ("LOGIN_UNAVAILABLE",),
}


class TwoFactorSetupInput(StrictSerializer):
    """The present password."""

    current_password = TextField(max_length=PASSWORD_LENGTH_MAX)


class TwoFactorCodeInput(StrictSerializer):
    """A code of the second factor."""

    code = TextField(max_length=CODE_LENGTH_MAX)


class TwoFactorDisableInput(TwoFactorCodeInput):
    """The present password, and a code or recovery code."""

    current_password = TextField(max_length=PASSWORD_LENGTH_MAX)


class TwoFactorStatusOutput(serializers.Serializer):
    """The state of the user's second factor."""

    enabled = serializers.BooleanField()
    enforced = serializers.BooleanField(help_text="Whether this user must have one.")
    recovery_codes_left = serializers.IntegerField()


class TwoFactorSetupOutput(serializers.Serializer):
    """What an authenticator needs, shown this once."""

    secret = serializers.CharField(help_text="Base32.")
    uri = serializers.CharField(help_text="otpauth URI, to be shown as a QR code.")


class RecoveryCodesOutput(serializers.Serializer):
    """Recovery codes, shown this once; each works once in place of a code."""

    recovery_codes = serializers.ListField(child=serializers.CharField())


class TwoFactorView(APIView):
    """The second factor of the user."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_2fa",
        summary="See the second factor",
        tags=["auth"],
        responses={200: TwoFactorStatusOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """Return whether the user has a second factor, must have one, and its recovery codes."""
        read_query(request)
        status = two_factor.factor_status(user_of(request))
        return Response(
            {
                "enabled": status.enabled,
                "enforced": status.enforced,
                "recovery_codes_left": status.recovery_codes_left,
            }
        )


class TwoFactorSetupView(APIView):
    """Setting up, first step."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_2fa_setup",
        summary="Begin to set up a second factor",
        tags=["auth"],
        request=TwoFactorSetupInput,
        responses={
            201: TwoFactorSetupOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                LOGIN_ERRORS,
                _PASSWORD_ERRORS,
                {409: ("TWO_FACTOR_ENABLED",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Return a secret for an authenticator; it counts once confirm got a code of it."""
        read_query(request)
        data = validated(TwoFactorSetupInput, request.data)
        enrolment = two_factor.factor_setup(
            user=user_of(request),
            current_password=data["current_password"],
            ip=client_ip(request._request),
        )
        return Response({"secret": enrolment.secret, "uri": enrolment.uri}, status=201)


class TwoFactorConfirmView(APIView):
    """Setting up, second step."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_2fa_confirm",
        summary="Confirm the second factor",
        tags=["auth"],
        request=TwoFactorCodeInput,
        responses={
            200: RecoveryCodesOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                LOGIN_ERRORS,
                _CODE_ERRORS,
                {409: ("TWO_FACTOR_ENABLED",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Let the second factor count from now on; every other session ends."""
        read_query(request)
        data = validated(TwoFactorCodeInput, request.data)
        codes = two_factor.factor_confirm(
            user=user_of(request),
            code=data["code"],
            session_id=caller_of(request).session_id,
            ip=client_ip(request._request),
        )
        return Response({"recovery_codes": codes})


class TwoFactorDisableView(APIView):
    """Taking the second factor away."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_2fa_disable",
        summary="Remove the second factor",
        tags=["auth"],
        request=TwoFactorDisableInput,
        responses={
            204: None,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                LOGIN_ERRORS,
                _PASSWORD_ERRORS,
                _CODE_ERRORS,
                {403: ("TWO_FACTOR_ENFORCED",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Remove the second factor, against password and code; every other session ends."""
        read_query(request)
        data = validated(TwoFactorDisableInput, request.data)
        two_factor.factor_disable(
            user=user_of(request),
            current_password=data["current_password"],
            code=data["code"],
            session_id=caller_of(request).session_id,
            ip=client_ip(request._request),
        )
        return Response(status=204)


class RecoveryCodesView(APIView):
    """New recovery codes."""

    permission_classes = [HasSessionToEnroll]

    @extend_schema(
        operation_id="auth_2fa_recovery_codes",
        summary="Renew the recovery codes",
        tags=["auth"],
        request=TwoFactorCodeInput,
        responses={
            200: RecoveryCodesOutput,
            **errors(BODY_ERRORS, QUERY_ERRORS, LOGIN_ERRORS, _CODE_ERRORS),
        },
    )
    def post(self, request: Request) -> Response:
        """Return ten new recovery codes, against a code; the old ones end."""
        read_query(request)
        data = validated(TwoFactorCodeInput, request.data)
        codes = two_factor.recovery_codes_renew(
            user=user_of(request), code=data["code"], ip=client_ip(request._request)
        )
        return Response({"recovery_codes": codes})
