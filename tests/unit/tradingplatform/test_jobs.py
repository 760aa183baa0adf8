"""Tasks carry ids and times, each period's work is done once, and a hung task ends its worker."""

from __future__ import annotations

import time
from typing import Any

import pytest
from celery.exceptions import Ignore
from django.conf import settings

from common.request_id import bind_request_id, current_request_id
from tradingplatform import jobs
from tradingplatform.celery import app


class Asked:
    """Stands in for Redis: who came first in a period."""

    def __init__(self) -> None:
        self.taken: set[tuple[str, int]] = set()

    def __call__(self, job: str, period: int, *, period_ms: int) -> bool:
        first = (job, period) not in self.taken
        self.taken.add((job, period))
        return first


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(jobs, "take_period", found)
    return found


@pytest.fixture
def task(request: pytest.FixtureRequest) -> Any:
    name = f"tests.{request.node.name}"

    @app.task(name=name)
    def count(**_options: Any) -> str:
        return "done"

    yield count
    app.tasks.pop(name, None)


def run(task: Any, **headers: Any) -> Any:
    """Run a task as a worker does that got these headers."""
    task.push_request(id="1", **headers)
    try:
        return task(**{})
    finally:
        task.pop_request()


def test_every_entry_of_beat_expires_and_names_its_period() -> None:
    for name, entry in settings.CELERY_BEAT_SCHEDULE.items():
        # The clocks of two hosts may be a second apart.
        assert entry["options"]["expires"] <= max(3.0, entry["schedule"]), name
        assert entry["options"]["expires"] >= 3.0, name
        assert entry["options"]["headers"] == {"period_ms": entry["schedule"] * 1_000}


def test_no_task_may_run_as_long_as_until_it_is_delivered_again() -> None:
    app.loader.import_default_modules()
    limits = [task.time_limit or settings.CELERY_TASK_TIME_LIMIT for task in app.tasks.values()]

    assert max(limits) < settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]


def test_second_run_of_a_period_is_not_carried_out(task: Any, asked: Asked) -> None:
    assert run(task, sent_ms=5_000, period_ms=1_000) == "done"
    with pytest.raises(Ignore):
        run(task, sent_ms=5_999, period_ms=1_000)
    assert run(task, sent_ms=6_000, period_ms=1_000) == "done"


def test_a_message_delivered_again_counts_for_the_period_of_its_sending(
    task: Any, asked: Asked
) -> None:
    run(task, sent_ms=5_000, period_ms=1_000)

    with pytest.raises(Ignore):
        run(task, sent_ms=5_000, period_ms=1_000)
    assert asked.taken == {(task.name, 5)}


def test_a_task_that_somebody_else_sends_runs_each_time(task: Any, asked: Asked) -> None:
    assert run(task) == "done"
    assert run(task) == "done"
    assert asked.taken == set()


def test_the_request_goes_with_the_task() -> None:
    bind_request_id("of-a-request-1")
    headers: dict[str, Any] = {}
    try:
        jobs.stamp(headers=headers)
    finally:
        bind_request_id("")

    assert headers["request_id"] == "of-a-request-1"
    assert abs(headers["sent_ms"] - time.time() * 1_000) < 5_000


def test_what_beat_sends_has_an_id_of_its_own() -> None:
    headers: dict[str, Any] = {}

    jobs.stamp(headers=headers)

    assert len(headers["request_id"]) == 24


def test_a_run_is_known_under_its_request_until_it_ends(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[Any] = []
    monkeypatch.setattr(jobs, "record", lambda _client, done: recorded.append(done))
    monkeypatch.setattr(jobs, "redis_client", lambda: None)
    task.push_request(id="7", request_id="of-a-request-1")
    try:
        jobs.begin(task_id="7", task=task)
        during = current_request_id()
        jobs.fail(task_id="7", exception=KeyError("x"))
        jobs.end(task_id="7", state="FAILURE")
    finally:
        task.pop_request()

    assert during == "of-a-request-1"
    assert current_request_id() == ""
    assert [(done.job, done.outcome, done.error) for done in recorded] == [
        (task.name, "failure", "KeyError")
    ]


def test_a_task_past_its_limit_is_found(task: Any) -> None:
    task.time_limit = 5
    task.push_request(id="8")
    try:
        jobs.begin(task_id="8", task=task)
        now = time.monotonic()

        assert jobs.over_time(now + 4) == []
        assert jobs.over_time(now + 6) == [task.name]
    finally:
        jobs._running.pop("8")
        task.pop_request()
