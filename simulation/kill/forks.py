"""
Exchanges that end before the call they are told: ``python -m simulation.kill.forks``.

One process imports everything once and forks an exchange for each line it reads, a number:
before which call, to the database or to Redis, it ends as by ``kill -9`` (0: never). A call is
any statement on SQLite, rows of one ``executemany`` counting as one, and any sending to Redis,
from the very first of a start. An exchange that ended is replaced at once by one that does not.
SIGUSR1 asks the one that runs to stop; then a line says its exit code and how many ended before.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, TextIO

# Of a statement's text: what is done to which table, without the values.
KIND_CHARACTERS = 40


class CallCounter:
    """Counts the calls of this process and ends it before the one it was told."""

    def __init__(self, end_before: int) -> None:
        """Count from 0; never end where ``end_before`` is 0."""
        self.calls = 0
        self._end_before = end_before
        self._last = ""

    def statement(self, sql: str) -> None:
        """Count a statement, unless it is one more row of the last one."""
        kind = sql[:KIND_CHARACTERS]
        if kind == self._last and kind.startswith("INSERT"):
            return
        self._last = kind
        self.call()

    def call(self) -> None:
        """Count a call that is about to be made, or end here."""
        self.calls += 1
        if self.calls == self._end_before:
            os.kill(os.getpid(), signal.SIGKILL)


def count_calls(counter: CallCounter) -> None:
    """Let a counter see every call of this process to the database and to Redis."""
    from django.db.backends.signals import connection_created
    from redis.connection import AbstractConnection

    def traced(connection: Any, **_: Any) -> None:
        connection.connection.set_trace_callback(counter.statement)

    connection_created.connect(traced, weak=False)
    send: Callable[..., None] = AbstractConnection.send_packed_command

    def counted(connection: Any, *words: Any, **options: Any) -> None:
        counter.call()
        send(connection, *words, **options)

    AbstractConnection.send_packed_command = counted  # type: ignore[method-assign]


def _fork(end_before: int) -> int:
    """Return the process that leads from now on, until it is before the given call."""
    from django.core.management import call_command

    from tradingplatform.supervisor.child import end_with_parent

    child = os.fork()
    if child:
        return child
    code = 1
    try:
        # A harness that gives up kills who forks, and knows nothing of this process.
        end_with_parent()
        count_calls(CallCounter(end_before))
        call_command("run_exchange")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _serve(answers: TextIO) -> None:
    """Fork for each line until there are no more."""
    child = 0
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        # It may just have ended before its call.
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)

    for line in sys.stdin:
        ended, stopping = 0, False
        child = _fork(int(line))
        # Told while it waits for its child.
        signal.signal(signal.SIGUSR1, stop)
        while (code := _wait(child)) == -signal.SIGKILL:
            ended += 1
            if stopping:
                break
            child = _fork(0)
        # Asked to stop before it could listen, or while it was about to end: both is an end.
        answers.write(f"{0 if stopping and code < 0 else code} {ended}\n")
        answers.flush()


def _wait(child: int) -> int:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Import what an exchange needs, then fork on demand; logs go to standard error."""
    import django

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    django.setup()
    import exchange.management.commands.run_exchange  # noqa: F401 - before any fork

    _serve(answers)


if __name__ == "__main__":
    main()
