"""The bots' client logs in, renews its session and says when to come back."""

import httpx
import pytest

from tradingplatform.market_maker.client import ApiClient, RefusedError, UnavailableError


class FakePlatform:
    """Answers by path from a list of prepared answers; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answers: dict[str, list[httpx.Response]] = {}
        self.logins = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append((request.method, path, request.headers.get("Authorization", "")))
        if path in {"/api/auth/login", "/api/auth/refresh"}:
            self.logins += 1
            tokens = {"access_token": f"a{self.logins}", "refresh_token": f"r{self.logins}"}
            return httpx.Response(200, json=tokens)
        return self.answers[path].pop(0)


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


@pytest.fixture
def client(platform: FakePlatform, monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    transport = httpx.MockTransport(platform)
    original = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **options: original(transport=transport, **options))
    return ApiClient(url="http://exchange", username="bot", password="secret")


def refused(status: int, code: str, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code}}, headers=headers)


def test_logs_in_before_the_first_request(client: ApiClient, platform: FakePlatform) -> None:
    platform.answers["/api/markets"] = [httpx.Response(200, json={"items": []})]

    client.markets()

    assert [path for _, path, _ in platform.asked] == ["/api/auth/login", "/api/markets"]
    assert platform.asked[1][2] == "Bearer a1"


def test_renews_an_expired_session_and_repeats(client: ApiClient, platform: FakePlatform) -> None:
    platform.answers["/api/markets"] = [
        refused(401, "TOKEN_EXPIRED"),
        httpx.Response(200, json={"items": [1]}),
    ]

    assert client.markets() == [1]
    assert platform.asked[2][1] == "/api/auth/refresh"
    assert platform.asked[3][2] == "Bearer a2"


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (refused(429, "RATE_LIMITED", **{"Retry-After": "7"}), 7.0),
        (refused(503, "ENGINE_BUSY", **{"Retry-After": "1"}), 1.0),
        (refused(504, "STATUS_UNKNOWN"), 1.0),
        (refused(429, "RATE_LIMITED", **{"Retry-After": "999999"}), 30.0),
        (httpx.Response(502, text="<html>"), 1.0),
    ],
)
def test_says_when_to_come_back(
    client: ApiClient, platform: FakePlatform, answer: httpx.Response, wait_s: float
) -> None:
    platform.answers["/api/markets"] = [answer]

    with pytest.raises(UnavailableError) as caught:
        client.markets()

    assert caught.value.retry_after_s == wait_s


def test_refusals_carry_their_code(client: ApiClient, platform: FakePlatform) -> None:
    platform.answers["/api/wallet"] = [refused(403, "PERMISSION_DENIED")]

    with pytest.raises(RefusedError) as caught:
        client.balances()

    assert caught.value.code == "PERMISSION_DENIED"


def test_places_in_batches_that_the_api_takes(client: ApiClient, platform: FakePlatform) -> None:
    platform.answers["/api/orders/batch"] = [
        httpx.Response(200, json={"results": [{}] * 40}),
        httpx.Response(200, json={"results": [{}] * 5}),
    ]

    assert len(client.place([{}] * 45)) == 45
