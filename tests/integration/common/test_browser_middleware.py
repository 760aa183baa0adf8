"""Sessions belong to pages; the API neither reads nor sets one."""

import pytest
from django.test import Client, RequestFactory

from accounts.services import user_create
from common.browser_middleware import MessageMiddleware, SessionMiddleware

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def browser() -> Client:
    """A browser logged in to the back-office."""
    client = Client()
    user = user_create(
        username="operator", email="op@example.com", password="a-Long-pass-77", role="admin"
    )
    client.force_login(user)
    return client


def test_api_requests_have_no_session() -> None:
    request = RequestFactory().get("/api/time")

    SessionMiddleware(lambda _request: None)(request)  # type: ignore[arg-type, return-value]
    MessageMiddleware(lambda _request: None)(request)  # type: ignore[arg-type, return-value]

    assert not hasattr(request, "session")
    assert not hasattr(request, "_messages")


def test_a_session_cookie_does_not_log_in_to_the_api(browser: Client) -> None:
    answer = browser.get("/api/account")

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "NOT_AUTHENTICATED"


def test_pages_keep_their_session(browser: Client) -> None:
    assert browser.get("/admin/").status_code == 200
