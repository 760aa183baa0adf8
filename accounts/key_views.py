"""REST of API keys; only a session manages them, never a key."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import api_keys, step_up
from accounts import key_serializers as shapes
from accounts.access import caller_of
from accounts.enums import KeyKind
from accounts.serializers import RevokedOutput
from accounts.users import user_of
from common.errors import not_found
from common.openapi import BODY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS, QUERY_ERRORS, errors
from common.query import read_query
from common.serializers import refuse_body, validated


class ApiKeysView(APIView):
    """All API keys of the user."""

    @extend_schema(
        operation_id="auth_api_keys",
        summary="List API keys",
        tags=["auth"],
        responses={200: shapes.ApiKeyListOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def get(self, request: Request) -> Response:
        """List the user's API keys, newest first; secrets are never shown again."""
        read_query(request)
        rows = list(api_keys.keys_alive(caller_of(request).user_id)[: api_keys.KEYS_MAX])
        uses = api_keys.last_uses(rows)
        items = [shapes.render_key(row, last_used_ms=uses.get(row.pk)) for row in rows]
        return Response({"items": items})

    @extend_schema(
        operation_id="auth_api_key_create",
        summary="Make an API key",
        tags=["auth"],
        parameters=[step_up.PARAMETER],
        request=shapes.ApiKeyInput,
        responses={
            201: shapes.MadeApiKeyOutput,
            **errors(
                BODY_ERRORS,
                QUERY_ERRORS,
                LOGIN_ERRORS,
                step_up.ERRORS,
                {422: ("TOO_MANY_API_KEYS",)},
            ),
        },
    )
    def post(self, request: Request) -> Response:
        """Make an API key; the secret of an HMAC key is shown in this answer alone."""
        read_query(request)
        data = validated(shapes.ApiKeyInput, request.data)
        step_up.require_step_up(request)
        made = api_keys.api_key_create(
            user=user_of(request),
            name=data["name"],
            kind=KeyKind(data["kind"]),
            scopes=data["scopes"],
            public_key=data.get("public_key", ""),
            networks=data.get("ip_list", ()),
            expires_at_ms=data.get("expires_at"),
        )
        return Response(shapes.render_made_key(made), status=201)

    @extend_schema(
        operation_id="auth_api_keys_delete_all",
        summary="Delete all API keys",
        tags=["auth"],
        responses={200: RevokedOutput, **errors(QUERY_ERRORS, LOGIN_ERRORS)},
    )
    def delete(self, request: Request) -> Response:
        """End every API key of the user."""
        refuse_body(request)
        read_query(request)
        ended = api_keys.api_keys_end(actor=caller_of(request), user_id=caller_of(request).user_id)
        return Response({"revoked": ended})


class ApiKeyView(APIView):
    """One API key of the user."""

    @extend_schema(
        operation_id="auth_api_key_delete",
        summary="Delete an API key",
        tags=["auth"],
        responses={204: None, **errors(QUERY_ERRORS, LOGIN_ERRORS, NOT_FOUND_ERRORS)},
    )
    def delete(self, request: Request, key_id: int) -> Response:
        """End one of the user's API keys, its sockets included."""
        refuse_body(request)
        read_query(request)
        caller = caller_of(request)
        if not api_keys.api_keys_end(actor=caller, user_id=caller.user_id, key_id=key_id):
            raise not_found()
        return Response(status=204)
