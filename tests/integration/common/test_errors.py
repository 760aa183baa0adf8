"""Every error of every layer in one envelope; threats T1-T3, T6, T7, T13, T20."""

import io
import json

import pytest
from django.core.signals import request_finished
from django.db import OperationalError
from django.http import FileResponse, HttpResponse
from django.test import override_settings
from django.urls import include, path
from django.views.decorators.csrf import csrf_protect
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from common import views
from common.errors import ApiError, FieldError, raise_for_code, raise_for_outcome
from common.query import read_query
from common.testing import ApiClient, error_code
from exchange.core.events import Outcome
from exchange.core.rejects import Code
from exchange.errors import ExchangeBusy, ExchangeUnavailable, StatusUnknown


class EchoView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]

    def get(self, request):
        return Response(read_query(request))

    def post(self, request):
        return Response(dict(request.data))


class RaisingView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]
    errors = {
        "busy": ExchangeBusy(),
        "down": ExchangeUnavailable(),
        "unknown": StatusUnknown(),
        "field": FieldError(field="price", code="INVALID_DECIMAL"),
        "bug": ValueError("secret detail"),
        "locked": OperationalError("secret: database is locked"),
        "redis": RedisConnectionError("secret: connection refused"),
    }

    def get(self, request, name):
        raise self.errors[name]


def plain(request, name):
    raise RaisingView.errors[name]


@csrf_protect
def protected(request):
    return HttpResponse("ok")


urlpatterns = [
    path("api/echo", EchoView.as_view()),
    path("api/raise/<str:name>", RaisingView.as_view()),
    path("api/plain/<str:name>", plain),
    path("protected", protected),
    path("api/", include("accounts.urls")),
]
handler400 = views.handler400
handler403 = views.handler403
handler404 = views.handler404
handler500 = views.handler500


@pytest.fixture(autouse=True)
def urls():
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def api():
    return ApiClient()


def check(answer, status, code):
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/json"
    assert answer["Cache-Control"] == "no-store"
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["request_id"] == answer["X-Request-Id"]
    assert set(error) <= {"code", "message", "fields", "request_id"}
    return error


class TestRequestId:
    def test_a_sane_one_is_kept(self, api):
        assert api.get("/api/echo", {"X-Request-Id": "trace-12345"})["X-Request-Id"] == (
            "trace-12345"
        )

    @pytest.mark.parametrize(
        "offered", ["short", "x" * 65, "a b c d e f g", "id;drop_table", "\u00e9" * 9]
    )
    def test_any_other_is_replaced(self, api, offered):
        given = api.get("/api/echo", {"X-Request-Id": offered})["X-Request-Id"]

        assert given != offered
        assert len(given) == 24


