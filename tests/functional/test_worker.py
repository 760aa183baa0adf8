"""A worker that is asked to stop finishes what it has begun; one that is killed leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import RedisProcess, redis_session, wait_until
from tradingplatform.celery import app
from tradingplatform.management.commands.run_all import worker_command
from tradingplatform.redis_urls import celery_broker_url

__all__ = ["redis_session"]

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0


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
        given = {"directory": str(directory)}
        with app.connection_for_write(self._broker) as connection:
            app.send_task("tests.linger", kwargs=given, connection=connection)
        wait_until((directory / "started").exists, PATIENCE_S)

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


def runs(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has waited for does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
