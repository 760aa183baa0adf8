"""Registration of the project itself: supervisor, health, front page."""

import os

from django.apps import AppConfig


class TradingplatformConfig(AppConfig):
    """Configuration of the tradingplatform app."""

    name = "tradingplatform"

    def ready(self) -> None:
        """Publish the figures of a supervised process."""
        if os.environ.get("PROCESS_NAME"):
            from tradingplatform import metrics

            metrics.start_publisher()
