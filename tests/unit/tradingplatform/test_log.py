"""Logs carry no secrets and rotate by day and by size."""

import json
import logging
from pathlib import Path

import pytest
import structlog

from tradingplatform.log import MASK, RotatingFileHandler, logging_settings, mask_secrets

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "name", ["password", "ADMIN_PASSWORD", "access_token", "Authorization", "api_secret", "ticket"]
)
def test_masks_values_of_secret_names(name: str) -> None:
    assert mask_secrets(None, "info", {name: "canary"}) == {name: MASK}


@pytest.mark.parametrize(
    "text",
    [f"refused {TOKEN}", f"header Bearer {TOKEN}", "redis://user:canary@host:6379/0"],
)
def test_masks_credentials_inside_texts(text: str) -> None:
    masked = mask_secrets(None, "info", {"event": text})["event"]

    assert "canary" not in masked
    assert TOKEN not in masked
    assert MASK in masked


def test_masks_secret_parameters_of_addresses_and_leaves_the_others() -> None:
    said = '"WebSocket /ws/user?from=7&ticket=canary-1&Access_Token=canary%202&book=BTC" [accepted]'

    masked = mask_secrets(None, "info", {"event": said})["event"]

    assert masked == (
        f'"WebSocket /ws/user?from=7&ticket={MASK}&Access_Token={MASK}&book=BTC" [accepted]'
    )


@pytest.mark.parametrize("name", ["uvicorn.error", "websockets", "celery.pool", "pymongo"])
@pytest.mark.parametrize(("level", "expected"), [("debug", "INFO"), ("error", "ERROR")])
def test_what_passes_through_libraries_is_not_written_down(
    name: str, level: str, expected: str
) -> None:
    found = logging_settings(
        level=level, directory=None, process="ws", size_max_bytes=1, age_max_ms=1
    )

    assert found["loggers"][name]["level"] == expected


def test_leaves_other_values_alone() -> None:
    event = {"event": "order placed", "order_id": "17", "count": 3}

    assert mask_secrets(None, "info", dict(event)) == event


def test_shows_plain_extras_of_the_standard_library_masked(tmp_path: Path) -> None:
    settings = logging_settings(
        level="debug", directory=None, process="web", size_max_bytes=1, age_max_ms=1
    )["formatters"]["json"]
    formatter = settings.pop("()")(**settings)
    said = record("order placed")
    extra = {"request_id": "r-1", "request_ids": ["r-1", f"Bearer {TOKEN}"], "batch": 3}
    vars(said).update(extra, password="canary", request=object(), args_of_task={"token": TOKEN})

    with structlog.contextvars.bound_contextvars(request_id="of-the-context"):
        line = json.loads(formatter.format(said))

    assert (line["event"], line["request_id"], line["batch"]) == ("order placed", "r-1", 3)
    assert line["request_ids"][0] == "r-1"
    assert line["password"] == MASK
    assert TOKEN not in str(line)
    assert "request" not in line
    assert "args_of_task" not in line
    assert not set(line) & {"lineno", "msg", "pathname", "thread"}


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None)


def test_starts_a_new_file_when_the_size_is_reached(tmp_path: Path) -> None:
    handler = RotatingFileHandler(
        str(tmp_path / "web.log"), size_max_bytes=100, age_max_ms=86_400_000
    )

    for number in range(10):
        handler.emit(record(f"{number} " + "x" * 60))
    handler.close()

    lines = [line for path in tmp_path.iterdir() for line in path.read_text("utf-8").splitlines()]
    assert len(list(tmp_path.iterdir())) == 5
    assert len(lines) == 10


def test_removes_files_that_are_too_old(tmp_path: Path) -> None:
    import os

    old = tmp_path / "web.log.2020-01-01"
    old.write_text("old")
    os.utime(old, (0, 0))
    handler = RotatingFileHandler(
        str(tmp_path / "web.log"), size_max_bytes=10, age_max_ms=86_400_000
    )

    handler.emit(record("x" * 20))
    handler.emit(record("x" * 20))
    handler.close()

    assert not old.exists()