class TestBodies:
    def test_t1_too_large(self, api):
        body = b'{"a": "' + b"x" * 65_536 + b'"}'

        check(api.post("/api/echo", body), 413, "BODY_TOO_LARGE")

    @pytest.mark.parametrize("body", [b"[", b"[]", b'{"a":NaN}', b'{"a":1,"a":1}', b"\xff"])
    def test_t2_invalid(self, api, body):
        check(api.post("/api/echo", body), 400, "INVALID_JSON")

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/x-www-form-urlencoded; charset=punycode",
            "application/xml",
            "nonsense",
        ],
    )
    def test_t3_other_content_types(self, api, content_type):
        answer = api.generic("POST", "/api/echo", b"a=1", content_type=content_type)

        check(answer, 415, "UNSUPPORTED_MEDIA_TYPE")

    @pytest.mark.parametrize("accept", ["text/html", "application/xml", "x/y"])
    def test_t3_other_answers(self, api, accept):
        check(api.get("/api/echo", {"Accept": accept}), 406, "NOT_ACCEPTABLE")

    @pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, */*;q=0.1"])
    def test_accepted_answers(self, api, accept):
        assert api.get("/api/echo", {"Accept": accept}).status_code == 200

    def test_an_empty_body_is_an_empty_object(self, api):
        assert api.post("/api/echo").json() == {}


class TestAddresses:
    def test_missing(self, api):
        check(api.get("/api/nothing"), 404, "NOT_FOUND")
        check(api.get("/nothing"), 404, "NOT_FOUND")

    def test_no_trailing_slash(self, api):
        check(api.get("/api/echo/"), 404, "NOT_FOUND")

    @pytest.mark.parametrize("number", ["0", "-1", "abc", "1.5", "9" * 19, "9" * 5_000, "%00"])
    def test_t7_ids_that_are_none(self, api, number):
        check(api.delete(f"/api/auth/sessions/{number}"), 404, "NOT_FOUND")

    def test_method(self, api):
        answer = api.put("/api/echo", {})

        check(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"

    def test_options_describe_nothing(self, api):
        check(api.generic("OPTIONS", "/api/echo"), 405, "METHOD_NOT_ALLOWED")

    def test_t7_parameters(self, api):
        error = check(api.get("/api/echo?id=1"), 400, "INVALID_PARAMETER")

        assert error["fields"] == {"id": "UNKNOWN_PARAMETER"}

    def test_format_suffixes_mean_nothing(self, api):
        check(api.get("/api/echo?format=xml"), 400, "INVALID_PARAMETER")

    def test_t20_host(self, api):
        check(api.get("/api/echo", {"Host": "evil.example"}), 400, "BAD_HOST")

    def test_csrf(self):
        client = ApiClient(enforce_csrf_checks=True)

        check_status = client.post("/protected")

        assert check_status.status_code == 403
        assert error_code(check_status) == "CSRF_FAILED"


class TestFaults:
    @pytest.mark.parametrize("kind", ["raise", "plain"])
    @pytest.mark.parametrize(
        ("name", "status", "code", "retry_after"),
        [
            ("busy", 503, "ENGINE_BUSY", "1"),
            ("down", 503, "ENGINE_UNAVAILABLE", "1"),
            ("unknown", 504, "STATUS_UNKNOWN", None),
            ("field", 400, "VALIDATION_ERROR", None),
            ("bug", 500, "INTERNAL_ERROR", None),
            ("locked", 503, "SERVICE_UNAVAILABLE", "1"),
            ("redis", 503, "SERVICE_UNAVAILABLE", "1"),
        ],
    )
    def test_views(self, api, kind, name, status, code, retry_after):
        answer = api.get(f"/api/{kind}/{name}")

        check(answer, status, code)
        assert answer.get("Retry-After") == retry_after
        assert b"secret" not in answer.content
        assert b"Traceback" not in answer.content


class TestOutcomes:
    def test_a_success_is_none(self):
        raise_for_outcome(Outcome(Code.OK, 1, ()))

    @pytest.mark.parametrize(
        ("code", "status"),
        [
            (Code.INSUFFICIENT_BALANCE, 422),
            (Code.ORDER_NOT_FOUND, 404),
            (Code.CLIENT_ORDER_ID_CONFLICT, 409),
            (Code.EXPIRED_IN_QUEUE, 503),
            (Code.PRICE_BAND, 422),
        ],
    )
    def test_a_refusal_keeps_its_code(self, code, status):
        with pytest.raises(ApiError) as raised:
            raise_for_outcome(Outcome(code, 0, ()))

        assert (raised.value.code, raised.value.status_code) == (code.name, status)

    def test_every_refusal_has_an_answer(self):
        for code in Code:
            with pytest.raises(ApiError) as raised:
                raise_for_code(code, detail="x" * 500)
            assert len(raised.value.message) < 250
            json.dumps(raised.value.message)


def test_what_a_library_opened_is_closed_with_the_answer_and_not_before() -> None:
    opened = io.BytesIO()
    ended: list[object] = []

    def end(**_: object) -> None:
        ended.append(1)

    request_finished.connect(end)
    try:
        response = FileResponse(opened, status=404)
        answer = views.enveloped(response)
        # The end of the request gives its database connection back: others still need it.
        assert (opened.closed, ended) == (False, [])
        answer.close()
    finally:
        request_finished.disconnect(end)
    assert (opened.closed, ended) == (True, [1])
