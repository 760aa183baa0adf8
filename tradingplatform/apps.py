"""Registration of the project itself: supervisor, health, front page."""

import os

from django.apps import AppConfig


class TradingplatformConfig(AppConfig):
    """Configuration of the tradingplatform app."""

    name = "tradingplatform"

    def ready(self) -> None:
        """Make ours Celery's default application; publish a supervised process's figures."""
        # Whatever queues tasks, a command too, must not look for a broker that is not there.
        from tradingplatform import celery as celery

        if os.environ.get("PROCESS_NAME"):
            from tradingplatform import metrics

            metrics.start_publisher()
