"""
Say by exit code whether a process lives: ``alive.py NAME [SECONDS]`` or ``alive.py --port N``.

With a name: whether its main loop turned within so many seconds, by the file that it touches.
With a port: whether ``/api/health/live`` is answered there. For health checks, which come every
few seconds: standard library only and no settings, ``python -I -S tools/alive.py exchange``.
"""

import http.client
import os
import sys
import time
from pathlib import Path

AGE_MAX_S = 60.0
ANSWER_WAIT_S = 2.0
PATH = "/api/health/live"


def problem_of_loop(directory: Path, name: str, age_max_s: float, now_s: float) -> str:
    """Return why a process does not count as alive; empty when it does."""
    path = directory / "alive" / name
    try:
        age_s = now_s - path.stat().st_mtime
    except OSError as error:
        return f"{path}: {error.strerror}"
    return f"{name} last turned {age_s:.0f} s ago" if age_s > age_max_s else ""


def problem_of_port(port: int) -> str:
    """Return why a server of this machine does not count as alive; empty when it does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_WAIT_S)
    try:
        connection.request("GET", PATH, headers={"Host": "localhost"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"port {port}: {error or type(error).__name__}"
    finally:
        connection.close()
    return "" if status == http.client.OK else f"port {port}: {PATH} answered {status}"


def main(words: list[str]) -> int:
    """Check one process; 1 and a line on stderr when it is not alive."""
    if words[0] == "--port":
        found = problem_of_port(int(words[1]))
    else:
        directory = Path(os.environ.get("VAR_DIR") or "var")
        age_max_s = float(words[1]) if words[1:] else AGE_MAX_S
        found = problem_of_loop(directory, words[0], age_max_s, time.time())
    if found:
        sys.stderr.write(found + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
