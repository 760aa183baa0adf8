"""Which Celery application a process has that only queues."""

import subprocess
import sys


def test_a_management_command_queues_with_the_application_of_the_project() -> None:
    code = "from celery import current_app; print(current_app.main)"

    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    # Celery's own default would look for a broker on this host, for seconds.
    assert done.stdout.strip() == "tradingplatform"
