"""GET /api/errors."""

from common.testing import ApiClient, error_code


class TestErrorCatalog:
    def test_anybody_may_read_it(self) -> None:
        answer = ApiClient().get("/api/errors")

        codes = {entry["code"]: entry["http_status"] for entry in answer.json()["errors"]}
        assert answer.status_code == 200
        assert codes["TICK_SIZE"] == 422
        assert codes["ENGINE_BUSY"] == 503
        assert codes["INVALID_DECIMAL"] == 0

    def test_it_takes_no_parameters(self) -> None:
        answer = ApiClient().get("/api/errors?code=OK")

        assert (answer.status_code, error_code(answer)) == (400, "INVALID_PARAMETER")
