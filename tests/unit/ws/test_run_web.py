"""What the web process tells its server about sockets (RELIABILITY T24, T25)."""

from __future__ import annotations

from typing import Any

import pytest
import uvicorn
from django.core.management import call_command

from common.ws.protocol import StreamProtocol


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch, settings: Any) -> dict[str, Any]:
    """The options with which the server would run."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(uvicorn, "run", lambda _application, **found: given.update(found))
    settings.WS_PING_INTERVAL_MS, settings.WS_PING_TIMEOUT_MS = 25_000, 5_000
    call_command("run_web")
    return given


def test_t25_socket_messages_are_bounded_and_never_compressed(options: dict[str, Any]) -> None:
    assert options["ws_max_size"] == 65_536
    assert options["ws_per_message_deflate"] is False
    assert options["proxy_headers"] is False


def test_sockets_are_served_by_the_protocol_with_a_short_way(options: dict[str, Any]) -> None:
    assert options["ws"] is StreamProtocol


def test_t24_who_answers_no_ping_is_closed_within_a_minute(options: dict[str, Any]) -> None:
    assert options["ws_ping_interval"] + options["ws_ping_timeout"] == 30.0


def test_clients_have_time_to_be_told_that_the_server_stops(options: dict[str, Any]) -> None:
    assert options["lifespan"] == "on"
    assert options["timeout_graceful_shutdown"] == 5
