"""The Celery application: JSON only, results ignored, one static schedule."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingplatform.settings")

app = Celery("tradingplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Processes that only enqueue use @shared_task, which looks for the default app.
app.set_default()


@setup_logging.connect
def keep_django_logging(**_kwargs: Any) -> None:
    """Stop Celery from replacing the logging that Django has configured."""
