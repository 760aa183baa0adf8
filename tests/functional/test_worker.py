"""A worker that is asked to stop finishes what it has begun; one that is killed leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import RedisProcess, redis_session, wait_until
from tradingplatform.celery import app
from tradingplatform.jobs import PERIOD_MS
from tradingplatform.management.commands.run_all import worker_command
from tradingplatform.redis_urls import celery_broker_url

__all__ = ["redis_session"]

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
# A period that no test sees the end of.
ALWAYS_MS = 10**12


class Worker:
    """A worker with its beat, as ``run_all`` starts it, that also knows the task of the test."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        words = worker_command()
        words[words.index("tradingplatform")] = "tests.support.lingering_worker"
        self.log = directory / "worker.out"
        self._broker = celery_broker_url(redis_url)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                words,
                cwd=ROOT,
                env={
                    **os.environ,
                    "ENV_FILE": os.devnull,
                    "DJANGO_SETTINGS_MODULE": "tradingplatform.settings",
                    "VAR_DIR": str(directory),
                    "DATABASE_URL": f"sqlite:///{directory / 'exchange.sqlite3'}",
                    "REDIS_URL": redis_url,
                    "PROCESS_NAME": "worker",
                    "LOG_LEVEL": "info",
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def begin_task(self, directory: Path) -> None:
        """Send the task and wait until it is under way."""
        self.send(directory)
        wait_until((directory / "started").exists, PATIENCE_S)

    def send(self, directory: Path, *, period_ms: int | None = None, **options: Any) -> None:
        """Send the task, as beat does if it has a period."""
        directory.mkdir(exist_ok=True)
        given = {"directory": str(directory)}
        if period_ms is not None:
            options["headers"] = {PERIOD_MS: period_ms}
        with app.connection_for_write(self._broker) as connection:
            app.send_task("tests.linger", kwargs=given, connection=connection, **options)

    def finish(self, directory: Path) -> None:
        """Let a task end, then the worker when it has done what it had begun."""
        (directory / "go").touch()
        wait_until((directory / "done").exists, PATIENCE_S)
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.log.read_text()

    def beat(self) -> int:
        """Return the process of its beat, once there is one."""
        wait_until(self._children, PATIENCE_S)
        return self._children()[0]

    def _children(self) -> list[int]:
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def worker(redis_session: RedisProcess, tmp_path: Path) -> Iterator[Worker]:
    """A running one, with a broker of its own."""
    redis_session.client.flushall()
    made = Worker(tmp_path, redis_session.url)
    yield made
    made.process.kill()
    made.process.wait()


def test_it_finishes_its_task_and_ends(worker: Worker, tmp_path: Path) -> None:
    worker.begin_task(tmp_path)

    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "warm" in worker.log.read_text().lower(), PATIENCE_S)
    assert worker.process.poll() is None
    (tmp_path / "go").touch()

    assert worker.process.wait(PATIENCE_S) == 0, worker.log.read_text()
    assert (tmp_path / "done").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_its_beat_ends_with_it_when_it_is_killed(worker: Worker, tmp_path: Path) -> None:
    worker.begin_task(tmp_path)
    beat = worker.beat()
    # Without tables each job fails: beat has begun to send.
    wait_until(lambda: "prices_ingest" in worker.log.read_text(), PATIENCE_S)

    worker.process.kill()
    worker.process.wait()

    wait_until(lambda: not runs(beat), PATIENCE_S)


def test_the_period_of_a_run_that_was_killed_is_skipped_and_the_next_one_taken_up(
    worker: Worker, redis_session: RedisProcess, tmp_path: Path
) -> None:
    killed, repeated, later = (tmp_path / name for name in ("killed", "repeated", "later"))
    worker.send(killed, period_ms=ALWAYS_MS)
    wait_until((killed / "started").exists, PATIENCE_S)
    worker.process.kill()
    worker.process.wait()
    # What has begun is nobody's any more: it is not delivered again.
    prefix = app.conf.broker_transport_options["global_keyprefix"]
    waiting = redis_session.client.hvals(f"{prefix}unacked")
    assert not any(b"tests.linger" in message for message in waiting)

    (tmp_path / "second").mkdir()
    second = Worker(tmp_path / "second", redis_session.url)
    try:
        second.send(repeated, period_ms=ALWAYS_MS)
        second.send(later, period_ms=1)
        wait_until((later / "started").exists, PATIENCE_S)
        second.finish(later)
    finally:
        second.process.kill()
        second.process.wait()

    assert not (killed / "done").exists()
    assert not (repeated / "started").exists()


class Planted:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def test_t36_a_pickled_message_is_refused_and_the_worker_works_on(
    worker: Worker, tmp_path: Path
) -> None:
    planted = tmp_path / "planted"
    worker.send(tmp_path / "pickled", serializer="pickle", argsrepr="", args=[Planted(planted)])

    worker.begin_task(tmp_path)

    assert "ContentDisallowed" in worker.log.read_text()
    worker.finish(tmp_path)
    assert not planted.exists()
    assert not (tmp_path / "pickled" / "started").exists()


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
