"""A small platform for the supervisor's tests: two processes that print and wait."""

import sys
from pathlib import Path

from tradingplatform.supervisor.child import Child
from tradingplatform.supervisor.output import Output
from tradingplatform.supervisor.supervisor import Stage, Supervisor

WORK = """
import os, subprocess, sys, time
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("working", os.getpid(), grandchild.pid, flush=True)
time.sleep(600)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("stubborn", os.getpid(), flush=True)
time.sleep(600)
"""


def main(var_dir: Path) -> int:
    """Supervise until a signal."""
    stages = [
        Stage(Child("stubborn", [sys.executable, "-c", STUBBORN], stop_timeout_s=0.5)),
        Stage(Child("once", [sys.executable, "-c", "print('prepared')"], once=True)),
        Stage(Child("work", [sys.executable, "-c", WORK])),
    ]
    return Supervisor(
        stages=stages,
        output=Output(directory=var_dir, size_max_bytes=10**6, age_max_ms=10**9),
        var_dir=var_dir,
        url="http://127.0.0.1:9",
        on_ready=str,
    ).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
