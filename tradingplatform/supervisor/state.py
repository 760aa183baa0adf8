"""What runs, written down for ``make status`` and ``make stop``; one supervisor per VAR_DIR."""

import fcntl
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

STOP_TIMEOUT_S = 60.0


class AlreadyRunningError(Exception):
    """Another supervisor holds this directory."""


@dataclass(slots=True)
class ChildState:
    """One supervised process; ``started`` tells it from a later process of the same id."""

    pid: int | None
    started: str
    restarts: int


@dataclass(slots=True)
class State:
    """The supervisor and its processes."""

    pid: int
    url: str
    phase: str
    children: dict[str, ChildState] = field(default_factory=dict)


def lock(var_dir: Path) -> IO[str]:
    """
    Return the open lock file of this directory; closing it (or dying) gives it up.

    Raises:
        AlreadyRunningError: naming the process that holds it.
    """
    stream = (var_dir / "supervisor.lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        holder = stream.read().strip() or "unknown"
        stream.close()
        raise AlreadyRunningError(holder) from None
    stream.seek(0)
    stream.truncate()
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


def holder(var_dir: Path) -> int | None:
    """Return the process id of the running supervisor, or None."""
    try:
        lock(var_dir).close()
    except AlreadyRunningError as error:
        return int(str(error)) if str(error).isdigit() else None
    except FileNotFoundError:
        return None
    return None


def write(var_dir: Path, state: State) -> None:
    """Replace the state file in one step."""
    path = var_dir / "supervisor.json"
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(state), indent=1), encoding="ascii")
    temporary.replace(path)


def read(var_dir: Path) -> State | None:
    """Return what the last supervisor wrote down, or None."""
    try:
        content = json.loads((var_dir / "supervisor.json").read_text(encoding="ascii"))
        children = {name: ChildState(**child) for name, child in content.pop("children").items()}
        return State(**content, children=children)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def start_time(pid: int) -> str:
    """Return when a process started, as text to compare; empty when there is none."""
    with suppress(OSError, IndexError):
        # The command in parentheses may hold blanks; the start is field 22.
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()[19]
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip()


def end_leftovers(var_dir: Path) -> list[str]:
    """
    Kill processes of a supervisor that died without stopping them; return their names.

    A process is ours only if its start time is the one written down. Call it only while
    holding the lock.
    """
    state = read(var_dir)
    ended = []
    for name, child in (state.children if state else {}).items():
        if child.pid and child.started and start_time(child.pid) == child.started:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
                ended.append(name)
    return ended


def stop(var_dir: Path) -> bool:
    """Stop the running supervisor and wait for it; return whether there was one."""
    pid = holder(var_dir)
    if pid is None:
        _stop_leftovers(var_dir)
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + STOP_TIMEOUT_S
    while holder(var_dir) is not None and time.monotonic() < end:
        time.sleep(0.1)
    if holder(var_dir) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        _stop_leftovers(var_dir)
    return True


def _stop_leftovers(var_dir: Path) -> None:
    with suppress(AlreadyRunningError, FileNotFoundError), lock(var_dir):
        end_leftovers(var_dir)
