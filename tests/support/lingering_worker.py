"""The Celery application with one task more, which works for as long as a test wants."""

import time
from pathlib import Path

from tradingplatform.celery import app

PATIENCE_S = 120.0


@app.task(name="tests.linger")
def linger(directory: str, **_kwargs: object) -> None:
    """
    Say ``started``, wait for ``go``, say ``done``: files of a directory.

    Raises:
        TimeoutError: if nobody says ``go``.
    """
    here = Path(directory)
    (here / "started").touch()
    deadline = time.monotonic() + PATIENCE_S
    while not (here / "go").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("expected a file called go")
        time.sleep(0.01)
    (here / "done").touch()
