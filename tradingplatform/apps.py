"""Registration of the project itself: supervisor, health, front page."""

import os

from django.apps import AppConfig


class TradingplatformConfig(AppConfig):
    """Configuration of the tradingplatform app."""

    name = "tradingplatform"

    def ready(self) -> None:
        """Prepare what every process has: the Celery application and its own figures."""
        from tradingplatform import celery, metrics  # noqa: F401 - imported for its effect

        if os.environ.get("PROCESS_NAME"):
            metrics.start_publisher()
