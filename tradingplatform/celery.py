"""The Celery application: JSON only, results ignored, one static schedule."""

import os
from typing import Any

from celery import Celery, bootsteps
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")

app = Celery("tradingplatform", task_cls="tradingplatform.jobs:JobTask")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Processes that only enqueue use @shared_task, which looks for the default app.
app.set_default()


class AliveStep(bootsteps.StartStopStep):
    """Says from the worker's own loop that it turns."""

    requires = ("celery.worker.components:Timer",)

    def start(self, parent: Any) -> None:
        """Begin with the worker."""
        from django.conf import settings

        from exchange import alive

        word = alive.this_process(settings.VAR_DIR, "worker")
        self._timer = parent.timer.call_repeatedly(alive.EVERY_S, word.turn)

    def stop(self, parent: Any) -> None:
        """End with it."""
        self._timer.cancel()


app.steps["worker"].add(AliveStep)


@setup_logging.connect
def keep_django_logging(**_kwargs: Any) -> None:
    """Stop Celery from replacing the logging that Django has configured."""
